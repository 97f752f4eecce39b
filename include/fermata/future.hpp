// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/run_port.hpp>
#include <fermata/error.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

namespace fermata {

/// The result of something that is under way: a name for it, not its owner. Trivially copyable, may
/// be stored, awaited twice, and put into `all`, `any`, `race` and `timeout`. What it names was
/// issued when the future was made; `co_await` only waits.
/// Lifetime: valid inside the run that made it.
template <class T>
class future {
 public:
  using value_type = T;

  /// True when `co_await` would go on at once.
  bool ready() const { return port_->settled(op_); }

  // Below: for the library.
  future(detail::run_port& port, detail::slot op) noexcept : port_(&port), op_(op) {}
  detail::run_port& port() const noexcept { return *port_; }
  detail::slot op() const noexcept { return op_; }
  T take() const;
  auto operator co_await() const noexcept;

 private:
  detail::run_port* port_;
  detail::slot op_;
};
static_assert(std::is_trivially_copyable_v<future<int>>);

/// How something ended, without throwing: `co_await` isn't allowed in a catch block, this is the
/// way to wait for more after a failure.
///
///   fermata::outcome<charge> paid = co_await ctx.settle(charging);
///   if (!paid) co_await ctx.call(tell_customer, paid.error().what());
template <class T>
class outcome {
 public:
  using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
  outcome(stored value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT
  outcome(failure why) : state_(std::in_place_index<1>, std::move(why)) {}     // NOLINT

  explicit operator bool() const noexcept { return state_.index() == 0; }
  const failure& error() const { return std::get<1>(state_); }
  /// Throws: the failure, when there is one.
  const stored& value() const {
    if (state_.index() == 1) throw std::get<1>(state_);
    return std::get<0>(state_);
  }

 private:
  std::variant<stored, failure> state_;
};

/// The first of several equal futures: which one, and its value.
template <class T>
struct first {
  std::size_t index = 0;
  T value{};
};
template <>
struct first<void> {
  std::size_t index = 0;
};

}  // namespace fermata

#include <fermata/detail/future.hpp>
