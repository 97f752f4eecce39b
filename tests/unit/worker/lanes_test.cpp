// SPDX-License-Identifier: Apache-2.0
// What is written beside a claim: the claim's answer is older than what has landed meanwhile.
#include "engine/ports/real.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "src/journal_impl.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <latch>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

using namespace fermata;

namespace {

constexpr int runs = 16;  // so many appends are a batch of their own while another is under way

constexpr step<int(int)> first_half{"first_half"};
constexpr step<int(int)> second_half{"second_half"};
constexpr signal<int> more{"more"};
constexpr workflow<int(int)> two_steps{"two_steps"};

task<int> run_two_steps(context& ctx, int n) {
  int half = co_await ctx.call(first_half, n);
  int whole = co_await ctx.call(second_half, half);
  int added = co_await ctx.receive(more);
  co_return whole + added;
}

/// Has lanes, and keeps back the answer of the first claim that tells a worker of its own runs.
class late_claims final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;

  std::size_t lanes() const override { return 4; }
  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    auto answer = store_decorator::commit(std::move(what));
    std::unique_lock lock(mutex_);
    if (answer.ok() && !answer->claimed.empty() && answer->claimed[0].mine_before && !held_) {
      held_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
    }
    return answer;
  }
  void await_claim() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return held_; });
  }
  void let_it_go() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  bool open_ = false;
};

}  // namespace

TEST_CASE("runs that go on beside a claim aren't taken back to where it has seen them") {
  auto time = std::make_shared<engine::real_clock>();
  auto chance = std::make_shared<engine::real_random>();
  auto store = std::make_shared<late_claims>(
      std::make_shared<engine::memory_store>("memory:", engine::open_options{}));
  const journal where(std::make_shared<detail::journal_impl>(store, "default", time, chance));
  std::latch all_in_the_first(runs), go_on(1), all_in_the_second(runs), told(1);
  std::atomic<int> firsts = 0, seconds = 0;
  worker works{where};
  works.serve(two_steps, run_two_steps);
  works.serve(first_half, [&](int n) {
    if (++firsts <= runs) all_in_the_first.count_down();
    go_on.wait();
    return 10 * n;
  });
  works.serve(second_half, [&](int n) {
    if (++seconds <= runs) all_in_the_second.count_down();
    told.wait();
    return 10 * n;
  });
  std::thread running([&] { works.run(); });
  client asks{where};
  std::vector<int> inputs;
  for (int i = 0; i < runs; ++i) inputs.push_back(i);
  std::vector<run<int>> started = asks.start_many(two_steps, inputs);

  all_in_the_first.wait();
  // Whoever sends it may also carry out the claim, whose answer is held back.
  std::thread sends([&] { started[0].signal(more, 7); });
  store->await_claim();
  go_on.count_down();
  all_in_the_second.wait();
  store->let_it_go();
  sends.join();
  // Nothing of the kind is written before the claim has been answered.
  for (std::size_t i = 1; i < started.size(); ++i) started[i].signal(more, 7);
  told.count_down();

  for (int i = 0; i < runs; ++i)
    CHECK(started[static_cast<std::size_t>(i)].result() == 100 * i + 7);
  CHECK(firsts == runs);
  CHECK(seconds == runs);
  works.stop();
  running.join();
}
