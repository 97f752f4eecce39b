// SPDX-License-Identifier: Apache-2.0
// Frames of parked runs are a cache with a bound: the least used leave memory first. And what becomes
// of attempts that the loop couldn't begin.
#include "engine/event/encode.hpp"
#include "engine/operate/operate.hpp"
#include "engine/ports/simulated.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "tests/unit/worker/bare_host.hpp"
#include "worker/runtime/loop.hpp"
#include "worker/testing/store_decorator.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace fermata;

constexpr workflow<int(int)> wait_for_two{"wait_for_two"};
constexpr fermata::signal<int> number{"number"};
constexpr step<int(int)> twice{"twice"};
constexpr workflow<int(int)> call_twice{"call_twice"};
constexpr step<int(int)> unlucky{"unlucky"};
constexpr workflow<int(int)> try_again{"try_again"};
constexpr workflow<int(int)> call_and_sleep{"call_and_sleep"};
constexpr workflow<int(int)> call_and_wait{"call_and_wait"};
constexpr workflow<int(int)> sleep_a_little{"sleep_a_little"};

int entered = 0;  // how often the code began, for the first time or to be replayed
int in_memory = 0;

/// Stands for what a frame holds.
struct counted {
  counted() { ++in_memory; }
  ~counted() { --in_memory; }
  counted(const counted&) = delete;
};

task<int> add_two(context& ctx, int n) {
  const counted here;
  ++entered;
  int one = co_await ctx.receive(number);
  int two = co_await ctx.receive(number);
  co_return n + one + two;
}

task<int> double_it(context& ctx, int n) {
  int doubled = co_await ctx.call(twice, n);
  co_return doubled;
}

task<int> double_and_hear(context& ctx, int n) {
  int doubled = co_await ctx.call(twice, n);
  int heard = co_await ctx.receive(number);
  co_return doubled + heard;
}

task<int> after_a_sleep(context& ctx, int n) {
  co_await ctx.sleep(std::chrono::milliseconds(20));
  co_return n;
}

task<int> sleep_beside_a_call(context& ctx, int n) {
  future<int> doubled = ctx.call(twice, n);
  co_await ctx.sleep(std::chrono::milliseconds(20));
  int heard = co_await ctx.receive(number);
  co_return n + heard + (doubled.ready() ? 1 : 0);
}

task<int> with_luck(context& ctx, int n) {
  int done = co_await ctx.call(unlucky, n, {.retry = {.first_delay = std::chrono::seconds(10)}});
  co_return done;
}

/// Can't read events for a while.
class failing_store final : public testing::store_decorator {
 public:
  using store_decorator::store_decorator;
  absl::StatusOr<std::vector<engine::encoded_event>> read_events(
      const engine::run_id& run, engine::position_t from, std::size_t at_most) const override {
    if (failures > 0) {
      --failures;
      return absl::UnavailableError("the disk didn't answer");
    }
    return store_decorator::read_events(run, from, at_most);
  }
  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    if (refusals > 0) {
      --refusals;
      return absl::UnavailableError("the disk didn't answer");
    }
    claims += what.claim ? 1 : 0;
    for (const engine::append& one : what.appends)
      if (one.then == engine::then::park && ++rests > rests_max)
        return absl::UnavailableError("a run was to rest again and again");
    if (rests == 1 && before_first_rest) std::exchange(before_first_rest, {})();
    {
      std::unique_lock lock(mutex);
      ++arrived;
      changed.notify_all();
      changed.wait(lock, [this] { return let_in > 0; });
      --let_in;
    }
    together = together || (what.claim && !what.messages.empty() && !what.appends.empty());
    if (what.claim && std::exchange(lose_claim, false)) {
      (void)store_decorator::commit(engine::batch(what));
      return absl::UnavailableError("the answer was lost");
    }
    auto answer = store_decorator::commit(std::move(what));
    if (unheard == 0) return answer;
    --unheard;
    return absl::UnavailableError("the answer was lost");
  }
  /// So many commits more may pass the door.
  void let_pass(int count) {
    const std::lock_guard lock(mutex);
    let_in = count;
    changed.notify_all();
  }
  /// Until the commit of this number is at the door.
  void await_arrival(int nth) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return arrived >= nth; });
  }
  engine::time_us now() const override { return store_decorator::now() - behind.count(); }
  mutable int failures = 0;
  bool lose_claim = false;  // the next one's answer
  int refusals = 0;         // commits that aren't written
  int unheard = 0;          // commits that are, and answer an error
  int claims = 0;
  int rests = 0, rests_max = 1'000'000;  // appends that let a run rest
  std::function<void()> before_first_rest;
  bool together = false;  // a claim, appends and messages were one commit
  std::mutex mutex;
  std::condition_variable changed;
  int let_in = 1'000'000, arrived = 0;
  std::chrono::microseconds behind{0};  // the clock is set back
};

