// SPDX-License-Identifier: Apache-2.0
// What the guard does beside its own loop: it takes leases back, and releases the runs of the dead.
#include "engine/limits.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "src/journal_impl.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

using namespace fermata;
using namespace std::chrono_literals;

namespace {

using steady = std::chrono::steady_clock;

constexpr workflow<int(int)> plain{"plain"};
constexpr step<int(int)> wait_for_the_test{"wait_for_the_test"};
constexpr workflow<int(int)> waits{"waits"};

task<int> run_plain(context&, int n) { co_return n; }
task<int> run_waits(context& ctx, int n) {
  int done = co_await ctx.call(wait_for_the_test, n);
  co_return done;
}

/// Counts leases; has a dead worker whose runs take as many parts to release as it is told to.
class watched final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;

  absl::Status renew(std::int64_t worker, std::int64_t until) override {
    ++(until == 0 ? taken_back : renewed);
    return store_decorator::renew(worker, until);
  }
  bool somebody_died(std::int64_t me) override {
    return somebody_is_dead || store_decorator::somebody_died(me);
  }
  absl::StatusOr<engine::care> needs_care(std::int64_t me) override {
    auto found = store_decorator::needs_care(me);
    if (found.ok()) found->dead = somebody_is_dead;
    return found;
  }
  absl::StatusOr<std::vector<engine::worker_row>> rescue(std::int64_t me) override {
    if (!somebody_is_dead.exchange(false)) return store_decorator::rescue(me);
    return std::vector{engine::worker_row{.row = the_dead, .dead = true}};
  }
  absl::StatusOr<std::vector<engine::run_id>> release_dead(std::int64_t worker) override {
    if (worker != the_dead) return store_decorator::release_dead(worker);
    std::this_thread::sleep_for(50ms);  // tidy: a part of very many
    ++parts;
    if (all_released) return absl::NotFoundError("none is left");
    return std::vector{engine::run_id{}};
  }

  std::atomic<int> taken_back = 0, renewed = 0, parts = 0;
  std::atomic<bool> somebody_is_dead = false, all_released = false;

 private:
  static constexpr std::int64_t the_dead = 4'711;
};

struct journal_of_one_host {
  std::shared_ptr<watched> store = std::make_shared<watched>(
      std::make_shared<engine::memory_store>("memory:", engine::open_options{}));
  journal where{std::make_shared<detail::journal_impl>(store, "default",
                                                       std::make_shared<engine::real_clock>(),
                                                       std::make_shared<engine::real_random>())};
};

/// False if it took too long.
template <class Condition>
bool comes_true(const Condition& condition) {
  for (const auto end = steady::now() + 20s; steady::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);  // tidy: the guard's thread is real
  }
  return false;
}

}  // namespace

TEST_CASE("a lease is taken back twice a second at most, however often a worker has nothing left") {
  journal_of_one_host on;
  worker works{on.where};
  works.serve(plain, run_plain);
  std::thread running([&] { works.run(); });
  client asks{on.where};

  const auto began = steady::now();
  int ended = 0;
  while (steady::now() - began < 2s) {
    ended += asks.start(plain, 1).result();
    std::this_thread::sleep_for(10ms);  // tidy: without it there is always a run
  }
  const auto taken_back = on.store->taken_back.load();
  const auto most = 1 + (steady::now() - began) / 500ms;
  works.stop();
  running.join();

  CHECK(ended > 20);
  CHECK(taken_back > 0);
  CHECK(taken_back <= most);
}

TEST_CASE("who releases very many runs of a dead worker keeps its own lease meanwhile") {
  journal_of_one_host on;
  std::binary_semaphore goes_on(0);
  worker works{on.where};
  works.serve(waits, run_waits);
  works.serve(wait_for_the_test, [&](int n) {
    goes_on.acquire();
    return n;
  });
  std::thread running([&] { works.run(); });
  const auto run = client(on.where).start(waits, 7);
  REQUIRE(comes_true([&] { return on.store->renewed > 0; }));

  on.store->somebody_is_dead = true;
  REQUIRE(comes_true([&] { return on.store->parts > 0; }));
  const int before = on.store->renewed;
  CHECK(comes_true([&] { return on.store->renewed > before; }));
  on.store->all_released = true;
  goes_on.release();

  CHECK(run.result(20s) == 7);
  works.stop();
  running.join();
}

TEST_CASE("a worker that is told to stop leaves the rest of a dead one's runs to another") {
  journal_of_one_host on;
  worker works{on.where};
  works.serve(plain, run_plain);
  std::atomic<bool> left = false;
  std::thread running([&] {
    works.run();
    left = true;
  });
  on.store->somebody_is_dead = true;
  REQUIRE(comes_true([&] { return on.store->parts > 0; }));

  works.stop();

  CHECK(comes_true([&] { return left.load(); }));
  on.store->all_released = true;  // or it would never end
  running.join();
}
