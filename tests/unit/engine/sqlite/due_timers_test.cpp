// SPDX-License-Identifier: Apache-2.0
// What a claim costs, in steps of SQLite's virtual machine, behind due timers of what nobody serves; and that
// nothing which lies before them is overlooked.
#include "counting.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

using namespace fermata::conformance;

namespace {

constexpr std::int64_t many = 6'000;  // more than are looked at each time
constexpr time_us hour = 3'600 * second;

/// Very many runs of a workflow that nobody serves any more are due.
struct crowd {
  counting counts;
  scene at;
  worker_row me = at.join();

  crowd() {
    const worker_row before = at.join();
    for (std::int64_t made = 0; made < many; made += 1'000) {
      batch asked;
      for (int i = 0; i < 1'000; ++i) asked.starts.push_back(at.item(at.request("ship")));
      REQUIRE(at.journal->commit(std::move(asked)).ok());
      batch parking;
      parking.worker = before.row;
      for (const claimed& one : at.claim(before, 1'000)) {
        writer run(at, one);
        parking.appends.push_back(run.next({timer_set("1", at.now() + hour)}));
        parking.appends.back().then = then::park;
      }
      REQUIRE(at.journal->commit(std::move(parking)).ok());
    }
    at.pass(2 * hour);
  }

  std::vector<claimed> look(int at_most = 100) {
    claim_request what = at.wants(at_most);
    what.workflows = {"pay"};
    return at.claim(me, what).claimed;
  }
  std::int64_t cost_of_look() {
    const std::int64_t before = steps;
    CHECK(look().empty());
    return steps - before;
  }
  claimed begun() {
    at.start(at.request());
    std::vector<claimed> found = look();
    REQUIRE(found.size() == 1);
    return found[0];
  }
  /// A run that sleeps and belongs to nobody.
  run_id asleep(time_us due) {
    writer run(at, begun());
    append parking = run.next({timer_set("1", due)});
    parking.then = then::park;
    REQUIRE(run.result(parking).parked);
    return run.run;
  }
  /// Does this as another process would.
  template <class Work>
  void elsewhere(Work&& work) {
    std::shared_ptr<store> other = at.factory->reopen();
    const worker_row mine = std::exchange(me, at.join(*other));
    at.journal.swap(other);
    work();
    at.journal.swap(other);
    me = mine;
  }
};

}  // namespace

TEST_CASE("claims don't walk past due timers of what nobody serves again and again") {
  crowd all;

  const std::int64_t whole = all.cost_of_look();
  CHECK(whole > many);
  for (int i = 0; i < 20; ++i) CHECK(all.cost_of_look() < many / 10);

  all.at.pass(31 * second);
  CHECK(all.cost_of_look() > many);
}

TEST_CASE("a timer that is set for a time that has passed is found at once") {
  crowd all;
  CHECK(all.look().empty());

  const run_id run = all.asleep(all.at.now() - 2 * hour);

  CHECK((runs_of(all.look()) == std::vector<run_id>{run}));
}

TEST_CASE("a timer of the past that another process has set is found within half a minute") {
  crowd all;
  CHECK(all.look().empty());
  run_id late;
  all.elsewhere([&] { late = all.asleep(all.at.now() - 2 * hour); });

  all.at.pass(31 * second);

  CHECK((runs_of(all.look()) == std::vector<run_id>{late}));
}

TEST_CASE("a claim that is full before it looks at timers overlooks none of them") {
  crowd all;
  const run_id run = all.asleep(all.at.now() + 60'000);
  const claimed one = all.begun();
  const claimed another = all.begun();
  CHECK(all.look().empty());
  all.at.pass(270'000);  // it isn't time to look from the beginning
  all.at.send(all.at.signal(one.run.run));
  all.at.send(all.at.signal(another.run.run));

  CHECK(all.look(1).size() == 1);
  CHECK(all.look(1).size() == 1);
  CHECK((runs_of(all.look(1)) == std::vector<run_id>{run}));
}