/// A worker's loop and its client on one thread, in memory.
class bench final : public runtime::loop_outside {
 public:
  explicit bench(std::size_t frames_max, bool inline_commits = true)
      : memory_(std::make_shared<engine::memory_store>(
            "memory:", engine::open_options{.time = time_, .chance = chance_})),
        store(std::make_shared<failing_store>(memory_)),
        journal_(std::make_shared<detail::journal_impl>(store, "default", time_, chance_)),
        worker_(journal(journal_)),
        client(journal(journal_)) {
    entered = 0;
    worker_.serve(wait_for_two, add_two);
    worker_.serve(twice, [this](int n) {
      doubled = n;
      return 2 * n;
    });
    worker_.serve(call_twice, double_it);
    worker_.serve(sleep_a_little, after_a_sleep);
    worker_.serve(call_and_wait, double_and_hear);
    worker_.serve(call_and_sleep, sleep_beside_a_call);
    worker_.serve(unlucky, [this](int n) {
      if (++tried == 1) throw failure("bad luck");
      return n;
    });
    worker_.serve(try_again, with_luck);
    host = bare::host(worker_, *journal_);
    runtime::loop_options how;
    how.frames_max = frames_max;
    how.inline_commits = inline_commits;
    loop_ = std::make_unique<runtime::run_loop>(*journal_, host, bare::registered(*journal_),
                                                std::move(how), *this);
  }
  void work() {
    for (int i = 0; i < 5; ++i) {
      loop_->poke();
      (void)loop_->turn();
      for (auto& task : std::exchange(tasks_, {})) task();
    }
  }
  /// Somebody tells of all that was committed until now.
  void hear() {
    loop_->poke_for(store->wake_count());
    (void)loop_->turn();
  }
  /// The lease ends before the attempts that were handed over begin.
  void work_with_lease_over() {
    loop_->poke();
    (void)loop_->turn();
    host->held.lost();
    work();
  }

  /// One turn; what it commits on the writer's thread is done, and not read yet.
  void turn() {
    loop_->poke();
    (void)loop_->turn();
    journal_->writer().drain();
  }
  void only_turn() { (void)loop_->turn(); }
  void stop_claiming() { loop_->stop_claiming(); }
  bool idle() const { return loop_->idle(); }
  std::size_t owned() const { return loop_->owned(); }
  /// As of another process: what it commits waits for nobody here.
  journal elsewhere() const {
    return journal(std::make_shared<detail::journal_impl>(memory_, "default", time_, chance_));
  }
  void turn_and_claim() {
    loop_->poke();
    only_turn();
  }
  /// The oldest of what was handed over.
  void run_tasks(int count) {
    for (int i = 0; i < count; ++i) tasks_[static_cast<std::size_t>(i)]();
    tasks_.erase(tasks_.begin(), tasks_.begin() + count);
  }
  void drain() { journal_->writer().drain(); }
  void pass(std::chrono::microseconds span) { time_->advance(span.count()); }

  // loop_outside
  void execute(std::vector<runtime::step_pool::task>&& tasks) override {
    for (auto& task : tasks) tasks_.push_back(std::move(task));
  }
  void log(level, std::string_view line) override { said += line; }
  void run_line(const engine::log_line&) override {}
  void leased(std::int64_t) noexcept override {}

