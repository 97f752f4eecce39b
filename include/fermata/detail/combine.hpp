// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/context.hpp>

#include <optional>
#include <string>
#include <utility>

/// The combinators are ordinary tasks in a branch of their own, made of one primitive: the first of
/// several operations. They need no event: the journal's order decides, and replay repeats it.
namespace fermata {
namespace detail {

template <class T>
stored<T> store(const future<T>& done) {
  if constexpr (std::is_void_v<T>) {
    done.take();
    return {};
  } else {
    return done.take();
  }
}

/// Waits for all; throws the first failure, in the order in which they failed. The others' are known
/// with it.
template <class Look>
task<void> wait_all(context& ctx, std::vector<slot> ops, Look look) {
  for (slot op : ops) ctx.port().observe(op);
  while (!ops.empty()) {
    const first_of wait{&ctx.port(), ops};
    std::size_t i = co_await wait;
    look(ops[i]);
    ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

template <class T>
task<list_of<T>> all_of(context& ctx, std::vector<future<T>> parts) {
  std::vector<slot> ops;
  for (const future<T>& part : parts) ops.push_back(part.op());
  auto look = [&ctx](slot op) { (void)store(future<T>(ctx.port(), op)); };
  co_await wait_all(ctx, ops, look);
  if constexpr (!std::is_void_v<T>) {
    std::vector<T> values;
    values.reserve(parts.size());
    for (const future<T>& part : parts) values.push_back(part.take());
    co_return values;
  }
}

template <class... Ts>
task<std::tuple<stored<Ts>...>> all_tuple(context& ctx, std::tuple<future<Ts>...> parts) {
  std::vector<slot> ops;
  std::apply([&](const auto&... part) { (ops.push_back(part.op()), ...); }, parts);
  auto look = [&ctx, &parts](slot op) {
    (void)ctx;
    std::apply([&](const auto&... part) { ((part.op() == op ? (void)store(part) : void()), ...); },
               parts);
  };
  co_await wait_all(ctx, ops, look);
  co_return std::apply(
      [](const auto&... part) { return std::tuple<stored<Ts>...>(store(part)...); }, parts);
}

inline void cancel_others(run_port& port, const std::vector<slot>& ops, std::size_t winner,
                          bool wanted) {
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (i == winner) continue;
    if (wanted) port.cancel(ops[i], location{});  // its own place
    port.observe(ops[i]);
  }
}

template <class T>
task<first<T>> any_of(context& ctx, std::vector<future<T>> parts, bool cancel_losers) {
  std::vector<slot> ops;
  for (const future<T>& part : parts) ops.push_back(part.op());
  const first_of wait{&ctx.port(), ops};
  std::size_t winner = co_await wait;
  cancel_others(ctx.port(), ops, winner, cancel_losers);
  if constexpr (std::is_void_v<T>) {
    parts[winner].take();
    co_return first<void>{winner};
  } else {
    co_return first<T>{winner, parts[winner].take()};
  }
}

template <class... Ts, std::size_t... I>
std::variant<stored<Ts>...> pick(const std::tuple<future<Ts>...>& parts, std::size_t winner,
                                 std::index_sequence<I...>) {
  std::optional<std::variant<stored<Ts>...>> value;
  ((I == winner ? (void)value.emplace(std::in_place_index<I>, store(std::get<I>(parts))) : void()),
   ...);
  return std::move(*value);
}

template <class... Ts>
task<std::variant<stored<Ts>...>> any_variant(context& ctx, std::tuple<future<Ts>...> parts,
                                              bool cancel_losers) {
  std::vector<slot> ops;
  std::apply([&](const auto&... part) { (ops.push_back(part.op()), ...); }, parts);
  const first_of wait{&ctx.port(), ops};
  std::size_t winner = co_await wait;
  cancel_others(ctx.port(), ops, winner, cancel_losers);
  co_return pick(parts, winner, std::index_sequence_for<Ts...>());
}

template <class T>
task<T> bounded(context& ctx, future<T> what, duration limit, location at) {
  future<void> timer = ctx.sleep(limit, at);
  const std::vector<slot> ops{what.op(), timer.op()};
  const first_of wait{&ctx.port(), ops};
  std::size_t winner = co_await wait;
  // A timer that was cancelled with this branch isn't over: what it bounds is being stopped, too.
  const bool late = winner == 1 && ctx.port().look(timer.op()).how == settled_as::value;
  if (winner == 1 && !late) co_return co_await what;
  cancel_others(ctx.port(), ops, winner, true);
  if (late)
    throw timed_out("took longer than " + std::to_string(limit.count()) + " ms",
                    std::string(ctx.run_id()));
  co_return what.take();
}

template <class T>
task<outcome<T>> settled_outcome(context&, future<T> what) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await what;
      co_return outcome<T>(std::monostate{});
    } else {
      co_return outcome<T>(co_await what);
    }
  } catch (const failure& why) {
    co_return outcome<T>(why);
  }
}

