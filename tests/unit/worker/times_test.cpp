// SPDX-License-Identifier: Apache-2.0
// The times of events: not of before what they tell of, however long the loop had no turn.
#include "engine/event/encode.hpp"
#include "engine/ports/simulated.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "tests/unit/worker/bare_host.hpp"
#include "worker/runtime/loop.hpp"
#include "worker/testing/store_decorator.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

using namespace fermata;

namespace {

constexpr step<int(int)> twice{"twice"};
constexpr fermata::signal<int> number{"number"};
constexpr workflow<int(int)> calls{"calls"};
constexpr workflow<int(int)> hears{"hears"};

task<int> run_calls(context& ctx, int n) {
  int doubled = co_await ctx.call(twice, n);
  co_return doubled;
}

task<int> run_hears(context& ctx, int n) {
  int heard = co_await ctx.receive(number);
  co_return n + heard;
}

/// Lets something happen, once, as if the loop's thread had no turn meanwhile.
class slow_store final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;
  engine::time_us now() const override {
    const engine::time_us is = store_decorator::now();
    if (after_clock) std::exchange(after_clock, {})();
    return is;
  }
  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    if (what.claim && before_claim) std::exchange(before_claim, {})();
    return store_decorator::commit(std::move(what));
  }
  mutable std::function<void()> after_clock;
  std::function<void()> before_claim;
};

/// A worker's loop and its client on one thread, in memory.
class bench final : public bare::outside {
 public:
  bench() {
    serves_.serve(twice, [](int n) { return 2 * n; });
    serves_.serve(calls, run_calls);
    serves_.serve(hears, run_hears);
    runtime::loop_options how;
    how.inline_commits = true;
    loop_ = std::make_unique<runtime::run_loop>(*journal_, bare::host(serves_, *journal_),
                                                bare::registered(*journal_), std::move(how), *this);
  }
  void turn() {
    loop_->poke();
    (void)loop_->turn();
  }
  void do_steps() { do_all(); }
  engine::time_us a_second_later() {
    time_->advance(1'000'000);
    return store->now();
  }
  /// Of the last event of this kind.
  engine::time_us time_of(const run<int>& of, engine::event_kind kind) const {
    const engine::run_id id = *engine::run_id::parse(of.id());
    const auto events = store->read_events(id, 1, 100);
    REQUIRE(events.ok());
    engine::time_us found = 0;
    for (const engine::encoded_event& e : *events)
      if (e.kind == kind) found = engine::decode(id, e)->at;
    return found;
  }

 private:
  std::shared_ptr<engine::manual_clock> time_ = std::make_shared<engine::manual_clock>();
  std::shared_ptr<engine::seeded_random> chance_ = std::make_shared<engine::seeded_random>(1);
  const std::shared_ptr<engine::memory_store> memory_ = std::make_shared<engine::memory_store>(
      "memory:", engine::open_options{.time = time_, .chance = chance_});

 public:
  const std::shared_ptr<slow_store> store = std::make_shared<slow_store>(memory_);

 private:
  std::shared_ptr<detail::journal_impl> journal_ =
      std::make_shared<detail::journal_impl>(store, "default", time_, chance_);
  worker serves_{journal(journal_)};
  std::unique_ptr<runtime::run_loop> loop_;

 public:
  client asks{journal(journal_)};
  client elsewhere{
      journal(std::make_shared<detail::journal_impl>(memory_, "default", time_, chance_))};
};

}  // namespace

TEST_CASE("no outcome is of before its attempt began") {
  bench b;
  const run<int> one = b.asks.start(calls, 1);
  b.turn();
  engine::time_us began = 0;
  b.store->after_clock = [&] {
    began = b.a_second_later();
    b.do_steps();
  };

  b.turn();
  b.turn();

  CHECK(one.result() == 2);
  REQUIRE(began != 0);
  CHECK(b.time_of(one, engine::event_kind::step_completed) >= began);
}

TEST_CASE("no message was heard before it was sent") {
  bench b;
  const run<int> one = b.asks.start(hears, 1, {.key = "one"});
  b.turn();
  engine::time_us sent = 0;
  b.store->before_claim = [&] {
    sent = b.a_second_later();
    b.elsewhere.attach(hears, "one").signal(number, 4);
  };

  b.turn();

  CHECK(one.result() == 5);
  REQUIRE(sent != 0);
  CHECK(b.time_of(one, engine::event_kind::signal_received) >= sent);
}
