// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/client_options.hpp>
#include <fermata/detail/engine_port.hpp>
#include <fermata/error.hpp>
#include <fermata/journal.hpp>
#include <fermata/signal.hpp>
#include <fermata/workflow.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

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

/// Starts runs and finds them again.
/// Throws: what writes, `error` FER-1405 when 10,000 calls of this process wait for the journal.
/// Threads: any.
class client {
 public:
  explicit client(journal where) : journal_(std::move(where)) {}

  /// Durable when it returns.
  /// Throws: `error` FER-1301 when the key is taken (see `on_duplicate`), FER-1307, FER-1401,
  /// FER-1404.
  template <class R, class In>
  run<R> start(const workflow<R(In)>& what, const std::type_identity_t<In>& input,
               const start_options& options = {}) {
    return begin<R>(what.name(), detail::encode<std::remove_cvref_t<In>>(input), options);
  }
  template <class R>
  run<R> start(const workflow<R()>& what, const start_options& options = {}) {
    return begin<R>(what.name(), detail::no_value(), options);
  }
  template <class R, class In, class Given, class... Rest>
    requires detail::misfit<In, Given>
  run<R> start(const workflow<R(In)>&, Given&&, Rest&&...) {
    detail::refuse_input<In, Given>();
    return {journal_, ""};
  }

  /// Starts one run per input, all or none; runs in the order of the inputs. `options` without key.
  /// Throws: as `start`; the message counts the input that was refused from 1.
  template <class R, class In>
  std::vector<run<R>> start_many(
      const workflow<R(In)>& what,
      const std::vector<std::type_identity_t<std::remove_cvref_t<In>>>& inputs,
      const start_options& options = {}) {
    std::vector<detail::start_request> all;
    for (const auto& input : inputs) all.push_back({what.name(), detail::encode(input), options});
    return begin_all<R>(std::move(all));
  }
  /// As above, each with its key: `client.start_many(place_order, {{o1, "order-1"}, …})`.
  template <class R, class In>
  std::vector<run<R>> start_many(
      const workflow<R(In)>& what,
      const std::vector<std::pair<std::type_identity_t<std::remove_cvref_t<In>>, std::string>>&
          inputs,
      start_options options = {}) {
    std::vector<detail::start_request> all;
    for (const auto& [input, key] : inputs) {
      options.key = key;
      all.push_back({what.name(), detail::encode(input), options});
    }
    return begin_all<R>(std::move(all));
  }

  /// The run that a key is bound to.
  /// Throws: `error` FER-1302 when there is none.
  template <class R, class In>
  [[nodiscard]] run<R> attach(const workflow<R(In)>& what, std::string_view key) const {
    return {journal_, journal_.engine().attach(what.name(), key)};
  }
  template <class R>
  [[nodiscard]] run<R> attach(const workflow<R()>& what, std::string_view key) const {
    return {journal_, journal_.engine().attach(what.name(), key)};
  }

  /// A run by its id, or a unique prefix of it.
  /// Throws: `error` FER-1302, FER-1306 when several fit.
  [[nodiscard]] any_run find(std::string_view id) const {
    return {journal_, journal_.engine().find(id)};
  }

  /// One page of the runs that fit, the newest first.
  [[nodiscard]] run_page list(const run_filter& filter = {}) const {
    return journal_.engine().list(filter);
  }

 private:
  template <class R>
  run<R> begin(std::string_view workflow, detail::payload input, const start_options& options) {
    return {journal_, journal_.engine().start({workflow, std::move(input), options})};
  }
  template <class R>
  std::vector<run<R>> begin_all(std::vector<detail::start_request> all) {
    std::vector<run<R>> started;
    for (std::string& id : journal_.engine().start_many(std::move(all)))
      started.emplace_back(journal_, std::move(id));
    return started;
  }

  journal journal_;
};

}  // namespace fermata
