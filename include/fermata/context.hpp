// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/child.hpp>
#include <fermata/detail/bodies.hpp>
#include <fermata/detail/refusals.hpp>
#include <fermata/future.hpp>
#include <fermata/log.hpp>
#include <fermata/signal.hpp>
#include <fermata/step.hpp>
#include <fermata/task.hpp>
#include <fermata/transaction.hpp>
#include <fermata/workflow.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

namespace fermata {

/// How `map` spreads its calls.
struct map_options {
  std::size_t at_most = 16;  ///< calls in flight
};

/// Everything a workflow may do. What is asked here is recorded, and answered from the record when
/// the run is replayed. One per run; any task of the run may use it. Every operation takes the
/// caller's source location by itself; `show` and `explain` print it.
/// Threads: only inside the run's own coroutines.
class context : private detail::refusals {
 public:
  // ---- steps, children, local work ----

  /// Issues `what` at once and returns the name of its result.
  /// Journal: one `step_completed` or `step_failed`; one `attempt_failed` per failed attempt. With
  /// `.undo`, a `compensation_registered` that is committed before the first attempt.
  /// Throws (from co_await): `failure`, `timed_out`, `cancelled`.
  template <class R, class In>
  [[nodiscard]] future<R> call(const step<R(In)>& what, const std::type_identity_t<In>& input,
                               call_options<std::remove_cvref_t<In>> options = {},
                               location at = location::current());
  template <class R>
  [[nodiscard]] future<R> call(const step<R()>& what, call_options<detail::nothing> options = {},
                               location at = location::current());

  /// Runs a child workflow and waits for its result.
  /// Journal: `child_started`, then `child_completed` or `child_failed`.
  template <class R, class In>
  [[nodiscard]] future<R> call(const workflow<R(In)>& what, const std::type_identity_t<In>& input,
                               child_options options = {}, location at = location::current());
  template <class R>
  [[nodiscard]] future<R> call(const workflow<R()>& what, child_options options = {},
                               location at = location::current());

  /// Starts a child workflow to talk to, or to leave alone.
  template <class R, class In>
  [[nodiscard]] child<R> start_child(const workflow<R(In)>& what,
                                     const std::type_identity_t<In>& input,
                                     child_options options = {}, location at = location::current());
  template <class R>
  [[nodiscard]] child<R> start_child(const workflow<R()>& what, child_options options = {},
                                     location at = location::current());

  /// Runs `body` once, near the workflow, and records what it returned. For work too small for a
  /// name that others share. Capture by reference; `body` may take a `step_context&`.
  template <class Body>
  [[nodiscard]] auto run(name label, Body&& body, step_options options = {},
                         location at = location::current()) -> future<detail::body_result<Body>>;

  /// Runs `body` inside a transaction of the user's own database, which also stores the outcome:
  /// effect and record happen together, exactly once.
  template <class Handle, class Body>
  [[nodiscard]] auto transaction(name label, const database<Handle>& where, Body&& body,
                                 step_options options = {}, location at = location::current())
      -> future<std::invoke_result_t<Body&, Handle&>>;

  /// Calls `what` for each input, at most so many at a time; results in the order of the inputs.
  /// The first failure cancels the calls in flight and is thrown.
  template <class R, class In>
  [[nodiscard]] future<detail::list_of<R>> map(
      const step<R(In)>& what, std::vector<std::type_identity_t<std::remove_cvref_t<In>>> inputs,
      map_options options = {}, location at = location::current());
  template <class R, class In>
  [[nodiscard]] future<detail::list_of<R>> map(
      const workflow<R(In)>& what,
      std::vector<std::type_identity_t<std::remove_cvref_t<In>>> inputs, map_options options = {},
      location at = location::current());

  // ---- waiting ----

  /// Never early by the journal's clock.
  /// Journal: `timer_set`, `timer_fired`.
  [[nodiscard]] future<void> sleep(duration how_long, location at = location::current());
  [[nodiscard]] future<void> sleep_until(time_point when, location at = location::current());

  /// Waits until `what` arrives, or until `patience` has passed: then the result is empty (false
  /// for a signal that carries nothing). Signals are kept in the order they arrived, also those
  /// that came before this call.
  /// Journal: one `signal_received` or `timer_fired`; with patience a `timer_set` before.
  template <class T>
  [[nodiscard]] future<T> receive(const fermata::signal<T>& what,
                                  location at = location::current());
  template <class T>
  [[nodiscard]] future<detail::maybe<T>> receive(const fermata::signal<T>& what, duration patience,
                                                 location at = location::current());

  // ---- several at once ----

  /// All results; the first failure is thrown at once, the others go on.
  template <class T>
  [[nodiscard]] future<detail::list_of<T>> all(std::vector<future<T>> parts);
  template <class... Ts>
  [[nodiscard]] future<std::tuple<detail::stored<Ts>...>> all(future<Ts>... parts);

