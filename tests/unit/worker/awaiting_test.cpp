// SPDX-License-Identifier: Apache-2.0
// Clients that wait for runs of another process: one look for all of them.
#include "engine/operate/operate.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "engine/store/status.hpp"
#include "src/journal_impl.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace fermata;

namespace {

constexpr int runs = 100;
constexpr int is_damaged = -2;

constexpr signal<int> go{"go"};
constexpr workflow<int(int)> waits{"waits"};

task<int> run_waits(context& ctx, int n) {
  int more = co_await ctx.receive(go);
  if (more < 0) throw std::invalid_argument("less than nothing");
  co_return n + more;
}

/// As the client's process has the journal: what it asks is counted, and may fail or not be told of.
class asked final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;

  or_status<engine::chain_ends> ends_of(
      const std::vector<engine::chain_id>& chains) const override {
    ++looks;
    longest = std::max(longest.load(), chains.size());
    if (chains.size() > 1 && fails.exchange(false))
      return engine::coded(absl::StatusCode::kUnavailable, "FER-2105", "the database is away");
    auto found = store_decorator::ends_of(chains);
    if (!found.ok()) return found;
    for (engine::chain_ends::end& end : found->ended)
      if (end.run == damaged) end.last.value.back() ^= 1;
    return found;
  }
  or_status<engine::run_row> find_chain(const engine::chain_id& chain) const override {
    ++rows;
    return store_decorator::find_chain(chain);
  }
  std::uint32_t wake_count() const override { return deaf ? 0 : store_decorator::wake_count(); }
  void wait(std::uint32_t seen, std::int64_t timeout_us) override {
    if (!deaf) return store_decorator::wait(seen, timeout_us);
    store_decorator::wait(store_decorator::wake_count(),
                          std::min<std::int64_t>(timeout_us, 10'000));
  }

  mutable std::atomic<int> looks = 0;
  mutable std::atomic<int> rows = 0;
  mutable std::atomic<std::size_t> longest = 0;
  mutable std::atomic<bool> fails = false;
  bool deaf = false;  // nothing wakes it
  engine::run_id damaged;
};

/// A worker in a process of its own, and a client in another.
class two_processes {
 public:
  explicit two_processes(bool deaf = false) {
    theirs_->deaf = deaf;
    working_.serve(waits, run_waits);
    thread_ = std::thread([this] { working_.run(); });
    std::vector<int> inputs;
    for (int i = 0; i < runs; ++i) inputs.push_back(i);
    started = asks.start_many(waits, inputs);
  }
  ~two_processes() {
    working_.stop();
    thread_.join();
  }

  asked& theirs() { return *theirs_; }
  /// All wait for a result, which comes once each has looked for itself.
  std::vector<int> results() {
    std::vector<int> found(runs, -1);
    std::latch all(runs);
    std::vector<std::thread> waiting;
    for (std::size_t i = 0; i < runs; ++i)
      waiting.emplace_back([&, i] {
        all.count_down();
        try {
          found[i] = started[i].result();
        } catch (const error& problem) {
          if (problem.code() == codes::damaged.code) found[i] = is_damaged;
        }
      });
    all.wait();
    while (theirs_->looks < runs) std::this_thread::yield();
    for (auto& one : started) one.signal(go, 1'000);
    for (std::thread& one : waiting) one.join();
    return found;
  }

 private:
  static journal open_on(const std::shared_ptr<engine::store>& where) {
    return journal(std::make_shared<detail::journal_impl>(where, "default",
                                                          std::make_shared<engine::real_clock>(),
                                                          std::make_shared<engine::real_random>()));
  }

  const std::shared_ptr<engine::store> memory_ =
      std::make_shared<engine::memory_store>("memory:", engine::open_options{});
  const std::shared_ptr<asked> theirs_ = std::make_shared<asked>(memory_);
  worker working_{open_on(memory_)};
  std::thread thread_;

 public:
  client asks{open_on(theirs_)};
  std::vector<run<int>> started;
};

std::vector<int> expected() {
  std::vector<int> all;
  for (int i = 0; i < runs; ++i) all.push_back(1'000 + i);
  return all;
}

}  // namespace

TEST_CASE("clients that wait for runs of another process are looked for together") {
  two_processes both;

  CHECK(both.results() == expected());

  // Each alone would look whenever anything was written: some thousands of times.
  CHECK(both.theirs().looks < 5 * runs);
  CHECK(both.theirs().rows == 0);
  CHECK(both.theirs().longest > runs / 2);
}

TEST_CASE("what nobody told of is found within a second or two, by one look for all") {
  two_processes both(true);
  const auto began = std::chrono::steady_clock::now();

  CHECK(both.results() == expected());

  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
  CHECK(both.theirs().looks < 2 * runs);
}

TEST_CASE("when the look for all fails each looks for itself") {
  two_processes both;
  both.theirs().fails = true;

  CHECK(both.results() == expected());

  CHECK_FALSE(both.theirs().fails);
}

TEST_CASE("of many that ended one is damaged: who waits for it is told so, the others get theirs") {
  two_processes both;
  both.theirs().damaged = *engine::run_id::parse(both.started[7].id());

  auto all = expected();
  all[7] = is_damaged;
  CHECK(both.results() == all);
}

TEST_CASE("whoever names a later run of a chain gets what the chain ends with") {
  two_processes both;
  const run<int> first = both.asks.start(waits, 0, {.key = "order-42"});
  first.signal(go, -1);
  CHECK_THROWS_AS((void)first.result(), error);
  const auto copy = engine::retry(both.theirs(), *engine::run_id::parse(first.id()),
                                  {.who = "test", .why = "repaired"}, true);
  REQUIRE(copy.ok());
  const run<int> later = both.asks.attach(waits, "order-42");
  CHECK(later.id() == copy->text());

  std::thread tells([&] { first.signal(go, 7); });

  CHECK(later.result() == 7);
  CHECK(first.result() == 7);
  tells.join();
}

TEST_CASE("a wait that is over looks once more, and says that the run goes on") {
  two_processes both(true);

  CHECK_THROWS_AS((void)both.started[0].result(std::chrono::milliseconds(900)), timed_out);

  CHECK(both.theirs().looks >= 2);
}
