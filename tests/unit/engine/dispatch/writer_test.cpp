// SPDX-License-Identifier: Apache-2.0
#include "engine/dispatch/writer.hpp"

#include "engine/store/status.hpp"
#include "tests/unit/engine/operate/passing_store.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

using namespace fermata::engine;

namespace {

/// Says how much each commit brought, and makes the first one wait.
class slow_store : public fermata::engine::testing::passing_store {
 public:
  using passing_store::passing_store;

  absl::StatusOr<batch_result> commit(batch&& what) override {
    std::unique_lock lock(mutex_);
    starts_.push_back(what.starts.size());
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    batch_result done;
    done.starts.resize(what.starts.size());
    for (const task_finish& one : what.finish)
      done.finished.push_back(one.task.epoch % 2 == 0 ? finish_result::accepted
                                                      : finish_result::gone);
    if (what.claim) {
      for (const task_name& name : what.claim->holds) done.stopped.push_back(name);
      done.tasks.resize(what.claim->rooms.size());
      done.more_tasks = true;
    }
    return done;
  }
  void await_first() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !starts_.empty(); });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  std::vector<std::size_t> starts() {
    const std::lock_guard lock(mutex_);
    return starts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> starts_;  // of each commit
  bool open_ = false;
};

batch start_with(std::size_t bytes) {
  batch what;
  what.starts.emplace_back().request.input.bytes.assign(bytes, 'x');
  return what;
}

struct scene {
  std::shared_ptr<store> inner = *open_store("memory:");
  std::shared_ptr<slow_store> slow = std::make_shared<slow_store>(*inner);
};

}  // namespace

TEST_CASE("what is committed together stops at four mebibytes") {
  scene s;
  writer writes(s.slow);
  const auto ignore = [](const writer::answer&, const batch&) {};
  writes.submit(start_with(1), ignore);
  s.slow->await_first();

  for (int i = 0; i < 5; ++i) writes.submit(start_with(1'500'000), ignore);
  s.slow->open();
  writes.drain();

  CHECK(s.slow->starts() == std::vector<std::size_t>{1, 3, 2});
}

TEST_CASE("beyond the bound a call that would wait is refused, and nothing of it is written") {
  scene s;
  writer writes(s.slow, 2);
  const auto ignore = [](const writer::answer&, const batch&) {};
  writes.submit(start_with(1), ignore);
  s.slow->await_first();
  writes.submit(start_with(1), ignore);
  writes.submit(start_with(1), ignore);

  const writer::answer refused = writes.commit(start_with(1));
  CHECK(refused.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(fer_code_of(refused.status()) == "FER-1405");
  s.slow->open();
  writes.drain();
  CHECK(writes.commit(start_with(1)).ok());

  std::size_t all = 0;
  for (const std::size_t starts : s.slow->starts()) all += starts;
  CHECK(all == 4);
}

TEST_CASE(
    "each batch of a group is given what became of its own tasks, the claim's go to who claimed") {
  scene s;
  writer writes(s.slow);
  std::vector<batch_result> answers(3);
  const auto keep = [&answers](std::size_t at) {
    return [&answers, at](writer::answer how, const batch&) { answers[at] = *std::move(how); };
  };
  const auto finishes = [](std::initializer_list<std::uint64_t> epochs) {
    batch what;
    for (const std::uint64_t epoch : epochs) what.finish.push_back({.task = {.epoch = epoch}});
    return what;
  };
  writes.submit(start_with(1), [](const writer::answer&, const batch&) {});
  s.slow->await_first();
  writes.submit(finishes({1, 2}), keep(0));
  batch claims = finishes({4});
  claims.claim.emplace().holds.push_back({.operation = "7"});
  claims.claim->rooms.resize(2);
  writes.submit(std::move(claims), keep(1));
  writes.submit(finishes({3}), keep(2));
  s.slow->open();
  writes.drain();

  using enum finish_result;
  CHECK(s.slow->starts().size() == 2);
  CHECK(answers[0].finished == std::vector{gone, accepted});
  CHECK(answers[1].finished == std::vector{accepted});
  CHECK(answers[2].finished == std::vector{gone});
  CHECK(answers[0].tasks.empty());
  REQUIRE(answers[1].stopped.size() == 1);
  CHECK(answers[1].stopped[0].operation == "7");
  CHECK(answers[1].tasks.size() == 2);
  CHECK(answers[1].more_tasks);
}
