// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/client_options.hpp>
#include <fermata/detail/engine_port.hpp>
#include <fermata/error.hpp>
#include <fermata/journal.hpp>
#include <fermata/signal.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fermata {

/// A run whose result type isn't known here: everything but the result. A value: an id and a
/// journal. What it asks reaches the newest run of the chain (after `retry` that is another run).
/// Throws: `error` FER-1302 when there is no such run, FER-1303 when it has ended.
/// Threads: any.
class any_run {
 public:
  const std::string& id() const noexcept { return id_; }

  /// Accepted once this returns: durable, delivered once, or listed as unread when the run ends.
  /// Throws: `error` FER-1303, FER-1402 when 10,000 messages wait already.
  template <class T>
  void signal(const fermata::signal<T>& what, const std::type_identity_t<T>& value) const {
    journal_.engine().signal(id_, what.name(), detail::encode(value));
  }
  void signal(const fermata::signal<void>& what) const {
    journal_.engine().signal(id_, what.name(), detail::no_value());
  }

  /// Asks the run to stop; its compensations run. Accepted once this returns.
  void cancel() const { journal_.engine().cancel(id_); }
  /// Ends the run at once: no code of it runs again, no compensation.
  void terminate(std::string_view why) const { journal_.engine().terminate(id_, why); }
  run_info describe() const { return journal_.engine().describe(id_); }

  /// The newest published value; empty when there is none yet.
  /// Throws: `decode_error` when it is of another shape.
  template <class T>
  std::optional<T> published(const fermata::published<T>& what) const {
    const auto found = journal_.engine().published(id_, what.name());
    if (!found) return std::nullopt;
    return detail::decode<T>(*found);
  }

  // Below: for the library.
  any_run(journal where, std::string id) : journal_(std::move(where)), id_(std::move(id)) {}

 protected:
  journal journal_;
  std::string id_;
};

/// A run and the type of its result.
template <class R>
class run : public any_run {
 public:
  using any_run::any_run;

  /// Waits for the end, at most `limit`.
  /// Throws: the run's `failure` or `cancelled`; `error` FER-1104 terminated, FER-1105 expired;
  /// `timed_out` FER-1103 when the wait is over, the run goes on; `decode_error`.
  R result(std::optional<duration> limit = {}) const {
    return detail::decode<R>(journal_.engine().result(id_, limit));
  }
};

/// A run that was started within a transaction of your own: it begins when that commits, and never
/// was when it rolls back. A value: an id and a journal.
/// Threads: any.
template <class R>
class uncommitted_run {
 public:
  /// For your own tables, in the same transaction.
  const std::string& id() const noexcept { return started_.run; }
  /// False: its key was bound already, to this run.
  bool is_new() const noexcept { return started_.is_new; }

  /// The run, after the commit.
  /// Throws: `error` FER-1302 before it, and for ever if it was rolled back.
  run<R> committed() const {
    try {
      return {journal_, journal_.engine().find(id())};
    } catch (const error& why) {
      if (why.code() != codes::unknown_run.code) throw;
      throw error(codes::unknown_run,
                  "run " + id() +
                      " isn't in the journal: its transaction isn't committed yet, or " +
                      "was rolled back [FER-1302]",
                  id());
    }
  }

  // Below: for the library.
  uncommitted_run(journal where, detail::start_answer started)
      : journal_(std::move(where)), started_(std::move(started)) {}

 private:
  journal journal_;
  detail::start_answer started_;
};

}  // namespace fermata
