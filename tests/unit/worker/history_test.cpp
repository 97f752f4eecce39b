// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/history.hpp"

#include "engine/event/encode.hpp"
#include "engine/store/store.hpp"
#include "tests/unit/engine/operate/passing_store.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <set>
#include <thread>

using fermata::engine::encoded_event;
using fermata::engine::position_t;
using fermata::engine::run_id;
using fermata::runtime::history;
using fermata::runtime::read_history;
using problem = fermata::runtime::history::problem;

namespace {

run_id some_run() { return *run_id::parse("run_01JDDDDDDDDDDDDDDDDDDDDDDD"); }

std::vector<encoded_event> events(std::size_t count) {
  std::vector<encoded_event> made;
  made.reserve(count);
  for (position_t at = 1; at <= count; ++at) {
    fermata::engine::event what;
    what.position = at;
    what.kind = at == 1 ? fermata::engine::event_kind::run_started
                        : fermata::engine::event_kind::step_completed;
    what.operation = std::to_string(at);
    made.push_back(
        encode(some_run(), at == 1 ? fermata::engine::chain_hash{} : made.back().chain, what, {}));
  }
  return made;
}

/// Answers with these events, whatever they are.
class canned : public fermata::engine::testing::passing_store {
 public:
  canned(store& inner, std::vector<encoded_event> all)
      : passing_store(inner), all(std::move(all)) {}

  absl::StatusOr<std::vector<encoded_event>> read_events(const run_id&, position_t from,
                                                         std::size_t at_most) const override {
    const std::lock_guard lock(mutex_);
    threads.insert(std::this_thread::get_id());
    if (from == away) return absl::UnavailableError("not now");
    std::vector<encoded_event> some;
    for (const encoded_event& one : all)
      if (one.position >= from && some.size() < at_most) some.push_back(one);
    read += some.size();
    return some;
  }

  std::vector<encoded_event> all;
  position_t away = 0;  // where reading fails
  mutable std::size_t read = 0;
  mutable std::set<std::thread::id> threads;

 private:
  mutable std::mutex mutex_;
};

struct fixture {
  std::shared_ptr<fermata::engine::store> inner = *fermata::engine::open_store("memory:");
  canned store{*inner, {}};
  int got_on = 0;

  history read(position_t last, std::vector<encoded_event> beginning = {}) {
    return read_history(store, some_run(), last, std::move(beginning), [this] { ++got_on; });
  }
};

encoded_event& at(fixture& f, position_t position) { return f.store.all.at(position - 1); }

}  // namespace

TEST_CASE_FIXTURE(fixture, "a history of any length is read whole, in order, and no event twice") {
  for (const std::size_t length :
       {1UL, 999UL, 1000UL, 1001UL, 2000UL, 2001UL, 2999UL, 3000UL, 3001UL, 5000UL}) {
    store.all = events(length);
    store.read = 0;
    store.threads.clear();
    got_on = 0;

    const history found = read(length);

    CHECK(found.why == problem::none);
    CHECK(found.events.size() == length);
    for (std::size_t i = 0; i < found.events.size(); ++i)
      if (found.events[i].position != i + 1 || found.events[i].operation != std::to_string(i + 1))
        FAIL_CHECK("event " << found.events[i].operation << " stands at " << i + 1);
    CHECK(store.read == length);
    CHECK(got_on == static_cast<int>((length + 999) / 1000));
    CHECK(store.threads.size() == (length > 2000 ? 2 : 1));
    CHECK(store.threads.contains(std::this_thread::get_id()));
  }
}

TEST_CASE_FIXTURE(fixture, "what comes after the last event that was asked for isn't read") {
  store.all = events(3500);

  CHECK(read(2500).events.size() == 2500);
  CHECK(store.read == 2500);
}

TEST_CASE_FIXTURE(fixture, "a beginning that is known isn't read again") {
  store.all = events(2500);

  const history found = read(2500, events(10));

  CHECK(found.why == problem::none);
  CHECK(found.events.size() == 2500);
  CHECK(store.read == 2490);
}

TEST_CASE_FIXTURE(fixture,
                  "of a beginning only what was asked for is taken, and it is checked as all is") {
  store.all = events(10);
  CHECK(read(7, events(10)).events.size() == 7);
  CHECK(store.read == 0);

  std::vector<encoded_event> damaged = events(10);
  damaged[3].name = "another";
  CHECK(read(10, damaged).why == problem::damaged);
  std::vector<encoded_event> gap = events(10);
  gap.erase(gap.begin() + 3);
  const history found = read(10, gap);
  CHECK(found.why == problem::damaged);
  CHECK(found.events.size() == 3);
}

TEST_CASE_FIXTURE(fixture, "the first event that is damaged is named, whichever thread reads it") {
  for (const position_t first : {1UL, 999UL, 1000UL, 1001UL, 2000UL, 2001UL, 3001UL, 3500UL}) {
    for (const position_t later : {first, first + 1, position_t{3500}}) {
      if (later > 3500) continue;
      store.all = events(3500);
      at(*this, first).name = "another";
      at(*this, later).name = "another";

      const history found = read(3500);

      CHECK(found.why == problem::damaged);
      CHECK(found.text.find("position " + std::to_string(first) + ": its checksum") !=
            std::string::npos);
      CHECK(found.events.size() == first - 1);
    }
  }
}

TEST_CASE_FIXTURE(fixture, "an event that is missing is named, whichever thread reads its page") {
  for (const position_t gone : {1UL, 1000UL, 1001UL, 2000UL, 2001UL, 3500UL}) {
    store.all = events(3500);
    store.all.erase(store.all.begin() + static_cast<std::ptrdiff_t>(gone) - 1);

    const history found = read(3500);

    CHECK(found.why == problem::damaged);
    CHECK(found.text.find("position " + std::to_string(gone) + ": it is missing") !=
          std::string::npos);
  }
}

TEST_CASE_FIXTURE(
    fixture, "an event of a newer version, and a store that is away, are told apart from damage") {
  store.all = events(3500);
  at(*this, 1500).key_id = 7;
  seal(some_run(), at(*this, 1499).chain, at(*this, 1500));
  CHECK(read(3500).why == problem::newer);

  for (const position_t from : {1UL, 1001UL, 2001UL, 3001UL}) {
    store.all = events(3500);
    store.away = from;
    const history found = read(3500);
    CHECK(found.why == problem::unavailable);
    CHECK(found.text == "not now");
  }
}
