// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/serve.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
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

/// Whose handlers run, and how deep they call each other. Touched only on the attempt's strand.
struct watched_attempt {
  attempt_port* port;  // null: the attempt is over
  int depth = 0;
};

/// An executor that says of each handler of an attempt that it runs, and when it is over: between
/// them the attempt waits, and what the thread does is no business of it.
template <class Inner>
class watched_executor {
 public:
  watched_executor(Inner inner, std::shared_ptr<watched_attempt> whose) noexcept
      : inner_(std::move(inner)), whose_(std::move(whose)) {}

  template <class F>
  void execute(F&& what) const {
    inner_.execute([whose = whose_, what = std::decay_t<F>(std::forward<F>(what))]() mutable {
      const running now(*whose);
      std::move(what)();
    });
  }

  template <class Property>
    requires boost::asio::can_query<const Inner&, Property>::value
  decltype(auto) query(const Property& what) const {
    return boost::asio::query(inner_, what);
  }
  template <class Property>
    requires boost::asio::can_require<const Inner&, Property>::value
  auto require(const Property& what) const {
    auto made = boost::asio::require(inner_, what);
    return watched_executor<decltype(made)>(std::move(made), whose_);
  }
  friend bool operator==(const watched_executor& a, const watched_executor& b) noexcept {
    return a.whose_ == b.whose_ && a.inner_ == b.inner_;
  }
  friend bool operator!=(const watched_executor& a, const watched_executor& b) noexcept {
    return !(a == b);
  }

 private:
  class running {
   public:
    explicit running(watched_attempt& whose) : whose_(whose) {
      if (whose_.depth++ == 0 && whose_.port != nullptr) whose_.port->goes_on();
    }
    ~running() {
      if (--whose_.depth == 0 && whose_.port != nullptr) whose_.port->waits();
    }
    running(const running&) = delete;

   private:
    watched_attempt& whose_;
  };

  Inner inner_;
  std::shared_ptr<watched_attempt> whose_;
};

/// One attempt: what has to stay alive until the awaitable is done.
template <class In, class F>
struct async_attempt {
  async_attempt(boost::asio::io_context& io, attempt_port& port, std::shared_ptr<F> kept, In value,
                async_done then)
      : watched(std::make_shared<watched_attempt>(&port)),
        executor(boost::asio::make_strand(io), watched),
        body(std::move(kept)),
        input(std::move(value)),
        done(std::move(then)) {}

  const std::shared_ptr<watched_attempt> watched;
  const watched_executor<boost::asio::strand<boost::asio::io_context::executor_type>> executor;
  std::shared_ptr<F> body;
  In input;
  async_done done;
  boost::asio::cancellation_signal cancel = {};
  std::optional<std::stop_callback<std::function<void()>>> on_stop = {};

  /// Touched only on the strand.
  void finish(std::exception_ptr problem, payload result) {
    on_stop.reset();
    watched->port = nullptr;
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
                                                         s.port(), kept, input_of<In>(bytes), done);
      } catch (...) {
        return done(std::current_exception(), {});
      }
      boost::asio::post(attempt->executor, [attempt, &s] { begin(attempt, s); });
    };
  }

 private:
  template <class F>
  static void begin(std::shared_ptr<async_attempt<In, F>> attempt, step_context& s) {
    try {
      auto step = call_step<In>(*attempt->body, attempt->input, s);
      attempt->on_stop.emplace(s.stop_token(), [weak = std::weak_ptr(attempt)] {
        if (auto live = weak.lock())
          boost::asio::post(live->executor, [live] {
            live->cancel.emit(boost::asio::cancellation_type::terminal);
          });
      });
      boost::asio::co_spawn(
          attempt->executor, run(std::move(step)),
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