 private:
  std::shared_ptr<engine::manual_clock> time_ = std::make_shared<engine::manual_clock>();
  std::shared_ptr<engine::seeded_random> chance_ = std::make_shared<engine::seeded_random>(1);
  const std::shared_ptr<engine::memory_store> memory_;

 public:
  const std::shared_ptr<failing_store> store;

 private:
  std::shared_ptr<detail::journal_impl> journal_;
  fermata::worker worker_;
  std::unique_ptr<runtime::run_loop> loop_;
  std::vector<runtime::step_pool::task> tasks_;

 public:
  std::shared_ptr<runtime::attempt_host> host;
  fermata::client client;
  std::string said;
  int doubled = 0;  // last
  int tried = 0;
};

std::vector<run<int>> start(bench& b, int count) {
  std::vector<run<int>> runs;
  for (int i = 0; i < count; ++i) {
    runs.push_back(b.client.start(wait_for_two, i));
    b.work();
  }
  return runs;
}

}  // namespace

TEST_CASE("no more frames stay in memory than the bound, and destructors run when one leaves") {
  bench b(3);

  const std::vector<run<int>> runs = start(b, 10);

  CHECK(in_memory == 3);
  CHECK(entered == 10);
}

TEST_CASE("the runs used last go on from memory, the others are replayed") {
  bench b(3);
  const std::vector<run<int>> runs = start(b, 10);

  for (const std::size_t recent : {7U, 8U, 9U}) runs[recent].signal(number, 1);
  b.work();
  CHECK(entered == 10);
  runs[0].signal(number, 1);
  b.work();
  CHECK(entered == 11);
  CHECK(in_memory == 3);
  runs[7].signal(number, 1);  // the least used of 7, 8, 9 had to leave for 0
  b.work();
  CHECK(entered == 12);
  runs[9].signal(number, 1);
  b.work();

  CHECK(entered == 12);
  CHECK(runs[7].describe().state == run_state::completed);
  CHECK(runs[9].describe().state == run_state::completed);
}

TEST_CASE("a commit that is told of twice is looked for once") {
  bench b(3);
  const std::vector<run<int>> runs = start(b, 1);
  runs[0].signal(number, 1);
  const int before = b.store->claims;

  b.hear();  // from who sent it
  CHECK(b.store->claims == before + 1);
  b.hear();  // and from who watches the journal
  CHECK(b.store->claims == before + 1);

  runs[0].signal(number, 2);
  b.hear();
  CHECK(runs[0].result() == 3);
}

TEST_CASE("all end as they would with room for all of them") {
  for (const std::size_t frames_max : {0U, 1U, 100U}) {
    bench b(frames_max);
    const std::vector<run<int>> runs = start(b, 10);

    for (int round = 1; round <= 2; ++round) {
      for (const run<int>& one : runs) one.signal(number, 100 * round);
      b.work();
    }

    for (int i = 0; i < 10; ++i) CHECK(runs[static_cast<std::size_t>(i)].result() == i + 300);
    CHECK(in_memory == 0);
    CHECK((frames_max == 100) == (entered == 10));
  }
}

TEST_CASE("attempts that came too late for their lease begin when there is one again") {
  bench b(100);
  const auto run = b.client.start(call_twice, 4);

  b.work_with_lease_over();
  CHECK(run.describe().state == run_state::running);
  b.host->held.renewed(b.store->boot_now());
  b.work();

  CHECK(run.describe().state == run_state::completed);
}

TEST_CASE("a start that couldn't be written is told as an error") {
  bench b(10);
  b.store->refusals = 1;

  CHECK_THROWS_AS(b.client.start(call_twice, 3), error);
}

TEST_CASE("what couldn't be written is written when it can") {
  bench b(10);
  const auto run = b.client.start(call_twice, 3);
  b.turn();
  b.store->refusals = 1;

  b.work();
  CHECK(run.describe().state == run_state::running);
  b.pass(std::chrono::seconds(5));
  b.work();

  CHECK(run.describe().state == run_state::completed);
}

TEST_CASE("a run that a claim took unheard goes on all the same") {
  bench b(10);
  const auto run = b.client.start(call_twice, 3);
  b.store->unheard = 1;

  b.work();
  CHECK(b.owned() == 0);
  for (int i = 0; i < 3; ++i) {
    b.pass(std::chrono::seconds(5));
    b.work();
  }

  CHECK(run.describe().state == run_state::completed);
}

