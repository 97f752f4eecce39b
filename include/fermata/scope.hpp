// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/context.hpp>
#include <fermata/detail/scope.hpp>

#include <memory>
#include <optional>

namespace fermata {

/// What happens to the others when one branch of a scope fails.
enum class siblings { cancel, finish };

struct scope_options {
  std::optional<duration> deadline = {};
  siblings when_one_fails = siblings::cancel;
};

/// A stretch of a workflow whose branches end with it.
///
///   fermata::scope crew(ctx, {.deadline = 2h});
///   for (const chapter& c : book.chapters) crew.spawn(narrate(ctx, c));
///   co_await crew.join();
///
/// Members are cancelled when one of them fails or the deadline passes; `join` waits until all have
/// ended and throws the first failure, or `timed_out`. A scope that is left without `join` (an
/// exception, a return) drops its branches then and there, so that none outlives the locals it
/// uses; what they registered with `on_failure` stays.
/// Journal: nothing of its own; `timer_set` for a deadline, `cancel_requested` for what it stops.
/// Threads: as `context`.
class scope {
 public:
  explicit scope(context& ctx, scope_options options = {}, location at = location::current());
  ~scope();
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

  /// Runs a branch inside the scope.
  template <class T>
  future<T> spawn(task<T> branch);
  template <class Body>
    requires std::invocable<Body&, context&>
  auto spawn(Body body) -> future<typename std::invoke_result_t<Body&, context&>::value_type>;

  /// Takes a call, a child or a wait into the scope.
  template <class T>
  future<T> add(future<T> member);

  /// Asks all members to stop; `join` then throws `cancelled`.
  void cancel() { state_->cancel_all(); }

  /// Waits until every member has ended.
  [[nodiscard]] future<void> join();

 private:
  context* ctx_;
  std::shared_ptr<detail::scope_state> state_;
};

}  // namespace fermata

#include <fermata/detail/scope_impl.hpp>
