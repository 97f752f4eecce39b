// SPDX-License-Identifier: Apache-2.0
#include "engine/ports/make_id.hpp"
#include "engine/ports/real.hpp"
#include "tests/unit/engine/sqlite/place.hpp"

#include <csignal>

namespace fermata::conformance {
namespace {

constexpr int commits_each = 100;

/// Starts and claims runs as fast as it can; answers how many commits were refused.
int write_much(const std::string& address) {
  auto journal = open_store(address);
  if (!journal.ok()) return 100;
  auto worker = (*journal)->register_worker({.host = "here", .build = "build-1"});
  if (!worker.ok()) return 101;
  real_clock time;
  real_random chance;
  int refused = 0;
  for (int i = 0; i < commits_each; ++i) {
    batch work{.worker = worker->row};
    for (int k = 0; k < 3; ++k) {
      start_item item;
      item.request.run = new_run_id(time, chance);
      item.request.seed = std::string(16, 's');
      item.request.workflow = "pay";
      item.input_digest = std::string(16, 'd');
      work.starts.push_back(std::move(item));
    }
    work.claim = claim_request{
        .at_most = 3, .workflows = {"pay"}, .build = "build-1", .now = (*journal)->now()};
    if (!(*journal)->commit(std::move(work)).ok()) ++refused;
  }
  return refused;
}

TEST_CASE("two processes write at once, and neither is ever told that the database is locked") {
  place here;
  REQUIRE(open_store(here.address()).ok());
  const pid_t one = in_child([&] { return write_much(here.address()); });
  const pid_t two = in_child([&] { return write_much(here.address()); });

  CHECK(await(one) == 0);
  CHECK(await(two) == 0);
  auto journal = *open_store(here.address());
  const auto counts = journal->counts("default");
  REQUIRE(counts.ok());
  CHECK(counts->by_state.at(run_state::running) == 2 * 3 * commits_each);
  CHECK(journal->check_pages()->empty());
}

TEST_CASE("runs of a killed process are ready work at once; a stopped one keeps its own") {
  place here;
  auto journal = *open_store(here.address());
  baton working;
  const auto me = journal->register_worker({.host = "here", .build = "build-1"});
  REQUIRE(me.ok());
  const pid_t owner = in_child([&] {
    auto mine = *open_store(here.address());
    auto worker = mine->register_worker({.host = "here", .build = "build-1"});
    start_item item;
    item.request.run = run_id::of(ulid::make(1'700'000'000'000'000, {7}));
    item.request.seed = std::string(16, 's');
    item.request.workflow = "pay";
    batch some{.worker = worker->row};
    some.starts.push_back(item);
    some.claim = claim_request{.at_most = 1, .workflows = {"pay"}, .now = mine->now()};
    const bool ok = mine->commit(std::move(some)).ok();
    working.pass();
    pause();
    return ok ? 0 : 1;
  });
  working.take();
  kill(owner, SIGSTOP);
  CHECK_FALSE(journal->somebody_died(me->row));
  CHECK(journal->rescue(me->row)->empty());

  kill(owner, SIGKILL);
  await(owner);
  CHECK(journal->somebody_died(me->row));
  const auto dead = journal->rescue(me->row);
  REQUIRE(dead.ok());
  REQUIRE(dead->size() == 1);
  CHECK(journal->release_dead(dead->front().row)->size() == 1);
  CHECK_FALSE(journal->somebody_died(me->row));
  CHECK(journal->counts("default")->ready == 1);
}

TEST_CASE("a dead worker whose runs couldn't be released is found again") {
  scene scene;
  const worker_row me = scene.join();
  auto handle = scene.factory->reopen();
  const worker_row dying = scene.join(*handle);
  scene.begin(dying);
  scene.factory->kill(handle, dying.row);
  REQUIRE(scene.journal->rescue(me.row)->size() == 1);
  foreign db(file_of(scene));
  REQUIRE(
      db.run("CREATE TRIGGER refuses BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'no'); END")
          .empty());
  REQUIRE_FALSE(scene.journal->release_dead(dying.row).ok());

  CHECK(scene.journal->somebody_died(me.row));

  REQUIRE(db.run("DROP TRIGGER refuses").empty());
  CHECK(scene.journal->release_dead(dying.row)->size() == 1);
  CHECK_FALSE(scene.journal->somebody_died(me.row));
}

}  // namespace
}  // namespace fermata::conformance