TEST_CASE("a run whose journal can't be read for a moment goes on when it can") {
  bench b(0);
  const auto run = b.client.start(wait_for_two, 4);
  b.work();
  run.signal(number, 1);
  b.store->failures = 3;

  b.work();
  CHECK(run.describe().state == run_state::running);
  for (int i = 0; i < 4; ++i) {
    b.pass(std::chrono::seconds(1));
    b.work();
  }
  run.signal(number, 2);
  b.work();

  CHECK(b.store->failures == 0);
  CHECK(run.result() == 7);
}

TEST_CASE(
    "a timer that a claim has found due fires, though the clock is set back before it is handed "
    "over") {
  bench b(100, false);
  const run<int> busy = b.client.start(call_twice, 1);
  for (int i = 0; i < 3; ++i) b.turn();  // its step doesn't end: commits are the writer's thread's
  const run<int> sleeps = b.client.start(sleep_a_little, 42);
  for (int i = 0; i < 3; ++i) b.turn();

  b.pass(std::chrono::milliseconds(30));
  b.turn();
  b.store->behind = std::chrono::seconds(1);
  b.turn();
  b.store->behind = std::chrono::seconds(0);
  for (int i = 0; i < 5; ++i) b.turn();

  CHECK(sleeps.describe().state == run_state::completed);
  CHECK(busy.describe().state == run_state::running);
}

TEST_CASE(
    "a run that one commit lets rest and claims again goes on, whichever answer comes first") {
  constexpr int half = 16;  // so many are a batch of their own while another is under way
  bench b(100, false);
  failing_store& door = *b.store;
  std::vector<run<int>> runs;
  for (int i = 0; i < 2 * half; ++i) runs.push_back(b.client.start(call_and_wait, i));
  for (int i = 0; i < 4; ++i) b.turn();  // all are in their step

  // Their steps end in two batches, both of which are written before the loop hears of it.
  const int before = door.arrived;
  door.let_pass(0);
  b.run_tasks(half);
  b.only_turn();
  door.await_arrival(before + 1);
  b.run_tasks(half);
  const auto told = static_cast<std::size_t>(b.doubled);  // of the second batch
  b.only_turn();
  door.let_pass(2);
  b.drain();
  // While the writer is busy: a claim with the first half, which comes to rest; then the second half;
  // then one of these is told something. All that is one commit.
  std::thread other([&] { (void)b.client.start(wait_for_two, 1); });
  door.await_arrival(before + 3);
  b.turn_and_claim();
  std::thread tells([&] { runs[told].signal(number, 5); });
  std::this_thread::sleep_for(
      std::chrono::milliseconds(200));  // tidy: until it waits for the writer
  door.let_pass(1'000'000);
  other.join();
  tells.join();
  b.drain();
  for (int i = 0; i < 4; ++i) b.turn();

  CHECK(door.together);
  CHECK(runs[told].describe().state == run_state::completed);
  CHECK(b.said.empty());
}

TEST_CASE("an owner that was overtaken lets its run go, and goes no further") {
  bench b(10);
  const auto run = b.client.start(call_and_wait, 3);
  b.turn();
  const engine::run_id id = *engine::run_id::parse(run.id());
  REQUIRE(b.store->release(b.store->workers()->front().row, {id}).ok());  // as a rescuer does

  b.run_tasks(1);
  b.only_turn();

  CHECK(b.said.find("another owner has gone on") != std::string::npos);
  CHECK(b.store->read_head(id)->position == 1);
}

TEST_CASE(
    "a worker that stops gives back a run that is told something just when it comes to rest") {
  bench b(100);
  const auto run = b.client.start(wait_for_two, 4, {.key = "told"});
  b.store->before_first_rest = [&] {
    b.stop_claiming();
    client(b.elsewhere()).attach(wait_for_two, "told").signal(number, 1);
  };
  b.store->rests_max = 10;

  b.turn();
  b.pass(std::chrono::milliseconds(200));  // what it lets go it gives back then
  b.turn();

  CHECK(b.store->rests == 1);
  CHECK(b.idle());
  const auto rows = b.store->find_key("default", "wait_for_two", "told");
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().owner == 0);
}

