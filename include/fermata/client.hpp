// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/client_options.hpp>
#include <fermata/detail/engine_port.hpp>
#include <fermata/error.hpp>
#include <fermata/journal.hpp>
#include <fermata/run.hpp>
#include <fermata/signal.hpp>
#include <fermata/transaction.hpp>
#include <fermata/workflow.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace fermata {

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

  /// Starts a run as a part of the transaction that is open on `connection`, a connection of your own
  /// to the journal's database: with your rows, or not at all. It begins when that commits.
  ///
  /// A `sqlite3*` to the journal's file: begin it as a `sqlite_transaction` (<fermata/sqlite.hpp>),
  /// whose `commit` wakes the workers; they find a plain COMMIT a little later. Until it ends only
  /// calls with the connection get on: the others wait for it.
  /// A `PGconn*` to the journal's database, as any role that may (`fermata migrate
  /// --print-caller-role`): the commit wakes the workers, and is durable whatever the session's
  /// `synchronous_commit`. Until it ends others wait who start with the same key.
  /// Throws: as `start`, and FER-3001 when the connection is to another database, in no transaction
  /// (or one that has failed), on SQLite set to `synchronous` below FULL; FER-2102 (SQLite) and
  /// FER-2106 (Postgres) when the whole transaction must be tried again. Then nothing was added to
  /// the transaction, which stays yours.
  /// Threads: the connection's.
  template <class R, class In>
  uncommitted_run<R> start(const caller_transaction& connection, const workflow<R(In)>& what,
                           const std::type_identity_t<In>& input,
                           const start_options& options = {}) {
    return begin_within<R>(connection, what.name(), detail::encode<std::remove_cvref_t<In>>(input),
                           options);
  }
  template <class R>
  uncommitted_run<R> start(const caller_transaction& connection, const workflow<R()>& what,
                           const start_options& options = {}) {
    return begin_within<R>(connection, what.name(), detail::no_value(), options);
  }
  template <class R, class In, class Given, class... Rest>
    requires detail::misfit<In, Given>
  uncommitted_run<R> start(const caller_transaction&, const workflow<R(In)>&, Given&&, Rest&&...) {
    detail::refuse_input<In, Given>();
    return {journal_, {}};
  }

  /// `to.signal(what, value)` as a part of that transaction. `to`: a run, or one that was started in
  /// the same transaction.
  /// Throws: as `any_run::signal`, and FER-3001 as above.
  template <class Run, class T>
    requires requires(const Run& to) { std::string_view(to.id()); }
  void signal(const caller_transaction& connection, const Run& to, const fermata::signal<T>& what,
              const std::type_identity_t<T>& value) {
    journal_.engine().signal_within(connection, to.id(), what.name(), detail::encode(value));
  }
  template <class Run>
    requires requires(const Run& to) { std::string_view(to.id()); }
  void signal(const caller_transaction& connection, const Run& to,
              const fermata::signal<void>& what) {
    journal_.engine().signal_within(connection, to.id(), what.name(), detail::no_value());
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
  uncommitted_run<R> begin_within(const caller_transaction& connection, std::string_view workflow,
                                  detail::payload input, const start_options& options) {
    return {journal_,
            journal_.engine().start_within(connection, {workflow, std::move(input), options})};
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
