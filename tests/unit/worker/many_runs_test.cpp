// SPDX-License-Identifier: Apache-2.0
// Many runs in one process: those that are here go on while others are still being taken, and what
// rests costs nothing until its memory is wanted.
#include "engine/ports/simulated.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "tests/unit/worker/bare_host.hpp"
#include "worker/runtime/loop.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace fermata;

namespace {

constexpr step<int(int)> twice{"twice"};
constexpr fermata::signal<int> number{"number"};
constexpr workflow<int(int)> hears{"hears"};
constexpr workflow<int(int)> calls_and_hears{"calls_and_hears"};
constexpr workflow<int(int)> hears_meanwhile{"hears_meanwhile"};

int heard_by_all = 0;
int entered = 0;  // how often the code began, for the first time or to be replayed

task<int> run_hears(context& ctx, int n) {
  ++entered;
  int heard = co_await ctx.receive(number);
  co_return n + heard;
}

task<int> run_calls_and_hears(context& ctx, int n) {
  ++entered;
  int doubled = co_await ctx.call(twice, n);
  int heard = co_await ctx.receive(number);
  co_return doubled + heard;
}

task<int> run_hears_meanwhile(context& ctx, int n) {
  future<int> doubled = ctx.call(twice, n);
  int heard = co_await ctx.receive(number);
  heard_by_all += heard;
  int done = co_await doubled;
  co_return done;
}

class counting_store final : public testing::store_decorator {
  using beginnings = std::vector<std::vector<engine::encoded_event>>;

 public:
  enum class together { no, fails, yes };

  using store_decorator::store_decorator;
  absl::StatusOr<beginnings> read_beginnings(const std::vector<engine::run_id>& runs,
                                             std::size_t at_most) const override {
    ++reads_together;
    if (how == together::fails) return absl::DataLossError("one of them is damaged");
    beginnings found;
    if (how == together::no) return found;
    for (const engine::run_id& run : runs)
      found.push_back(*store_decorator::read_events(run, 1, at_most));
    return found;
  }
  absl::StatusOr<std::vector<engine::encoded_event>> read_events(
      const engine::run_id& run, engine::position_t from, std::size_t at_most) const override {
    ++reads;
    return store_decorator::read_events(run, from, at_most);
  }
  together how = together::no;
  mutable int reads = 0;
  mutable int reads_together = 0;
};

/// A worker's loop and its client, in memory. Steps begin when `do_steps` is called.
class bench final : public bare::outside {
 public:
  explicit bench(runtime::loop_options how) {
    entered = heard_by_all = 0;
    serves_.serve(hears, run_hears);
    serves_.serve(calls_and_hears, run_calls_and_hears);
    serves_.serve(hears_meanwhile, run_hears_meanwhile);
    serves_.serve(twice, [](int n) { return 2 * n; });
    loop_ = std::make_unique<runtime::run_loop>(*journal_, bare::host(serves_, *journal_),
                                                bare::registered(*journal_), std::move(how), *this);
  }

  void work() {
    for (int i = 0; i < 5; ++i) {
      loop_->poke();
      (void)loop_->turn();
      journal_->writer().drain();
    }
  }
  void poke() { loop_->poke(); }
  /// As if no further commit of others were seen.
  void work_unpoked() {
    for (int i = 0; i < 100; ++i) {
      (void)loop_->turn();
      journal_->writer().drain();
    }
  }
  void do_steps() {
    do_all();
    work();
  }

  void execute(std::vector<runtime::step_pool::task>&& tasks) override {
    if (reads_before_first_step < 0) reads_before_first_step = store->reads;
    bare::outside::execute(std::move(tasks));
  }

 private:
  std::shared_ptr<engine::manual_clock> time_ = std::make_shared<engine::manual_clock>();
  std::shared_ptr<engine::seeded_random> chance_ = std::make_shared<engine::seeded_random>(1);

 public:
  const std::shared_ptr<counting_store> store =
      std::make_shared<counting_store>(std::make_shared<engine::memory_store>(
          "memory:", engine::open_options{.time = time_, .chance = chance_}));
  int reads_before_first_step = -1;

 private:
  std::shared_ptr<detail::journal_impl> journal_ =
      std::make_shared<detail::journal_impl>(store, "default", time_, chance_);
  worker serves_{journal(journal_)};
  std::unique_ptr<runtime::run_loop> loop_;

 public:
  client asks{journal(journal_)};
  client elsewhere{
      journal(std::make_shared<detail::journal_impl>(store, "default", time_, chance_))};
};

}  // namespace

TEST_CASE("the first of many claimed runs begin their steps before the last are read") {
  runtime::loop_options how;
  how.max_runs = how.concurrency = 500;
  bench b(how);
  (void)b.asks.start_many(calls_and_hears, std::vector(500, 1));

  b.work();

  CHECK(b.store->reads == 500);
  CHECK(b.reads_before_first_step >= 1);
  CHECK(b.reads_before_first_step <= 50);
}

TEST_CASE("histories that can't be read together are read one by one") {
  using enum counting_store::together;
  for (const auto& [how, one_by_one] : {std::pair{no, 500}, {fails, 500}, {yes, 0}}) {
    runtime::loop_options options;
    options.max_runs = options.concurrency = 500;
    bench b(options);
    b.store->how = how;
    const auto runs = b.elsewhere.start_many(hears, std::vector(500, 1));

    b.work();

    CHECK(b.store->reads_together >= 10);
    CHECK(b.store->reads == one_by_one);
    for (const run<int>& one : runs) one.signal(number, 1);
    b.work();
    CHECK(runs.front().result() == 2);
    CHECK(runs.back().result() == 2);
  }
}

TEST_CASE(
    "memory is taken from the run that rests longest, not from the one that was claimed first") {
  runtime::loop_options how;
  how.frames_max = 2;
  bench b(how);

  const run<int> claimed_first = b.asks.start(calls_and_hears, 1);
  b.work();
  const run<int> rests_longest = b.asks.start(hears, 2);
  b.work();
  b.do_steps();  // the first one rests, too
  const run<int> another = b.asks.start(hears, 3);
  b.work();
  CHECK(entered == 3);

  claimed_first.signal(number, 5);
  b.work();
  CHECK(claimed_first.result() == 7);
  CHECK(entered == 3);
  rests_longest.signal(number, 5);
  b.work();
  CHECK(rests_longest.result() == 7);
  CHECK(entered == 4);
}

TEST_CASE("messages to all runs of a full worker are heard at once, whoever waits for a place") {
  for (const std::size_t many : {100U, 9'000U}) {  // more than one claim takes
    runtime::loop_options how;
    how.max_runs = how.concurrency = static_cast<int>(many);
    bench b(how);
    const auto runs = b.elsewhere.start_many(hears_meanwhile, std::vector<int>(many, 1));
    b.work();
    (void)b.elsewhere.start_many(hears, std::vector<int>(many, 1));
    b.work();
    for (const run<int>& one : runs) one.signal(number, 1);
    CHECK(heard_by_all == 0);

    b.poke();
    b.work_unpoked();

    CHECK(heard_by_all == static_cast<int>(many));
  }
}