TEST_CASE("what a claim whose answer was lost had for a run that is here reaches it all the same") {
  bench b(100);
  const auto run = b.client.start(call_and_sleep, 4);
  for (int i = 0; i < 3; ++i) b.turn();  // its step doesn't end: it stays owned
  REQUIRE(b.owned() == 1);
  auto lose = [&b] {
    b.store->lose_claim = true;
    b.turn();
    for (int i = 0; i < 4; ++i) {
      b.pass(std::chrono::milliseconds(200));
      b.only_turn();
    }
    CHECK_FALSE(b.store->lose_claim);
  };

  b.pass(std::chrono::milliseconds(30));
  lose();  // a timer that is due
  CHECK(b.store->timers(*engine::run_id::parse(run.id()))->empty());
  run.signal(number, 3);
  lose();                            // a message
  b.pass(std::chrono::seconds(10));  // the call has its grace time
  for (int i = 0; i < 3; ++i) b.turn();

  CHECK(run.describe().state == run_state::completed);
}

TEST_CASE("a run that was let go, and claimed again at once, isn't given back") {
  bench b(100);
  const auto run = b.client.start(call_twice, 4, {.key = "taken"});
  for (int i = 0; i < 3; ++i) b.turn();
  const auto row = [&] { return b.store->find_key("default", "call_twice", "taken")->front(); };
  // Somebody takes it while its step is executed, so that what the step came to is refused.
  engine::worker_row dead;
  dead.row = 77;
  REQUIRE(
      engine::journal_blame(*b.store, row().run, dead, {{.operation = "1", .step = "twice"}}).ok());
  b.run_tasks(1);
  for (int i = 0; i < 3; ++i) b.turn();
  const auto claimed = row();
  REQUIRE(claimed.owner != 0);
  REQUIRE(b.said.find("another owner has gone on") != std::string::npos);

  b.pass(std::chrono::milliseconds(300));  // what it lets go it gives back then
  b.turn();

  CHECK(row().owner == claimed.owner);
  CHECK(row().epoch == claimed.epoch);
  b.work();
  CHECK(run.result() == 8);
}

TEST_CASE("a retry whose timer another owner took back, and that came to nothing there, is made") {
  for (const bool cached : {true, false})
    for (const bool due : {true, false}) {
      CAPTURE(cached);
      CAPTURE(due);
      bench b(cached ? 100 : 0);
      const auto run = b.client.start(try_again, 4);
      b.work();
      REQUIRE(b.tried == 1);
      if (due) b.pass(std::chrono::seconds(11));
      // The other's clock may be ahead: for it the retry was due. It goes away before its attempt ends.
      engine::worker_row other;
      other.id = engine::worker_id::parse("wrk_01KDVDNA00RM8CE3VDNZSB7TJC").value();
      other.row = b.store->register_worker(other)->row;
      engine::batch takes{.worker = other.row, .claim = engine::claim_request{.at_most = 1}};
      takes.claim->queues = {"default"};
      takes.claim->workflows = {"try_again"};
      takes.claim->now = b.store->now() + 11'000'000;
      const auto taken = b.store->commit(std::move(takes));
      const engine::claimed& had = taken.value().claimed.at(0);
      engine::batch writes{.worker = other.row};
      engine::append& back = writes.appends.emplace_back();
      back.run = had.run.run;
      back.chain = had.run.chain;
      back.row = had.run.row;
      back.epoch = had.run.epoch;
      back.after = had.head.position;
      back.after_hash = had.head.hash;
      back.changes.timers_removed = {had.due.front().operation};
      REQUIRE(b.store->commit(std::move(writes))->appends.front().how == engine::landing::landed);
      REQUIRE(b.store->leave(other.row).ok());

      b.work();
      if (!due) {
        CHECK(b.tried == 1);
        b.pass(std::chrono::seconds(11));
        b.work();
      }

      CHECK(b.tried == 2);
      CHECK(run.describe().state == run_state::completed);
    }
}