  /// The first to end, with its value or failure; the others go on.
  template <class T>
  [[nodiscard]] future<first<T>> any(std::vector<future<T>> parts);
  template <class... Ts>
  [[nodiscard]] future<std::variant<detail::stored<Ts>...>> any(future<Ts>... parts);

  /// As `any`, and the others are cancelled.
  /// Journal: one `cancel_requested` per loser that hasn't ended.
  template <class T>
  [[nodiscard]] future<first<T>> race(std::vector<future<T>> parts);
  template <class... Ts>
  [[nodiscard]] future<std::variant<detail::stored<Ts>...>> race(future<Ts>... parts);

  /// `what`, or `timed_out` when it takes longer than `limit`; then it is cancelled.
  /// Journal: `timer_set`; `timer_fired` and `cancel_requested` when it takes longer.
  template <class T>
  [[nodiscard]] future<T> timeout(future<T> what, duration limit,
                                  location at = location::current());
  template <class T>
  [[nodiscard]] future<T> timeout(task<T> what, duration limit, location at = location::current());

  /// How `what` ended, without throwing its failure.
  template <class T>
  [[nodiscard]] future<outcome<T>> settle(future<T> what);

  /// Runs `branch` beside this one. Its failure is thrown where its future is awaited; a failure
  /// that nobody awaited fails the run when it ends. `scope` bounds the life of several branches.
  template <class T>
  [[nodiscard]] future<T> spawn(task<T> branch);
  /// As above, for a lambda that takes `context&`; the lambda lives as long as the branch.
  template <class Body>
    requires std::invocable<Body&, context&>
  [[nodiscard]] auto spawn(Body body)
      -> future<typename std::invoke_result_t<Body&, context&>::value_type>;

  // ---- failure and cancellation ----

  /// If this run later fails or is cancelled, calls `undo` with `input`; the newest first.
  /// Journal: `compensation_registered`, in the next append; its own events when it runs.
  template <class R, class In>
  void on_failure(const step<R(In)>& undo, const std::type_identity_t<In>& input,
                  step_options options = {}, location at = location::current());
  template <class R, class In>
  void on_failure(const workflow<R(In)>& undo, const std::type_identity_t<In>& input,
                  child_options options = {}, location at = location::current());

  /// Runs `stretch` to its end, also when the run is cancelled meanwhile.
  template <class T>
  [[nodiscard]] future<T> shield(task<T> stretch);

  /// Asks what `what` names to stop.
  /// Journal: one `cancel_requested`, unless it has ended.
  template <class T>
  void cancel(future<T> what, location at = location::current());

  // ---- the outside looks in ----

  /// One line about where the run stands, for people. Not an event: written now and then.
  void status(std::string_view text) { port_->status(text); }

  /// A line in the run's log (and the worker's); silent on replay, but after a crash a line may
  /// appear twice.
  void log(std::string_view text, location at = location::current()) {
    port_->log(level::info, text, at);
  }
  void log(level how, std::string_view text, location at = location::current()) {
    port_->log(how, text, at);
  }

  /// A value that anyone can read without a live worker.
  /// Journal: one `published`.
  template <class T>
  void publish(const published<T>& what, const std::type_identity_t<T>& value,
               location at = location::current());

  /// Finds runs later by what they are about: `fermata list --tag customer=c-7`. At most 32 names a
  /// run, those of its start included; a value has at most 255 bytes of UTF-8.
  /// Journal: one `tagged`.
  void tag(name key, std::string_view value, location at = location::current());

  /// Sends a signal to another run.
  /// Journal: one `signal_sent`.
  template <class T>
  void signal(std::string_view run, const fermata::signal<T>& what,
              const std::type_identity_t<T>& value, location at = location::current());
  void signal(std::string_view run, const fermata::signal<void>& what,
              location at = location::current());

  // ---- deterministic facts ----

  time_point now() const { return port_->now(); }     ///< the time of the event that woke the run
  std::uint64_t random() { return port_->random(); }  ///< derived from seed, branch and count
  std::int64_t random(std::int64_t low, std::int64_t high);  ///< both ends included
  std::string uuid();                                        ///< version 4, derived as `random` is
  std::string_view run_id() const { return port_->run_id(); }

  // ---- change ----

  /// True in runs that had not yet passed this line when the change was deployed. The first answer
  /// for a name holds for the whole run.
  /// Journal: one `marker`, the first time it is true.
  bool patched(name change, location at = location::current()) {
    return port_->patched(change.view(), at);
  }

  // What would go wrong is refused in words.
  using detail::refusals::call;
  using detail::refusals::on_failure;

  context(const context&) = delete;
  // Below: for the library.
  explicit context(detail::run_port& port) noexcept : port_(&port) {}
  detail::run_port& port() const noexcept { return *port_; }

 private:
  detail::run_port* port_;
};

}  // namespace fermata

#include <fermata/detail/context.hpp>
#include <fermata/detail/combine.hpp>
