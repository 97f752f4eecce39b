// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/scope.hpp>

namespace fermata {
namespace detail {

/// Runs a member, and tells the scope when it fails: at once, not only when somebody joins.
template <class T>
task<T> scope_member(context&, task<T> branch, std::shared_ptr<scope_state> state) {
  try {
    co_return co_await std::move(branch);
  } catch (const cancelled&) {
    throw;
  } catch (...) {
    state->failed(std::current_exception());
    throw;
  }
}

template <class T>
task<T> awaited(context&, future<T> what) {
  co_return co_await what;
}

inline task<void> scope_deadline(context& ctx, duration limit, location at,
                                 std::shared_ptr<scope_state> state) {
  co_await ctx.sleep(limit, at);
  state->expired = true;
  state->cancel_all();
}

inline task<void> scope_join(context&, std::shared_ptr<scope_state> state) {
  for (std::size_t i = 0; i < state->members.size(); ++i) {
    const slot member = state->members[i];
    const first_of wait{state->port, std::span<const slot>(&member, 1)};
    co_await wait;
    (void)state->port->look(member);  // its failure is known
  }
  state->joined = true;
  if (state->timer) state->port->cancel(*state->timer, location{});
  if (state->expired) throw timed_out("the scope's deadline passed");
  if (state->first_failure) std::rethrow_exception(state->first_failure);
  if (state->stopped) throw cancelled("the scope was cancelled");
}

}  // namespace detail

inline scope::scope(context& ctx, scope_options options, location at)
    : ctx_(&ctx), state_(std::make_shared<detail::scope_state>()) {
  state_->port = &ctx.port();
  state_->cancel_on_failure = options.when_one_fails == siblings::cancel;
  if (options.deadline)
    state_->timer = ctx.spawn(detail::scope_deadline(ctx, *options.deadline, at, state_)).op();
}

inline scope::~scope() {
  if (state_->joined || state_->port->over()) return;
  if (state_->timer) state_->port->drop(*state_->timer);
  for (detail::slot member : state_->members) state_->port->drop(member);
}

template <class T>
future<T> scope::spawn(task<T> branch) {
  future<T> made = ctx_->spawn(detail::scope_member(*ctx_, std::move(branch), state_));
  state_->members.push_back(made.op());
  // It may have failed before it was on the list.
  if (state_->stopped) state_->port->cancel(made.op(), location{});
  return made;
}

template <class Body>
  requires std::invocable<Body&, context&>
auto scope::spawn(Body body) -> future<typename std::invoke_result_t<Body&, context&>::value_type> {
  auto kept = std::make_shared<Body>(std::move(body));
  auto made = spawn((*kept)(*ctx_));
  (void)state_->port->keep(made.op(), kept);
  return made;
}

template <class T>
future<T> scope::add(future<T> member) {
  state_->members.push_back(member.op());
  return spawn(detail::awaited(*ctx_, member));
}

// Shielded: a cancelled parent still waits here until its members have unwound.
inline future<void> scope::join() { return ctx_->shield(detail::scope_join(*ctx_, state_)); }

}  // namespace fermata
