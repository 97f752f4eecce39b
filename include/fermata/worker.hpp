// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/serve.hpp>
#include <fermata/journal.hpp>
#include <fermata/transaction.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fermata {

/// A queue that a worker serves: `"mail"`, or `{"gpu", 4}`, whose steps have four places of their own.
struct served_queue {
  std::string name;
  int concurrency = 0;  ///< steps of it at once; 0: they share the worker's `concurrency`

  served_queue(const char* named) : name(named) {}             // NOLINT: as a text
  served_queue(std::string named) : name(std::move(named)) {}  // NOLINT
  served_queue(std::string named, int at_once) : name(std::move(named)), concurrency(at_once) {}
  friend bool operator==(const served_queue&, const served_queue&) = default;
};

/// What a step that has ended keeps of its input, beside the hash that replay compares: all of it up to 1 KB,
/// which people look at, or nothing more. What undoes a step keeps its input whatever this says.
enum class record_input { full, hash };

/// How a worker works; written in braces. `fermata::main` lets the command line change it.
struct worker_options {
  int concurrency = 64;  ///< steps at once, those of queues with a number apart
  int max_runs = 1000;   ///< runs that it owns at once
  /// Whose runs and whose steps it takes; of them, those that it serves.
  std::vector<served_queue> queues = {"default"};
  std::string ns = "default";  ///< its namespace: it sees no other
  /// Stamped on the runs it begins; empty: $FERMATA_BUILD, else the GNU build id of the binary.
  std::optional<std::string> build = {};
  bool own_build_only = false;  ///< takes only runs that its own build began
  fermata::record_input record_input = fermata::record_input::full;  ///< of its runs' steps
  step_options steps = {};                          ///< where neither call nor step says anything
  duration drain_grace = std::chrono::seconds(10);  ///< for attempts in flight when it stops
};

/// Does the work: claims runs, executes workflows and the steps it serves; of the queues it serves also
/// steps of other workers' runs. One without workflows does only that.
/// Throws: `error` FER-3001 from `serve` and `run` when it is set up in a way that can't work,
/// FER-3004 from `run` when a step asks for what only later versions can give.
/// Threads: `serve` and `connect` before `run`; `stop` from anywhere, also from a signal handler.
class worker {
 public:
  /// Without a journal yet: what is served is kept; `fermata::main` or a host opens one for it.
  explicit worker(worker_options options = {});
  explicit worker(journal where, worker_options options = {});
  worker(worker&&) noexcept;
  worker& operator=(worker&&) noexcept;
  ~worker();

  /// Serves a step by a function of its input, or of its input and a `step_context&`. It may return
  /// the result or a boost::asio::awaitable of it (then include <fermata/asio.hpp>).
  /// Threads: `body` is called from several threads of a pool at once.
  template <class R, class In, class F>
  void serve(const step<R(In)>& what, F body) {
    using input = std::remove_cvref_t<In>;
    add<R, input>(what, detail::erase_step<R, input, F>(std::move(body)));
  }
  template <class R, class F>
  void serve(const step<R()>& what, F body) {
    add<R, detail::nothing>(what, detail::erase_step<R, detail::nothing, F>(std::move(body)));
  }

  /// Serves a step by a member function: `worker.serve(charge_card, bank, &bank_client::charge)`.
  /// Lifetime: `object` must outlive the worker.
  template <class R, class In, class Object, class Method>
    requires std::is_member_function_pointer_v<Method>
  void serve(const step<R(In)>& what, Object& object, Method method) {
    using input = std::remove_cvref_t<In>;
    if constexpr (std::is_invocable_v<Method, Object&, const input&, step_context&>)
      serve(what, [&object, method](const input& in, step_context& s) {
        return std::invoke(method, object, in, s);
      });
    else
      serve(what, [&object, method](const input& in) { return std::invoke(method, object, in); });
  }

