// SPDX-License-Identifier: Apache-2.0
// A message that means nothing to its run any more, as a late outcome, beside one that does.
#include "engine/ports/simulated.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "tests/unit/worker/bare_host.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;

namespace {

using namespace fermata;

constexpr step<int(int)> twice{"twice"};
constexpr fermata::signal<int> number{"number"};
constexpr workflow<int(int)> call_and_wait{"call_and_wait"};

task<int> double_and_hear(context& ctx, int n) {
  int doubled = co_await ctx.call(twice, n);
  int heard = co_await ctx.receive(number);
  co_return doubled + heard;
}

/// The answer to what takes messages and writes no event is lost once.
class forgetful_store final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;
  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    const bool eventless = std::ranges::any_of(what.appends, [](const engine::append& one) {
      return one.events.empty() && !one.consumed.empty();
    });
    auto answer = store_decorator::commit(std::move(what));
    if (!eventless || !std::exchange(remembers, false)) return answer;
    return absl::UnavailableError("the answer was lost");
  }
  bool remembers = true;
};

/// A worker's loop and its client on one thread, in memory.
class bench final : public bare::outside {
 public:
  bench() : worker_(journal(journal_)), client(journal(journal_)) {
    worker_.serve(twice, [](int n) { return 2 * n; });
    worker_.serve(call_and_wait, double_and_hear);
    runtime::loop_options how;
    how.inline_commits = true;
    loop_ = std::make_unique<runtime::run_loop>(*journal_, bare::host(worker_, *journal_),
                                                bare::registered(*journal_), std::move(how), *this);
  }
  void turn() {
    loop_->poke();
    (void)loop_->turn();
    time_->advance(std::chrono::microseconds(1s).count());
  }
  void work() {
    for (int i = 0; i < 8; ++i) {
      turn();
      do_all();
    }
  }
  /// The end of a child that this run hasn't got.
  void tell_nothing(std::string_view run) {
    engine::message late;
    late.id = engine::new_message_id(*time_, *chance_);
    late.to = *engine::run_id::parse(run);
    late.kind = engine::message_kind::child_ended;
    late.operation = "77";
    engine::batch one;
    one.messages = {late};
    const auto done = store->commit(std::move(one));
    REQUIRE(done.ok());
    REQUIRE(done->messages[0].how == engine::message_result::outcome::accepted);
  }
  bool rests(std::string_view run) const {
    return store->find_run(*engine::run_id::parse(run))->owner == 0;
  }
  std::size_t unread(std::string_view run) const {
    return store->inbox(*engine::run_id::parse(run))->size();
  }

 private:
  std::shared_ptr<engine::manual_clock> time_ = std::make_shared<engine::manual_clock>();
  std::shared_ptr<engine::seeded_random> chance_ = std::make_shared<engine::seeded_random>(1);

 public:
  const std::shared_ptr<forgetful_store> store =
      std::make_shared<forgetful_store>(std::make_shared<engine::memory_store>(
          "memory:", engine::open_options{.time = time_, .chance = chance_}));

 private:
  std::shared_ptr<detail::journal_impl> journal_ =
      std::make_shared<detail::journal_impl>(store, "default", time_, chance_);
  fermata::worker worker_;
  std::unique_ptr<runtime::run_loop> loop_;

 public:
  fermata::client client;
};

}  // namespace

TEST_CASE("who gets rid of a message takes no other that has its number by then") {
  bench b;
  const auto run = b.client.start(call_and_wait, 4);
  b.turn();  // its step is under way, so it can't rest
  b.tell_nothing(run.id());

  b.turn();
  run.signal(number, 3);
  b.work();

  REQUIRE(run.describe().state == run_state::completed);
  CHECK(run.result() == 11);
  CHECK(b.unread(run.id()) == 0);
}

TEST_CASE("a message that means nothing doesn't keep its run from resting") {
  bench b;
  const auto run = b.client.start(call_and_wait, 4);
  b.work();
  REQUIRE(b.rests(run.id()));

  b.tell_nothing(run.id());
  b.turn();

  CHECK(b.rests(run.id()));
  CHECK(b.unread(run.id()) == 0);
}
