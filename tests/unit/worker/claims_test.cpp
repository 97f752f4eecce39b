// SPDX-License-Identifier: Apache-2.0
// Where there is more than one claim takes, the next one follows at once, not at the slow poll.
#include "engine/ports/real.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "src/journal_impl.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

using namespace fermata;

namespace {

constexpr auto patience = std::chrono::seconds(20);  // the slow poll takes longer

constexpr workflow<int(int)> plain{"plain"};

task<int> run_plain(context&, int n) { co_return n; }

/// Remembers how much a claim has brought.
class watched final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;

  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    auto answer = store_decorator::commit(std::move(what));
    if (answer.ok()) most_ = std::max(most_.load(), answer->claimed.size());
    return answer;
  }
  std::size_t most() const { return most_; }

 private:
  std::atomic<std::size_t> most_ = 0;
};

}  // namespace

TEST_CASE("a worker with room for all takes what waits some thousands at a time") {
  auto store = std::make_shared<watched>(
      std::make_shared<engine::memory_store>("memory:", engine::open_options{}));
  const journal where(std::make_shared<detail::journal_impl>(
      store, "default", std::make_shared<engine::real_clock>(),
      std::make_shared<engine::real_random>()));
  client asks{where};
  const std::vector<int> inputs(20'000, 7);
  const auto started = asks.start_many(plain, inputs);  // no worker is there to admit them
  worker_options options;
  options.max_runs = 30'000;
  worker works{where, options};
  works.serve(plain, run_plain);

  const auto begun = std::chrono::steady_clock::now();
  std::thread running([&] { works.run(); });
  for (const run<int>& one : started) CHECK(one.result() == 7);
  const bool at_once = std::chrono::steady_clock::now() - begun < patience;
  works.stop();
  running.join();

  CHECK(at_once);
  CHECK(store->most() == 8'000);
}
