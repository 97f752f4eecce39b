// SPDX-License-Identifier: Apache-2.0
// A worker that stops: what it begins no more, and what comes back too late.
#include <doctest/doctest.h>

#include "worker/worker_impl.hpp"

#include <fermata/asio.hpp>
#include <fermata/fermata.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr fermata::step<int(int)> work{"work"};
constexpr fermata::workflow<int(int)> one_step{"one_step"};
constexpr fermata::workflow<int(int)> one_local_step{"one_local_step"};
constexpr fermata::workflow<int(int)> many_steps{"many_steps"};

fermata::task<int> run_one_step(fermata::context& ctx, int n) {
  int done = co_await ctx.call(work, n);
  co_return done;
}

// A body of `ctx.run` is a lambda, and can't be told of the test by its captures alone.
std::latch* local_began = nullptr;
std::binary_semaphore* local_goes_on = nullptr;
std::latch* local_ended = nullptr;

fermata::task<int> run_one_local_step(fermata::context& ctx, int n) {
  const std::string kept = std::to_string(n);
  int done = co_await ctx.run("local", [&kept] {
    local_began->count_down();
    local_goes_on->acquire();
    const int read = std::stoi(kept);  // of the frame
    local_ended->count_down();
    return read;
  });
  co_return done;
}

fermata::task<int> run_many_steps(fermata::context& ctx, int n) {
  for (int i = 0; i < n; ++i) {
    co_await ctx.call(work, i);
  }
  co_return n;
}

class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "fermata_leave_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() { std::filesystem::remove_all(path_); }
  folder(const folder&) = delete;
  std::string address() const { return "sqlite:" + (path_ / "journal.db").string(); }

 private:
  std::filesystem::path path_;
};

/// A worker on a thread of its own.
class employed {
 public:
  employed(fermata::journal where, fermata::duration grace)
      : worker(std::in_place, where, fermata::worker_options{.drain_grace = grace}) {
    worker->serve(one_step, run_one_step);
    worker->serve(one_local_step, run_one_local_step);
    worker->serve(many_steps, run_many_steps);
  }
  ~employed() { leave(); }
  void begin() {
    thread_ = std::thread([this] { worker->run(); });
  }
  void leave() {
    if (!worker) return;
    worker->stop();
    if (thread_.joinable()) thread_.join();
    worker.reset();
  }

  std::optional<fermata::worker> worker;

 private:
  std::thread thread_;
};

}  // namespace

TEST_CASE(
    "a step that comes back after its worker is gone does no harm, and the next worker has it") {
  const folder where;
  fermata::journal journal = fermata::open(where.address());
  std::latch began(1), ended(1);
  std::binary_semaphore goes_on(0);
  std::atomic<bool> told = false;
  auto late = std::make_unique<employed>(journal, 1ms);
  late->worker->serve(work, [&](int n, fermata::step_context& s) {
    began.count_down();
    goes_on.acquire();
    try {
      s.heartbeat(n);
    } catch (const fermata::cancelled&) {
      told = true;
    }
    ended.count_down();
    return n;
  });
  late->begin();
  auto run = fermata::client(journal).start(one_step, 7);
  began.wait();

  late.reset();
  goes_on.release();
  ended.wait();

  CHECK(told);
  employed next(journal, 1ms);
  next.worker->serve(work, [](int n) { return n + 1; });
  next.begin();
  CHECK(run.result(20s) == 8);
}

TEST_CASE("a body of ctx.run that comes back late finds its frame") {
  const folder where;
  fermata::journal journal = fermata::open(where.address());
  std::latch began(1), ended(1);
  std::binary_semaphore goes_on(0);
  local_began = &began, local_goes_on = &goes_on, local_ended = &ended;
  auto late = std::make_unique<employed>(journal, 1ms);
  late->begin();
  auto run = fermata::client(journal).start(one_local_step, 7);
  began.wait();

  late.reset();
  goes_on.release();
  ended.wait();

  std::latch began_again(1), ended_again(1);
  goes_on.release();
  local_began = &began_again, local_ended = &ended_again;
  employed next(journal, 1ms);
  next.begin();
  CHECK(run.result(20s) == 7);
}

TEST_CASE("an awaitable that waits when its worker leaves is dropped, and the next worker has it") {
  const folder where;
  fermata::journal journal = fermata::open(where.address());
  std::latch began(1);
  const auto dropped = std::make_shared<int>();
  auto late = std::make_unique<employed>(journal, 1ms);
  late->worker->serve(work, [&began, dropped](int n) -> boost::asio::awaitable<int> {
    const std::shared_ptr<int> mine = dropped;
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    boost::asio::steady_timer never(co_await boost::asio::this_coro::executor, 1h);
    began.count_down();
    boost::system::error_code deaf;
    for (;;)
      co_await never.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, deaf));
    co_return n;
  });
  late->begin();
  auto run = fermata::client(journal).start(one_step, 7);
  began.wait();

  late.reset();

  CHECK(dropped.use_count() == 1);
  employed next(journal, 1ms);
  next.worker->serve(work, [](int n) { return n + 1; });
  next.begin();
  CHECK(run.result(20s) == 8);
}

TEST_CASE("a worker that stops begins no further step") {
  const folder where;
  fermata::journal journal = fermata::open(where.address());
  std::latch tenth(1);
  std::atomic<int> begun = 0;
  auto first = std::make_unique<employed>(journal, 10s);
  first->worker->serve(work, [&](int n) {
    ++begun;
    if (n == 10) {
      tenth.count_down();
      // Its worker stops while it is at work.
      while (first->worker->inside().stopping() == 0) std::this_thread::yield();
    }
    return n;
  });
  first->begin();
  auto run = fermata::client(journal).start(many_steps, 100);
  tenth.wait();

  first->leave();

  CHECK(begun == 11);
  CHECK(run.describe().state == fermata::run_state::running);
  employed next(journal, 10s);
  next.worker->serve(work, [&](int n) {
    ++begun;
    return n;
  });
  next.begin();
  CHECK(run.result(20s) == 100);
  CHECK(begun == 100);
}

TEST_CASE("clients start runs while the worker of their process comes and goes") {
  const folder where;
  fermata::journal journal = fermata::open(where.address());
  constexpr int runs = 200;
  std::atomic<bool> over = false;
  std::thread workers([&] {
    while (!over) {
      employed one(journal, 10s);
      one.worker->serve(work, [](int n) { return n; });
      one.begin();
      std::this_thread::yield();
    }
  });

  std::vector<fermata::run<int>> started;
  fermata::client client(journal);
  for (int i = 0; i < runs; ++i) started.push_back(client.start(one_step, i));
  over = true;
  workers.join();
  employed last(journal, 10s);
  last.worker->serve(work, [](int n) { return n; });
  last.begin();

  for (int i = 0; i < runs; ++i) CHECK(started[static_cast<std::size_t>(i)].result(30s) == i);
}
