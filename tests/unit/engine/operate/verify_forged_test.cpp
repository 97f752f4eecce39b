// SPDX-License-Identifier: Apache-2.0
// Journals whose every event is right by itself: what only the checker's own account of a run finds.
#include "bench.hpp"
#include "damaged_store.hpp"

#include "engine/event/encode.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

using namespace fermata::engine;
using namespace fermata::engine::testing;

const fermata::pb::failure down = failure("carrier_down", "no pickup today");

/// The findings in a run whose journal has these events behind its start, each well made. One without an
/// epoch has that of its predecessor.
std::string forged(std::vector<event> events,
                   const chain_hash* not_after_its_predecessor = nullptr) {
  bench b;
  const run_id run = b.begin();
  const event start = b.history(run).front();
  std::vector<stored_event> made;
  const damaged_store damaged(*b.store, run, [&](std::vector<stored_event>& all) {
    const auto first =
        std::ranges::find_if(all, [&](const stored_event& e) { return e.run == run; });
    if (first == all.end()) return;
    chain_hash hash = first->what.chain;
    epoch_t epoch = start.epoch;
    std::vector<stored_event> more;
    for (event& what : events) {
      what.position = more.size() + 2;
      what.at = start.at;
      if (what.epoch == 0) what.epoch = epoch;
      epoch = what.epoch;
      stored_event one = *first;
      const bool wrong = not_after_its_predecessor != nullptr && what.position == 2;
      one.what = encode(run, wrong ? *not_after_its_predecessor : hash, what, std::string(16, 's'));
      hash = one.what.chain;
      more.push_back(one);
    }
    all.insert(first + 1, more.begin(), more.end());
  });
  std::string all;
  for (const std::string& one : b.findings(damaged)) all += one + "\n";
  return all;
}

bool says(const std::string& found, std::string_view position, std::string_view what) {
  const std::string::size_type at = found.find("@" + std::string(position) + ": ");
  return at != std::string::npos && found.find(what, at) != std::string::npos;
}

TEST_CASE("an event that is sealed to another predecessor than its own is found") {
  chain_hash other{};
  other[0] = 1;
  CHECK(says(forged({marker("m")}, &other), "2", "chain"));
}

TEST_CASE("epochs that fall, and an owner that doesn't raise its epoch, are found") {
  event late = marker("m");
  late.epoch = 9;
  event early = marker("n");
  early.epoch = 8;
  CHECK(says(forged({late, early}), "3", "epoch 8 follows epoch 9"));

  event owner = marker("");
  owner.kind = event_kind::owner_changed;
  owner.details.mutable_owner()->set_epoch(1);
  CHECK(says(forged({owner}), "2", "it must rise"));
}

TEST_CASE("an outcome of the code's own step after `failing` is found") {
  CHECK(says(forged({failing(down), step_done("5", "ship")}), "3", "after `failing`"));
}

TEST_CASE("a child that has ended without its parent being told is found") {
  bench b;
  const run_id parent = b.begin();
  start_request bill = b.request("bill");
  bill.parent = bill.parent_chain = parent;
  bill.parent_operation = "1";
  append more;
  more.children.push_back(bill);
  b.write(parent, {child_started("1", "bill", bill.run)}, then::keep, more);
  b.claim();
  CHECK(b.findings().empty());

  b.write(bill.run, {completed()}, then::end);

  const std::vector<std::string> found = b.findings();
  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with(parent.text() + "@2: its child"));
}

/// Its runs go on while they are looked at.
class busy_store : public passing_store {
 public:
  busy_store(store& inner, std::function<void()> goes_on)
      : passing_store(inner), goes_on_(std::move(goes_on)) {}

  absl::StatusOr<fermata::engine::head> read_head(const run_id& run) const override {
    goes_on_();
    return inner_.read_head(run);
  }

 private:
  std::function<void()> goes_on_;
};

TEST_CASE("a run that goes on while it is verified is caught up with, or left to the next time") {
  for (const int most : {3, 1'000}) {
    CAPTURE(most);
    bench b;
    const run_id run = b.begin();
    int written = 0;
    bool writes = false;  // what writes reads the head itself
    const busy_store busy(*b.store, [&] {
      if (writes || written >= most) return;
      writes = true;
      ++written;
      b.write(run, {step_done(std::to_string(written), "charge")});
      writes = false;
    });

    CHECK(b.findings(busy).empty());

    CHECK(written >= 3);
    CHECK(written < 100);
  }
}

TEST_CASE("two open runs of one chain are found") {
  class lying : public passing_store {
   public:
    using passing_store::passing_store;
    chain_id chain;
    absl::StatusOr<run_row> find_run(const run_id& run) const override {
      auto found = inner_.find_run(run);
      if (found.ok()) found->chain = chain;
      return found;
    }
  };
  bench b;
  const run_id first = b.begin();
  b.begin();
  lying store(*b.store);
  store.chain = first;

  std::string all;
  for (const std::string& one : b.findings(store)) all += one + "\n";

  CHECK(all.find("its chain has another open run, ") != std::string::npos);
}

TEST_CASE("a run that has ended, and whose journal has no end, isn't retried") {
  bench b;
  const run_id run = b.begin();
  b.write(run, {failed(down)}, then::end);
  damaged_store damaged(*b.store, run, [](std::vector<stored_event>& all) { all.pop_back(); });

  const auto again = retry(damaged, run, {"ada", "again"}, false);

  CHECK(again.status().code() == absl::StatusCode::kDataLoss);
  CHECK(b.row(run).next_run.empty());
}

TEST_CASE("what a terminated run had finished isn't left behind, whatever its outcome") {
  bench b;
  const run_id run = b.begin();
  const run_id child = b.make_id();
  b.write(run, {attempt_failed("1", "charge", 1), step_failed("1", "charge", down, 1),
                attempt_failed("2", "ship", 1), step_cancelled("2", "ship"),
                child_started("3", "bill", child), child_failed("3", "bill", child, down),
                child_started("4", "bill", b.make_id())});

  REQUIRE(terminate(*b.store, run, {"ada", "enough"}).ok());

  const event end = b.history(run).back();
  REQUIRE(end.details.ended().abandoned_size() == 1);
  CHECK(end.details.ended().abandoned(0) == "4");
}

TEST_CASE("a request that expires says how long nobody began it, in a fitting unit") {
  constexpr std::int64_t s = 1'000'000;
  const std::pair<std::int64_t, const char*> all[] = {
      {5 * s, "in the 5000 ms"},   {60 * s, "in the 60 s"},         {1'800 * s, "in the 30 min"},
      {36'000 * s, "in the 10 h"}, {864'000 * s, "in the 10 days"}, {-1, "had passed before"}};
  for (const auto& [after, words] : all) {
    CAPTURE(words);
    bench b;
    start_request late = b.request();
    late.not_after = late.requested + after;
    const run_id run = b.ask(late);
    b.time->advance(std::max<std::int64_t>(0, after) + s);

    REQUIRE(expire_requests(*b.store, 10).ok());

    CHECK(b.row(run).state == run_state::expired);
    CHECK(b.history(run).back().details.ended().why().message().find(words) != std::string::npos);
  }
}

}  // namespace
