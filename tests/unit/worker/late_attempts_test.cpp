// SPDX-License-Identifier: Apache-2.0
// Attempts that begin late, or would: because the answer to their claim took long, or their thread did.
#include "engine/ports/simulated.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "tests/unit/worker/bare_host.hpp"
#include "worker/runtime/loop.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

using namespace fermata;

constexpr step<int(int)> far_off{"far_off", {.timeout = 2s, .queue = "far"}};
constexpr step<int(int)> talks{"talks", {.heartbeat_timeout = 3s, .queue = "far"}};
constexpr step<int(int)> near_by{"near_by", {.timeout = 2s}};
constexpr workflow<int(int)> calls_far{"calls_far"};
constexpr workflow<int(int)> calls_near{"calls_near"};
constexpr workflow<int(int)> listens{"listens"};

task<int> call_far(context& ctx, int n) {
  int done = co_await ctx.call(far_off, n);
  co_return done;
}

task<int> call_near(context& ctx, int n) {
  int done = co_await ctx.call(near_by, n);
  co_return done;
}

task<int> listen(context& ctx, int n) {
  int done = co_await ctx.call(talks, n);
  co_return done;
}

class slow_store final : public testing::store_decorator {
 public:
  slow_store(std::shared_ptr<engine::store> inner, std::shared_ptr<engine::manual_clock> time)
      : store_decorator(std::move(inner)), time_(std::move(time)) {}
  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    if (away) return absl::UnavailableError("the disk didn't answer");
    auto answer = store_decorator::commit(std::move(what));
    if (answer.ok() && !answer->tasks.empty()) {
      ++taken;
      time_->advance(std::exchange(answer_takes, 0us).count());
      if (std::exchange(lose_answer, false)) return absl::UnavailableError("the answer was lost");
    }
    return answer;
  }
  absl::Status put_heartbeat(const engine::heartbeat_row& beat) override {
    if (mute) return absl::UnavailableError("the disk didn't answer");
    return store_decorator::put_heartbeat(beat);
  }

  std::chrono::microseconds answer_takes{0};  // to the next claim that brings a task
  bool lose_answer = false;
  bool mute = false;
  bool away = false;
  int taken = 0;

 private:
  const std::shared_ptr<engine::manual_clock> time_;
};

/// A worker's loop and its client on one thread, in memory.
class bench final : public runtime::loop_outside {
 public:
  using body = std::function<int(int, step_context&)>;

  explicit bench(body does)
      : store(std::make_shared<slow_store>(
            std::make_shared<engine::memory_store>(
                "memory:", engine::open_options{.time = time_, .chance = chance_}),
            time_)),
        journal_(std::make_shared<detail::journal_impl>(store, "default", time_, chance_)),
        worker_(journal(journal_)),
        client(journal(journal_)) {
    const auto counted = [this, does = std::move(does)](int n, step_context& s) {
      ++begun;
      return does(n, s);
    };
    worker_.serve(far_off, counted);
    worker_.serve(near_by, counted);
    worker_.serve(talks, counted);
    worker_.serve(calls_far, call_far);
    worker_.serve(calls_near, call_near);
    worker_.serve(listens, listen);
    runtime::loop_options how;
    how.queues = {"default", "far"};
    how.inline_commits = true;
    loop_ = std::make_unique<runtime::run_loop>(*journal_, bare::host(worker_, *journal_),
                                                bare::registered(*journal_), std::move(how), *this);
  }

  /// Until the next thing is due.
  std::chrono::microseconds turn() {
    loop_->poke();
    return std::chrono::microseconds(loop_->turn() - time_->steady_now_us());
  }
  /// Whose thread has come.
  void execute_all() {
    for (auto& task : std::exchange(tasks_, {})) task();
  }
  void work() {
    for (int i = 0; i < 8; ++i) {
      (void)turn();
      execute_all();
    }
  }
  void pass(std::chrono::microseconds span) { time_->advance(span.count()); }

  // loop_outside
  void execute(std::vector<runtime::step_pool::task>&& tasks) override {
    for (auto& task : tasks) tasks_.push_back(std::move(task));
  }
  void log(level, std::string_view line) override { said.append(line).append("\n"); }
  void run_line(const engine::log_line&) override {}
  void leased(std::int64_t) noexcept override {}

