// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/serve.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

/// Steps that are `boost::asio::awaitable`. Include this where such a step is served; nothing else
/// under include/fermata/ needs Asio.
///
///   worker.serve(ship_parcel, [&](const order& o) -> boost::asio::awaitable<parcel> { … });
///
/// Each attempt runs on a strand of the worker's io_context. When it should stop (timed out,
/// cancelled, drained) it gets Asio's terminal cancellation, and `step_context::stop_token()` is
/// set as for any step.
namespace fermata::detail {

/// One attempt: what has to stay alive until the awaitable is done.
template <class In, class F>
struct async_attempt {
  async_attempt(boost::asio::io_context& io, std::shared_ptr<F> kept, In value, async_done then)
      : strand(boost::asio::make_strand(io)),
        body(std::move(kept)),
        input(std::move(value)),
        done(std::move(then)) {}

  boost::asio::strand<boost::asio::io_context::executor_type> strand;
  std::shared_ptr<F> body;
  In input;
  async_done done;
  boost::asio::cancellation_signal cancel = {};
  std::optional<std::stop_callback<std::function<void()>>> on_stop = {};

  /// Touched only on the strand.
  void finish(std::exception_ptr problem, payload result) {
    on_stop.reset();
    std::exchange(done, nullptr)(problem, std::move(result));
  }
};

template <class R, class In, class T, class E>
struct async_step<R, In, boost::asio::awaitable<T, E>> {
  static_assert(std::is_void_v<R> || std::is_convertible_v<T, R>,
                "this function returns another type than the step was declared with");

  template <class F>
  static async_body erase(F body) {
    return [kept = std::make_shared<F>(std::move(body))](void* io, payload bytes, step_context& s,
                                                         async_done done) {
      std::shared_ptr<async_attempt<In, F>> attempt;
      try {
        attempt = std::make_shared<async_attempt<In, F>>(*static_cast<boost::asio::io_context*>(io),
                                                         kept, input_of<In>(bytes), done);
      } catch (...) {
        return done(std::current_exception(), {});
      }
      boost::asio::post(attempt->strand, [attempt, &s] { begin(attempt, s); });
    };
  }

 private:
  template <class F>
  static void begin(std::shared_ptr<async_attempt<In, F>> attempt, step_context& s) {
    try {
      auto step = call_step<In>(*attempt->body, attempt->input, s);
      attempt->on_stop.emplace(s.stop_token(), [weak = std::weak_ptr(attempt)] {
        if (auto live = weak.lock())
          boost::asio::post(live->strand, [live] {
            live->cancel.emit(boost::asio::cancellation_type::terminal);
          });
      });
      boost::asio::co_spawn(
          attempt->strand, run(std::move(step)),
          boost::asio::bind_cancellation_slot(
              attempt->cancel.slot(), [attempt](std::exception_ptr problem, payload result) {
                attempt->finish(problem, std::move(result));
              }));
    } catch (...) {
      attempt->finish(std::current_exception(), {});
    }
  }

  static boost::asio::awaitable<payload, E> run(boost::asio::awaitable<T, E> step) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(step);
      co_return no_value();
    } else if constexpr (std::is_void_v<R>) {
      (void)co_await std::move(step);
      co_return no_value();
    } else {
      T value = co_await std::move(step);
      co_return encode<R>(R(std::move(value)));
    }
  }
};

}  // namespace fermata::detail
