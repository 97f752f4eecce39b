// SPDX-License-Identifier: Apache-2.0
// A run that a claim has begun, on a store that is far away: nothing is read back.
#include "engine/ports/real.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "src/journal_impl.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>

using namespace fermata;

namespace {

constexpr step<int(int)> twice{"twice"};
constexpr workflow<int(int)> one_step{"one_step"};

task<int> run_one_step(context& ctx, int n) {
  int done = co_await ctx.call(twice, n);
  co_return done;
}

/// Its claims bring first events, as those of a database do; counts what is read all the same.
class far_away final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;

  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    auto answer = store_decorator::commit(std::move(what));
    if (!answer.ok()) return answer;
    for (engine::claimed& one : answer->claimed)
      if (one.fresh) one.beginning = *store_decorator::read_events(one.run.run, 1, 1);
    return answer;
  }
  absl::StatusOr<std::vector<engine::encoded_event>> read_events(
      const engine::run_id& run, engine::position_t from, std::size_t at_most) const override {
    if (from == 1) ++histories_read;
    return store_decorator::read_events(run, from, at_most);
  }

  mutable std::atomic<int> histories_read = 0;
};

}  // namespace

TEST_CASE("a run that a claim has begun isn't read back") {
  auto time = std::make_shared<engine::real_clock>();
  auto chance = std::make_shared<engine::real_random>();
  auto store = std::make_shared<far_away>(
      std::make_shared<engine::memory_store>("memory:", engine::open_options{}));
  const journal where(std::make_shared<detail::journal_impl>(store, "default", time, chance));
  client asks{where};
  const run<int> started = asks.start(one_step, 21);  // no worker is there to admit it
  worker works{where};
  works.serve(one_step, run_one_step);
  works.serve(twice, [](int n) { return 2 * n; });

  std::thread running([&] { works.run(); });
  const int done = started.result();
  works.stop();
  running.join();

  CHECK(done == 42);
  CHECK(store->histories_read == 0);
}