  /// Serves a step inside a transaction of the user's database, by a function of its handle and the
  /// input: effect and outcome, exactly once.
  template <class R, class In, class Handle, class F>
  void serve(const step<R(In)>& what, const database<Handle>& where, F body) {
    using input = std::remove_cvref_t<In>;
    add<R, input>(what,
                  detail::erase_transaction<R, input, Handle, F>(where.name(), std::move(body)));
  }
  template <class R, class Handle, class F>
  void serve(const step<R()>& what, const database<Handle>& where, F body) {
    add<R, detail::nothing>(what, detail::erase_transaction<R, detail::nothing, Handle, F>(
                                      where.name(), std::move(body)));
  }

  /// Serves a workflow by a coroutine: a function, or a lambda without captures.
  template <class R, class In, class F>
  void serve(const workflow<R(In)>& what, F body) {
    using input = std::remove_cvref_t<In>;
    check_workflow<F>();
    port().serve_workflow({std::string(what.name()), detail::facts<input>(), detail::facts<R>(),
                           detail::erase_workflow<R, input, F>(std::move(body))});
  }
  template <class R, class F>
  void serve(const workflow<R()>& what, F body) {
    check_workflow<F>();
    port().serve_workflow({std::string(what.name()), detail::facts<void>(), detail::facts<R>(),
                           detail::erase_workflow<R, detail::nothing, F>(std::move(body))});
  }

  /// Says how to reach a database that steps and `ctx.transaction` name.
  /// Lifetime: `how` must outlive the worker.
  template <class Handle>
  void connect(const database<Handle>& which, transactor<Handle>& how) {
    connect_shared(which, std::shared_ptr<transactor<Handle>>(std::shared_ptr<void>(), &how));
  }
  /// The worker keeps it: `worker.connect(films, fermata::sqlite_database("films.db"))`.
  template <class Handle>
  void connect(const database<Handle>& which,
               std::unique_ptr<std::type_identity_t<transactor<Handle>>> how) {
    connect_shared(which, std::shared_ptr<transactor<Handle>>(std::move(how)));
  }
  /// `worker.connect(films, fermata::journal_tables())`, where `Handle` is what the journal is written
  /// with: `sqlite3`, `PGconn`. `run` throws FER-3003 when it is another.
  template <class Handle>
  void connect(const database<Handle>& which, in_journal) {
    port().connect(which.name(), detail::tables_by_handle<Handle>());
  }

  /// Works until stopped; blocks.
  /// Throws: `error` 20xx when the journal can't be used, FER-3001 without a journal.
  void run();
  /// Drains: claims no more, lets attempts in flight end, gives its runs back.
  void stop() noexcept;

  // Below: for the library.
  class impl;
  impl& inside() const noexcept { return *impl_; }
  detail::worker_port& port() const noexcept;

 private:
  template <class R, class In, class Signature, class Body>
  void add(const step<Signature>& what, Body body) {
    port().serve_step({std::string(what.name()), detail::facts<In>(), detail::facts<R>(),
                       what.defaults(), std::move(body)});
  }
  template <class F>
  static consteval void check_workflow() {
    static_assert(
        std::is_empty_v<F> || std::is_pointer_v<F>,
        "a workflow keeps no state outside its frame: a function, or a lambda without captures");
  }
  template <class Handle>
  void connect_shared(const database<Handle>& which, std::shared_ptr<transactor<Handle>> how) {
    port().connect(which.name(), [how](std::string_view origin, std::string_view operation,
                                       const std::function<std::string(void*)>& body) {
      return how->commit(origin, operation, [&body](Handle& handle) { return body(&handle); });
    });
  }

  std::unique_ptr<impl> impl_;
};

/// A worker binary's whole main: the standard flags (--journal, --queue, --concurrency …), run,
/// drain on SIGTERM and SIGINT.
/// Returns: the exit code.
int main(worker& serves, int argc, char** argv);

}  // namespace fermata
