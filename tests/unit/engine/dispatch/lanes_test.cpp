// SPDX-License-Identifier: Apache-2.0
// The writer on a store with lanes: several groups under way.
#include "engine/dispatch/writer.hpp"
#include "tests/unit/engine/operate/passing_store.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace fermata::engine;

namespace {

std::string name_of(const batch& what) {
  return fmt::format("{}{}{}", is_plain(what) ? "plain " : "", items_in(what),
                     what.claim ? " claim" : "");
}

/// Its commits wait until the test lets them go, and it knows what was under way when each began.
class held_store : public fermata::engine::testing::passing_store {
 public:
  held_store(store& inner, std::size_t lanes) : passing_store(inner), lanes_(lanes) {}

  std::size_t lanes() const override { return lanes_; }
  absl::StatusOr<batch_result> commit(batch&& what) override {
    const std::string name = name_of(what);
    std::unique_lock lock(mutex_);
    begun_.push_back(fmt::format("{} beside [{}]", name, fmt::join(under_way_, ", ")));
    under_way_.push_back(name);
    most_ = std::max(most_, under_way_.size());
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_ || let_go_.contains(name); });
    under_way_.erase(std::ranges::find(under_way_, name));
    if (const auto how = let_go_.find(name); how != let_go_.end() && !how->second.ok())
      return how->second;
    batch_result done;
    for (const append& one : what.appends)
      done.appends.push_back({.how = one.epoch == 7 ? landing::stale : landing::landed});
    done.starts.resize(what.starts.size());
    return done;
  }

  void await(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_.size() >= count; });
  }
  void let_go(const std::string& name, absl::Status how = absl::OkStatus()) {
    const std::lock_guard lock(mutex_);
    let_go_[name] = std::move(how);
    changed_.notify_all();
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  std::vector<std::string> begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  std::size_t most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  const std::size_t lanes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> begun_, under_way_;
  std::map<std::string, absl::Status> let_go_;
  std::size_t most_ = 0;
  bool open_ = false;
};

batch events(std::size_t count) {
  batch what;
  what.worker = 1;
  for (position_t i = 0; i < count; ++i) {
    append& one = what.appends.emplace_back();
    one.after = i + 1;
    one.events.emplace_back().position = i + 2;
  }
  return what;
}

batch starts(std::size_t count) {
  batch what;
  what.starts.resize(count);
  return what;
}

batch claim() {
  batch what;
  what.worker = 1;
  what.claim.emplace();
  return what;
}

/// A number of answers that can be waited for.
class answers {
 public:
  writer::done count() {
    return [this](const writer::answer& how, const batch& back) {
      const std::lock_guard lock(mutex_);
      all_.push_back(name_of(back) + (how.ok() ? "" : " failed"));
      changed_.notify_all();
    };
  }
  std::vector<std::string> await(std::size_t many) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return all_.size() >= many; });
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

struct scene {
  explicit scene(std::size_t lanes) : store(std::make_shared<held_store>(*inner, lanes)) {}
  std::shared_ptr<fermata::engine::store> inner = *open_store("memory:");
  std::shared_ptr<held_store> store;
  answers answered;
};

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("plain appends and everything else are written side by side, and answered apart") {
  scene s(4);
  writer writes(s.store);
  writes.submit(events(8), s.answered.count());
  s.store->await(1);
  writes.submit(starts(1), s.answered.count());
  s.store->await(2);

  s.store->let_go("1");
  CHECK(s.answered.await(1) == texts{"1"});
  s.store->let_go("plain 8", absl::UnavailableError("away"));
  CHECK(s.answered.await(2) == texts{"1", "plain 8 failed"});
  CHECK(s.store->begun() == texts{"plain 8 beside []", "1 beside [plain 8]"});
}