 private:
  std::shared_ptr<engine::manual_clock> time_ = std::make_shared<engine::manual_clock>();
  std::shared_ptr<engine::seeded_random> chance_ = std::make_shared<engine::seeded_random>(1);

 public:
  const std::shared_ptr<slow_store> store;

 private:
  std::shared_ptr<detail::journal_impl> journal_;
  fermata::worker worker_;
  std::unique_ptr<runtime::run_loop> loop_;
  std::vector<runtime::step_pool::task> tasks_;

 public:
  fermata::client client;
  std::string said;
  int begun = 0;
};

int as_it_is(int n, step_context&) { return n; }

}  // namespace

TEST_CASE("a task whose claim was answered too late isn't begun, but given back, and begun anew") {
  for (const bool lost : {false, true}) {
    CAPTURE(lost);
    int attempt = 0;
    bench b([&](int n, step_context& s) {
      attempt = s.attempt();
      return n;
    });
    b.store->answer_takes = 2'600ms;
    b.store->lose_answer = lost;
    const auto run = b.client.start(calls_far, 7);

    b.work();
    b.pass(1s);  // a batch that wasn't answered is sent again
    b.work();

    CHECK(b.said.find("is given back") != std::string::npos);
    CHECK(b.store->taken == 2);
    CHECK(b.begun == 1);
    CHECK(attempt == 1);
    CHECK(run.describe().state == run_state::completed);
  }
}

TEST_CASE("a task whose thread comes too late isn't begun, but given back, and begun anew") {
  bench b(as_it_is);
  const auto run = b.client.start(calls_far, 7);
  for (int i = 0; i < 8; ++i) (void)b.turn();
  REQUIRE(b.store->taken == 1);

  b.pass(2'600ms);
  b.execute_all();
  CHECK(b.begun == 0);
  b.work();

  CHECK(b.begun == 1);
  CHECK(run.describe().state == run_state::completed);
}

TEST_CASE("a task that begins late is stopped before its owner gives it up") {
  bench* here = nullptr;
  bool stopped_early = true, stopped_in_time = false;
  bench b([&](int n, step_context& s) {
    if (here->begun > 1) return n;
    here->pass(900ms);
    (void)here->turn();
    stopped_early = s.stop_token().stop_requested();
    here->pass(200ms);
    (void)here->turn();
    stopped_in_time = s.stop_token().stop_requested();
    return n;
  });
  here = &b;
  b.store->answer_takes = 1'500ms;
  const auto run = b.client.start(calls_far, 7);

  b.work();

  CHECK_FALSE(stopped_early);
  CHECK(stopped_in_time);
}

TEST_CASE("heartbeats that can't be written don't keep a task, whose owner doesn't hear them") {
  bench* here = nullptr;
  bool stopped_early = true, stopped_in_time = false;
  bench b([&](int n, step_context& s) {
    if (here->begun > 1) return n;
    s.heartbeat(1);
    here->pass(2s);
    here->store->mute = true;
    s.heartbeat(2);
    (void)here->turn();
    stopped_early = s.stop_token().stop_requested();
    here->pass(1'100ms);
    (void)here->turn();
    stopped_in_time = s.stop_token().stop_requested();
    return n;
  });
  here = &b;
  const auto run = b.client.start(listens, 7);

  b.work();

  CHECK_FALSE(stopped_early);
  CHECK(stopped_in_time);
}

TEST_CASE("a worker whose journal is away rests until it tries again") {
  bench b(as_it_is);
  b.store->away = true;
  (void)b.turn();

  b.pass(60s);

  CHECK(b.turn() == 200ms);
}

TEST_CASE("an attempt that has timed out before its thread came isn't begun") {
  bench b(as_it_is);
  const auto run = b.client.start(calls_near, 7);
  (void)b.turn();
  REQUIRE(b.begun == 0);

  b.pass(3s);
  (void)b.turn();
  b.execute_all();
  CHECK(b.begun == 0);
  b.pass(10s);
  b.work();

  CHECK(b.begun == 1);
  CHECK(run.describe().state == run_state::completed);
}
