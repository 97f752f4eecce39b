// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/run_port.hpp>
#include <fermata/error.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace fermata {
template <class T>
class task;
template <class T>
class future;
class scope;

namespace detail {

/// What every coroutine frame of a run knows: whose it is, its branch, and who waits for it.
class promise_base {
 public:
  template <class... Params>
  explicit promise_base(Params&... params) noexcept : port(find(params...)) {}
  promise_base(const promise_base&) = delete;
  ~promise_base() { port->gone(*this); }

  run_port* port;
  slot branch = 0;
  bool done = false;
  promise_base* parent = nullptr;  // awaits this task
  std::coroutine_handle<> self;
  std::exception_ptr error;

  // No symmetric transfer: it isn't a tail call at -O0 nor under GCC's sanitizers. The end of a
  // task only notes that its parent may go on.
  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) const noexcept {
      frame.promise().port->ended(frame.promise());
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  final_awaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  template <class T>
  static auto await_transform(future<T> what) noexcept {
    return what;
  }
  template <class T>
  static task<T>&& await_transform(task<T>&& what) noexcept {
    return static_cast<task<T>&&>(what);
  }
  template <class T>
  static auto await_transform(task<T>&) noexcept {
    static_assert(sizeof(T*) == 0,
                  "await a task once, where it is made: co_await fulfil(ctx, o); to wait "
                  "twice or later, spawn it and keep the future");
    return std::suspend_never{};
  }
  template <class A>
    requires(!requires(A&& a) { std::forward<A>(a).operator_durable(); })
  static auto await_transform(A&&) noexcept {
    static_assert(
        sizeof(A*) == 0 && false,
        "a workflow awaits only what is recorded: ctx.call, ctx.sleep, ctx.receive, ctx.all, "
        "another fermata::task …; anything else belongs into a step");
    return std::suspend_never{};
  }
  template <class A>
    requires(requires(A&& a) { std::forward<A>(a).operator_durable(); })
  static decltype(auto) await_transform(A&& what) noexcept {
    return std::forward<A>(what).operator_durable();
  }
  template <class U>
  std::suspend_never yield_value(U&&) noexcept {
    static_assert(sizeof(U*) == 0 && false, "a workflow doesn't yield: publish a value instead");
    return {};
  }

 private:
  // The context is found by type, never by position: for members and lambdas, compilers differ.
  template <class P>
  static run_port* one(P& param) noexcept {
    if constexpr (std::is_same_v<std::remove_cv_t<P>, context>)
      return &port_of(param);
    else
      return nullptr;
  }
  template <class... Params>
  static run_port* find(Params&... params) noexcept {
    run_port* found = nullptr;
    ((found = found ? found : one(params)), ...);
    return found;
  }
};

template <class T>
class promise : public promise_base {
 public:
  using promise_base::promise_base;
  task<T> get_return_object();
  void return_value(T result) { value_.emplace(std::move(result)); }
  const T& look() const {
    if (error) std::rethrow_exception(error);
    return *value_;
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class promise<void> : public promise_base {
 public:
  using promise_base::promise_base;
  task<void> get_return_object();
  void return_void() const noexcept {}
  void look() const {
    if (error) std::rethrow_exception(error);
  }
  void take() const { look(); }
};

template <class P>
inline constexpr bool is_context = std::is_same_v<P, context&>;

/// Refuses signatures that would go wrong at a replay. The object of a member function or lambda
/// comes first where there is one; so `context&` is the first or second type.
template <class... Params>
consteval void check_parameters() {
  static_assert((is_context<Params> + ... + 0) == 1,
                "a task takes exactly one fermata::context&: task<receipt> "
                "fulfil(fermata::context& ctx, order o)");
  constexpr bool contexts[] = {is_context<Params>..., false};
  constexpr bool references[] = {std::is_reference_v<Params>..., false};
  static_assert(contexts[0] || contexts[1], "fermata::context& is the first parameter of a task");
  constexpr bool dangles = [&] {
    bool after = false;
    for (std::size_t i = 0; i < sizeof...(Params); ++i) {
      if (after && references[i]) return true;
      after = after || contexts[i];
    }
    return false;
  }();
  static_assert(!dangles,
                "a task takes its parameters by value, only the context by reference: other "
                "references dangle when a frame is dropped and replayed");
}

}  // namespace detail
}  // namespace fermata

/// Checks the declared parameter types of every coroutine that returns a task.
template <class T, class... Params>
struct std::coroutine_traits<fermata::task<T>, Params...> {
  static constexpr bool checked = (fermata::detail::check_parameters<Params...>(), true);
  using promise_type = std::conditional_t<checked, fermata::detail::promise<T>, void>;
};