/// One branch issues all calls in the order of the inputs, so that a call's number is its input's,
/// whichever finishes first.
template <class Name, class In>
task<list_of<typename Name::result>> map_inputs(context& ctx, Name what, std::vector<In> inputs,
                                                std::size_t at_most, location at) {
  using R = typename Name::result;
  std::vector<future<R>> parts;
  std::vector<slot> flying;
  for (const In& input : inputs) {
    if (!flying.empty() && flying.size() >= at_most) {
      const first_of wait{&ctx.port(), flying};
      std::size_t i = co_await wait;
      (void)store(future<R>(ctx.port(), flying[i]));
      flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(i));
    }
    parts.push_back(ctx.call(what, input, {}, at));
    flying.push_back(parts.back().op());
  }
  co_return co_await all_of(ctx, std::move(parts));
}

}  // namespace detail

template <class T>
future<detail::list_of<T>> context::all(std::vector<future<T>> parts) {
  return spawn(detail::all_of(*this, std::move(parts)));
}
template <class... Ts>
future<std::tuple<detail::stored<Ts>...>> context::all(future<Ts>... parts) {
  return spawn(detail::all_tuple<Ts...>(*this, std::tuple<future<Ts>...>(parts...)));
}
template <class T>
future<first<T>> context::any(std::vector<future<T>> parts) {
  return spawn(detail::any_of(*this, std::move(parts), false));
}
template <class... Ts>
future<std::variant<detail::stored<Ts>...>> context::any(future<Ts>... parts) {
  return spawn(detail::any_variant<Ts...>(*this, std::tuple<future<Ts>...>(parts...), false));
}
template <class T>
future<first<T>> context::race(std::vector<future<T>> parts) {
  return spawn(detail::any_of(*this, std::move(parts), true));
}
template <class... Ts>
future<std::variant<detail::stored<Ts>...>> context::race(future<Ts>... parts) {
  return spawn(detail::any_variant<Ts...>(*this, std::tuple<future<Ts>...>(parts...), true));
}
template <class T>
future<T> context::timeout(future<T> what, duration limit, location at) {
  return spawn(detail::bounded(*this, what, limit, at));
}
template <class T>
future<T> context::timeout(task<T> what, duration limit, location at) {
  return timeout(spawn(std::move(what)), limit, at);
}
template <class T>
future<outcome<T>> context::settle(future<T> what) {
  return spawn(detail::settled_outcome(*this, what));
}
template <class R, class In>
future<detail::list_of<R>> context::map(
    const step<R(In)>& what, std::vector<std::type_identity_t<std::remove_cvref_t<In>>> inputs,
    map_options options, location at) {
  return spawn(detail::map_inputs(*this, what, std::move(inputs), options.at_most, at));
}
template <class R, class In>
future<detail::list_of<R>> context::map(
    const workflow<R(In)>& what, std::vector<std::type_identity_t<std::remove_cvref_t<In>>> inputs,
    map_options options, location at) {
  return spawn(detail::map_inputs(*this, what, std::move(inputs), options.at_most, at));
}

}  // namespace fermata
