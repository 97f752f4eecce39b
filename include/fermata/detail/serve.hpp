// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/context.hpp>
#include <fermata/detail/worker_port.hpp>
#include <fermata/step_context.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace boost::asio {
template <typename, typename>
class awaitable;
}

/// Makes bytes-in, bytes-out functions of what users give to `worker.serve`.
namespace fermata::detail {

template <class T>
struct is_awaitable : std::false_type {};
template <class T, class E>
struct is_awaitable<boost::asio::awaitable<T, E>> : std::true_type {};

/// Runs steps that are awaitables; only <fermata/asio.hpp> defines it.
template <class R, class In, class Awaitable>
struct async_step;

/// Throws: `undecodable_input`, which tells the executor from what the step itself throws.
template <class In>
In input_of(const payload& value) {
  try {
    return decode<In>(value);
  } catch (const decode_error& why) {
    throw undecodable_input(why.what());
  }
}

template <class F, class In>
consteval auto returned_by() {
  constexpr bool none = std::is_same_v<In, nothing>;
  if constexpr (none && std::is_invocable_v<F&, step_context&>)
    return std::type_identity<std::invoke_result_t<F&, step_context&>>{};
  else if constexpr (none && std::is_invocable_v<F&>)
    return std::type_identity<std::invoke_result_t<F&>>{};
  else if constexpr (!none && std::is_invocable_v<F&, const In&, step_context&>)
    return std::type_identity<std::invoke_result_t<F&, const In&, step_context&>>{};
  else if constexpr (!none && std::is_invocable_v<F&, const In&>)
    return std::type_identity<std::invoke_result_t<F&, const In&>>{};
  else
    return std::type_identity<nothing>{};
}

template <class In, class F>
decltype(auto) call_step(F& body, [[maybe_unused]] const In& input,
                         [[maybe_unused]] step_context& attempt) {
  if constexpr (std::is_same_v<In, nothing>) {
    if constexpr (std::is_invocable_v<F&, step_context&>)
      return body(attempt);
    else
      return body();
  } else {
    if constexpr (std::is_invocable_v<F&, const In&, step_context&>)
      return body(input, attempt);
    else
      return body(input);
  }
}

template <class R, class In, class F>
step_body erase_step(F body) {
  using returned = typename decltype(returned_by<F, In>())::type;
  if constexpr (std::is_same_v<returned, nothing>) {
    static_assert(sizeof(F*) == 0,
                  "a step is served by a function of its input, or of its input and a "
                  "step_context&: [](const order& o) { … } or "
                  "[](const order& o, fermata::step_context& s) { … }");
    return sync_body{};
  } else if constexpr (is_awaitable<returned>::value) {
    constexpr bool included = requires { sizeof(async_step<R, In, returned>); };
    static_assert(
        included,
        "this step is an asio::awaitable: #include <fermata/asio.hpp> where it is served");
    if constexpr (included)
      return async_step<R, In, returned>::erase(std::move(body));
    else
      return sync_body{};
  } else {
    constexpr bool fits = std::is_void_v<R> || std::is_convertible_v<returned, R>;
    static_assert(fits, "this function returns another type than the step was declared with");
    if constexpr (fits)
      return sync_body([body = std::move(body)](const payload& bytes, step_context& s) mutable {
        const In input = input_of<In>(bytes);
        return record<R>([&]() -> decltype(auto) { return call_step<In>(body, input, s); });
      });
    else
      return sync_body{};
  }
}

template <class R, class In, class Handle, class F>
transactional_body erase_transaction(std::string_view database, F body) {
  constexpr bool none = std::is_same_v<In, nothing>;
  constexpr bool fits =
      none ? std::is_invocable_v<F&, Handle&> : std::is_invocable_v<F&, Handle&, const In&>;
  static_assert(
      fits, "a transactional step is served by a function of the database handle and its input");
  if constexpr (!fits)
    return {};
  else
    return {std::string(database),
            [body = std::move(body)](void* handle, const payload& bytes) mutable {
              const In input = input_of<In>(bytes);
              Handle& data = *static_cast<Handle*>(handle);
              return record<R>([&]() -> decltype(auto) {
                if constexpr (std::is_same_v<In, nothing>)
                  return body(data);
                else
                  return body(data, input);
              });
            }};
}

template <class Returned>
struct task_result {
  using type = struct not_a_task;
};
template <class T>
struct task_result<task<T>> {
  using type = T;
};

template <class R>
[[noreturn]] R throw_again(std::exception_ptr why) {
  std::rethrow_exception(std::move(why));
}

/// Code that throws before its coroutine begins fails as one that throws in it.
template <class R>
task<R> throwing(context&, std::exception_ptr why) {
  co_return throw_again<R>(why);
}

template <class R, class In, class F>
task<R> call_workflow(context& ctx, F& body, const payload& input) {
  try {
    if constexpr (std::is_same_v<In, nothing>)
      return body(ctx);
    else
      return body(ctx, decode_or_block<In>(ctx.port(), 0, input.bytes));
  } catch (...) {
    return throwing<R>(ctx, std::current_exception());
  }
}

template <class R>
payload result_of(promise_base& ended) {
  auto& frame = static_cast<promise<R>&>(ended);
  if constexpr (std::is_void_v<R>) {
    frame.take();
    return no_value();
  } else {
    return encode(frame.take());
  }
}

template <class R, class In, class F>
workflow_function erase_workflow(F body) {
  constexpr bool fits = std::is_same_v<In, nothing> ? std::is_invocable_v<F&, context&>
                                                    : std::is_invocable_v<F&, context&, In>;
  static_assert(fits,
                "a workflow is served by a coroutine of the context and its input by value: "
                "task<receipt> fulfil(fermata::context& ctx, order o)");
  if constexpr (fits) {
    using returned = typename decltype([] {
      if constexpr (std::is_same_v<In, nothing>)
        return std::type_identity<std::invoke_result_t<F&, context&>>{};
      else
        return std::type_identity<std::invoke_result_t<F&, context&, In>>{};
    }())::type;
    using result = typename task_result<returned>::type;
    static_assert(std::is_same_v<result, R>,
                  "this function must return fermata::task of the workflow's result type");
    if constexpr (std::is_same_v<result, R>)
      return [kept = std::make_shared<F>(std::move(body))](context& ctx, const payload& input) {
        task<R> flow = call_workflow<R, In>(ctx, *kept, input);
        promise_base& frame = flow.promise();
        flow.release();
        return root_frame{&frame, result_of<R>};
      };
  }
  return {};
}

}  // namespace fermata::detail
