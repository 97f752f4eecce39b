// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/run_port.hpp>
#include <fermata/step_context.hpp>

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// The types of results, and what keeps the lambdas of `run` and `transaction`.
namespace fermata::detail {

template <class T>
using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
template <class T>
struct list {
  using type = std::vector<T>;
};
template <>
struct list<void> {
  using type = void;
};
template <class T>
using list_of = typename list<T>::type;
template <class T>
using maybe = std::conditional_t<std::is_void_v<T>, bool, std::optional<stored<T>>>;

template <class Body>
constexpr auto body_result_of() {
  if constexpr (std::is_invocable_v<Body&, step_context&>)
    return std::type_identity<std::invoke_result_t<Body&, step_context&>>{};
  else if constexpr (std::is_invocable_v<Body&>)
    return std::type_identity<std::invoke_result_t<Body&>>{};
  else
    static_assert(sizeof(Body*) == 0, "the body takes nothing, or a step_context&");
}
template <class Body>
using body_result = typename decltype(body_result_of<Body>())::type;

/// Calls `run` and encodes what it returns as an R.
template <class R, class F>
payload record(F&& run) {
  if constexpr (std::is_void_v<R>) {
    run();
    return no_value();
  } else {
    return encode<R>(R(run()));
  }
}

template <class Body>
class kept_body final : public local_body {
 public:
  explicit kept_body(Body body) : body_(std::move(body)) {}
  payload run(step_context& attempt, void*) override {
    if constexpr (std::is_invocable_v<Body&, step_context&>)
      return record<std::invoke_result_t<Body&, step_context&>>([&] { return body_(attempt); });
    else
      return record<std::invoke_result_t<Body&>>([&] { return body_(); });
  }

 private:
  Body body_;
};

template <class Handle, class Body>
class transaction_body final : public local_body {
 public:
  explicit transaction_body(Body body) : body_(std::move(body)) {}
  payload run(step_context&, void* handle) override {
    Handle& database = *static_cast<Handle*>(handle);
    return record<std::invoke_result_t<Body&, Handle&>>([&] { return body_(database); });
  }

 private:
  Body body_;
};

template <class Body>
consteval void check_body() {
  static_assert(std::is_lvalue_reference_v<Body> || !destroyed_twice<std::remove_cvref_t<Body>>,
                "capture by reference, or name the lambda first: GCC 12 destroys the captures of a "
                "lambda written inside a co_await expression twice");
}

}  // namespace fermata::detail
