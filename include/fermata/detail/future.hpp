// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/promise.hpp>
#include <fermata/future.hpp>

#include <cstdlib>

namespace fermata {
namespace detail {

/// A value that doesn't fit blocks the run, also when the code catches everything.
template <class T>
T decode_or_block(run_port& port, slot op, std::string_view bytes) {
  try {
    return decode<T>(bytes);
  } catch (const decode_error& why) {
    port.undecodable(op, why.what());
    throw;
  }
}

}  // namespace detail

template <class T>
T future<T>::take() const {
  const detail::result_view is = port_->look(op_);
  if (is.how == detail::settled_as::cancelled)
    throw cancelled("cancelled while waiting", std::string(port_->run_id()));
  if (is.frame != nullptr) {
    // Only spawn<T> makes a branch of this slot, and it returned this very type.
    if constexpr (std::is_void_v<T>)
      return static_cast<detail::promise<void>*>(is.frame)->look();
    else
      return static_cast<detail::promise<T>*>(is.frame)->look();
  }
  if (is.how == detail::settled_as::failed) {
    if (is.why->type() == "timed_out") throw timed_out(is.why->what(), is.why->run());
    throw *is.why;
  }
  if constexpr (detail::is_optional<T>::value) {
    if (is.how == detail::settled_as::elapsed) return std::nullopt;
  }
  if constexpr (std::is_same_v<T, bool>) {
    // A wait for a signal that carries nothing: did it come?
    if (is.how == detail::settled_as::elapsed) return false;
    if (is.bytes == "null") return true;
  }
  if constexpr (std::is_void_v<T> || recordable<T>)
    return detail::decode_or_block<T>(*port_, op_, is.bytes);
  else
    std::abort();  // only branches have results that cannot be recorded, and they have a frame
}

namespace detail {

/// Waits for the first of some operations; the base of every other wait.
struct first_of {
  run_port* port;
  std::span<const slot> ops;
  bool refused = false;

  bool settled() const {
    for (slot op : ops)
      if (port->settled(op)) return true;
    return false;
  }
  bool await_ready() {
    if (port->over()) return false;
    for (slot op : ops) refused = refused || port->refuses(op);
    return refused || settled();
  }
  template <class P>
  void await_suspend(std::coroutine_handle<P> frame) {
    if (!port->over()) port->wait(ops, frame.promise());
  }
  void check() const {
    if (refused || !settled())
      throw cancelled("this branch was cancelled", std::string(port->run_id()));
  }
  std::size_t await_resume() const {
    check();
    for (std::size_t i = 0; i < ops.size(); ++i)
      if (port->settled(ops[i])) return i;
    return 0;
  }
  first_of operator_durable() const noexcept { return *this; }
};

template <class T>
struct future_awaiter {
  explicit future_awaiter(future<T> what) noexcept
      : named(what), op(what.op()), waits{&what.port(), {}} {}
  future<T> named;
  slot op;
  first_of waits;

  bool await_ready() {
    waits.ops = std::span<const slot>(&op, 1);
    return waits.await_ready();
  }
  template <class P>
  void await_suspend(std::coroutine_handle<P> frame) {
    waits.ops = std::span<const slot>(&op, 1);
    waits.await_suspend(frame);
  }
  T await_resume() const {
    waits.check();
    return named.take();
  }
};

}  // namespace detail

template <class T>
auto future<T>::operator co_await() const noexcept {
  return detail::future_awaiter<T>(*this);
}

}  // namespace fermata