TEST_CASE("beside a claim nothing is written but plain appends") {
  scene s(4);
  writer writes(s.store);
  writes.submit(starts(2), s.answered.count());
  s.store->await(1);
  writes.submit(claim(), s.answered.count());
  writes.submit(events(3), s.answered.count());
  s.store->await(2);
  s.store->let_go("2");
  s.store->await(3);
  writes.submit(starts(5), s.answered.count());
  writes.submit(events(4), s.answered.count());
  s.store->await(4);
  s.store->let_go("0 claim");
  s.store->await(5);
  s.store->open();
  writes.drain();

  CHECK(s.store->begun() == texts{"2 beside []", "plain 3 beside [2]", "0 claim beside [plain 3]",
                                  "plain 4 beside [plain 3, 0 claim]",
                                  "5 beside [plain 3, plain 4]"});
}

TEST_CASE("a further group begins when as much waits as is under way") {
  scene s(4);
  writer writes(s.store);
  writes.submit(events(8), s.answered.count());
  s.store->await(1);
  writes.submit(events(3), s.answered.count());
  writes.submit(starts(1), s.answered.count());
  s.store->await(2);
  CHECK(s.store->begun().back() == "1 beside [plain 8]");

  writes.submit(events(6), s.answered.count());
  s.store->await(3);
  CHECK(s.store->begun().back() == "plain 9 beside [plain 8, 1]");
  s.store->open();
  writes.drain();
  CHECK(s.answered.await(4).size() == 4);
}

TEST_CASE("plain appends leave a lane to the others, and the others to them") {
  scene s(2);
  writer writes(s.store);
  for (const std::size_t count : {1u, 2u, 3u}) writes.submit(events(count), s.answered.count());
  for (const std::size_t count : {7u, 8u, 9u}) writes.submit(starts(count), s.answered.count());
  s.store->await(2);
  s.store->open();
  writes.drain();

  CHECK(s.store->most() == 2);
  CHECK(s.answered.await(6).size() == 6);
}

TEST_CASE("on a store with one lane everything is written in order, one group at a time") {
  scene s(1);
  writer writes(s.store);
  writes.submit(events(1), s.answered.count());
  s.store->await(1);
  writes.submit(starts(2), s.answered.count());
  writes.submit(events(4), s.answered.count());
  writes.submit(claim(), s.answered.count());
  s.store->open();
  writes.drain();

  CHECK(s.store->begun() == texts{"plain 1 beside []", "6 claim beside []"});
  CHECK(s.answered.await(4) == texts{"plain 1", "2", "plain 4", "0 claim"});
}

TEST_CASE("each of many callers gets its own answer, however many groups are under way") {
  scene s(4);
  s.store->open();
  writer writes(s.store);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([&, caller] {
      for (std::size_t round = 0; round < 200; ++round) {
        const std::size_t count = 1 + round % 5;
        batch what = caller % 3 == 0 ? starts(count) : caller % 3 == 1 ? events(count) : claim();
        const bool stale = !what.appends.empty() && round % 2 == 0;
        if (stale) what.appends[0].epoch = 7;
        const auto expected = what.appends.size() + what.starts.size();
        std::optional<writer::answer> how;
        if (round % 3 == 0) how = writes.try_commit(what);
        if (!how) how = writes.commit(std::move(what));
        const bool right =
            how->ok() && (*how)->appends.size() + (*how)->starts.size() == expected &&
            ((*how)->appends.empty() || ((*how)->appends[0].how == landing::stale) == stale);
        wrong += right ? 0 : 1;
      }
    });
  for (int i = 0; i < 200; ++i) writes.submit(events(3), s.answered.count());
  for (std::thread& one : callers) one.join();
  writes.drain();

  CHECK(wrong == 0);
  CHECK(s.answered.await(200).size() == 200);
  CHECK(s.store->most() <= 4);
  for (const std::string& one : s.store->begun())
    if (const auto at = one.find("beside"); one.find("claim") < at)
      CHECK(one.find("claim", at) == std::string::npos);
}
