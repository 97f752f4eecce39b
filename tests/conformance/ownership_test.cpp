// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fermata::conformance;

namespace {

/// A worker that registered through a handle of its own, as another process would.
struct other_process {
  explicit other_process(scene& of, std::string build = "build-1")
      : handle(of.factory->reopen()), worker(of.join(*handle, std::move(build))) {}
  std::shared_ptr<store> handle;
  worker_row worker;
};

}  // namespace

TEST_CASE("two workers that race for a run: one gets it") {
  scene scene;
  const worker_row left = scene.join();
  const worker_row right = scene.join();
  scene.start(scene.request());

  CHECK(scene.claim(left).size() == 1);
  CHECK(scene.claim(right).empty());
}

TEST_CASE("workers get slots and rows of their own") {
  scene scene;
  const worker_row left = scene.join();
  const worker_row right = scene.join();

  CHECK(left.row != 0);
  CHECK(left.row != right.row);
  CHECK(left.slot != right.slot);
  CHECK_FALSE(left.id.empty());
  CHECK(scene.journal->workers()->size() == 2);
}

TEST_CASE("rescue marks a worker dead, and leaves its runs to be blamed before they are released") {
  scene scene;
  const worker_row me = scene.join();
  other_process dying(scene);
  writer late(scene, scene.begin(dying.worker));
  scene.factory->kill(dying.handle, dying.worker.row);

  CHECK(scene.journal->somebody_died(me.row));
  const auto dead = scene.journal->rescue(me.row);
  REQUIRE(dead.ok());
  REQUIRE(dead->size() == 1);
  CHECK((*dead)[0].row == dying.worker.row);
  CHECK((*dead)[0].id == dying.worker.id);
  CHECK((*dead)[0].slot == dying.worker.slot);
  CHECK((*dead)[0].dead);
  CHECK(scene.row(late.run).owner == dying.worker.row);
  CHECK(scene.claim(me).empty());
  CHECK(late.land(late.next({step_completed("1")})) == landing::not_owner);
}

TEST_CASE("release_dead makes a dead worker's runs ready, with a higher epoch, and is done once") {
  scene scene;
  const worker_row me = scene.join();
  other_process dying(scene);
  const claimed run = scene.begin(dying.worker);
  scene.factory->kill(dying.handle, dying.worker.row);
  REQUIRE(scene.journal->rescue(me.row)->size() == 1);

  const auto runs = scene.journal->release_dead(dying.worker.row);
  REQUIRE(runs.ok());
  REQUIRE(runs->size() == 1);
  CHECK(runs->front() == run.run.run);
  CHECK(scene.row(run.run.run).owner == 0);
  CHECK(scene.row(run.run.run).epoch > run.run.epoch);
  CHECK_FALSE(scene.journal->somebody_died(me.row));
  CHECK(absl::IsNotFound(scene.journal->release_dead(dying.worker.row).status()));

  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == run.run.run);
  CHECK_FALSE(taken[0].fresh);
  CHECK_FALSE(taken[0].mine_before);
  CHECK(scene.journal->rescue(me.row)->empty());
}

TEST_CASE("of very many runs of a dead worker the first are ready before the last are released") {
  scene scene;
  const worker_row me = scene.join();
  other_process dying(scene);
  const std::size_t many = limits::released_at_once + 1;
  for (std::size_t i = 0; i < many;) {
    batch some;
    some.worker = dying.worker.row;
    for (int k = 0; k < 500 && i < many; ++k, ++i)
      some.starts.push_back(scene.item(scene.request()));
    REQUIRE(scene.journal->commit(std::move(some)).ok());
  }
  for (std::size_t claimed = 0; claimed < many;) {
    const std::size_t some = scene.claim(dying.worker, 4'000).size();
    REQUIRE(some > 0);
    claimed += some;
  }
  scene.factory->kill(dying.handle, dying.worker.row);
  REQUIRE(scene.journal->rescue(me.row)->size() == 1);

  REQUIRE(scene.journal->release_dead(dying.worker.row)->size() == limits::released_at_once);
  CHECK(scene.claim(me, 1).size() == 1);
  CHECK(scene.join().slot != dying.worker.slot);
  REQUIRE(scene.journal->rescue(me.row)->size() == 1);
  REQUIRE(scene.journal->release_dead(dying.worker.row)->size() == 1);
  CHECK(absl::IsNotFound(scene.journal->release_dead(dying.worker.row).status()));
  CHECK(scene.journal->rescue(me.row)->empty());
  CHECK(scene.claim(me, static_cast<int>(many)).size() == limits::released_at_once);
}

TEST_CASE("a dead worker whose rescuer dies, too, is found again; its slot isn't used before") {
  scene scene;
  const worker_row me = scene.join();
  other_process dying(scene);
  scene.begin(dying.worker);
  other_process rescuer(scene);
  scene.factory->kill(dying.handle, dying.worker.row);
  REQUIRE(rescuer.handle->rescue(rescuer.worker.row)->size() == 1);
  scene.factory->kill(rescuer.handle, rescuer.worker.row);

  CHECK(scene.journal->somebody_died(me.row));
  CHECK(scene.join().slot != dying.worker.slot);
  const auto dead = scene.journal->rescue(me.row);
  REQUIRE(dead.ok());
  REQUIRE(dead->size() == 2);
  for (const worker_row& one : *dead) CHECK(scene.journal->release_dead(one.row).ok());
  CHECK(scene.claim(me).size() == 1);
  CHECK_FALSE(scene.journal->somebody_died(me.row));
}

TEST_CASE("a worker that died as it left isn't looked for again and again") {
  scene scene;
  const worker_row me = scene.join();
  other_process dying(scene);
  scene.factory->kill(dying.handle, dying.worker.row);
  // What it had committed when it died.
  CHECK(scene.journal->leave(dying.worker.row).ok());

  CHECK(scene.journal->needs_care(me.row).ok());
  CHECK(scene.journal->rescue(me.row)->empty());

  CHECK_FALSE(scene.journal->somebody_died(me.row));
}

TEST_CASE("the runs of a worker that isn't dead aren't released as a dead one's") {
  scene scene;
  const worker_row me = scene.join();
  const claimed run = scene.begin(me);

  CHECK(absl::IsNotFound(scene.journal->release_dead(me.row).status()));
  CHECK(scene.row(run.run.run).owner == me.row);
}

TEST_CASE("a worker whose lease ended is dead, and what it writes late is refused") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row frozen = scene.join();
  writer run(scene, scene.begin(frozen));
  CHECK(scene.journal->renew(frozen.row, scene.journal->boot_now() + 5 * second).ok());
  CHECK(scene.journal->rescue(me.row)->empty());

  scene.pass(6 * second);
  CHECK(scene.journal->rescue(me.row)->size() == 1);

  CHECK(run.land(run.next({step_completed("1")})) == landing::not_owner);
  CHECK(scene.events(run.run).size() == 1);
  CHECK(scene.journal->renew(frozen.row, scene.journal->boot_now() + second).code() ==
        absl::StatusCode::kNotFound);
  scene.start(scene.request());
  CHECK(scene.claim(frozen).empty());
}

TEST_CASE("a worker is told when to look for the dead") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row other = scene.join();
  CHECK(scene.journal->needs_care(me.row)->next_lease == 0);
  scene.begin(other);
  const std::int64_t until = scene.journal->boot_now() + 5 * second;
  CHECK(scene.journal->renew(other.row, until).ok());

  CHECK(scene.journal->needs_care(me.row)->next_lease == until);
  CHECK(scene.journal->needs_care(other.row)->next_lease == 0);
  scene.pass(6 * second);
  CHECK(scene.journal->needs_care(me.row)->dead);
  CHECK(scene.journal->rescue(me.row)->size() == 1);
  CHECK(scene.journal->needs_care(me.row)->dead);  // until its runs are released
}

TEST_CASE("a stale owner is refused after its run was taken by another") {
  scene scene;
  const worker_row me = scene.join();
  other_process dying(scene);
  writer late(scene, scene.begin(dying.worker));
  scene.factory->kill(dying.handle, dying.worker.row);
  CHECK(scene.journal->rescue(me.row)->size() == 1);
  CHECK(scene.journal->release_dead(dying.worker.row)->size() == 1);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  writer now_mine(scene, taken[0]);

  CHECK(late.land(late.next({step_completed("1")})) == landing::not_owner);
  CHECK(now_mine.land(now_mine.next({step_completed("1")})) == landing::landed);
  CHECK(scene.events(now_mine.run).size() == 2);
}

TEST_CASE("each new owner of a run has a higher epoch, also when the one before had let it rest") {
  scene scene;
  const worker_row first = scene.join();
  const worker_row next = scene.join();
  writer resting(scene, scene.begin(first));
  CHECK(resting.park() == landing::landed);
  CHECK(scene.send(scene.signal(resting.chain)).how == message_result::outcome::accepted);

  const auto taken = scene.claim(next);

  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.epoch == resting.epoch + 1);
}

TEST_CASE("a dead worker's admission becomes a start request") {
  scene scene;
  const worker_row me = scene.join();
  other_process dying(scene);
  scene.factory->kill(dying.handle, dying.worker.row);
  CHECK(scene.journal->rescue(me.row)->size() == 1);

  batch late;
  late.worker = dying.worker.row;
  late.starts.push_back(scene.item(scene.request()));
  late.starts[0].admit = scene.first_event(late.starts[0].request);
  const auto done = scene.journal->commit(std::move(late));

  REQUIRE(done.ok());
  CHECK(done->starts[0].how == start_result::outcome::started);
  CHECK_FALSE(done->starts[0].admitted);
  CHECK(scene.claim(me).size() == 1);
}

TEST_CASE("a worker doesn't rescue itself, and one without a lease doesn't expire") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row idle = scene.join();
  CHECK(scene.journal->renew(me.row, scene.journal->boot_now() + second).ok());
  CHECK(scene.journal->renew(idle.row, 0).ok());
  scene.pass(1'000 * second);

  CHECK(scene.journal->rescue(me.row)->empty());
}

TEST_CASE("a claim gives the worker a lease") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row other = scene.join();
  scene.begin(me);

  scene.pass(1'000 * second);
  const auto dead = scene.journal->rescue(other.row);
  REQUIRE(dead.ok());
  REQUIRE(dead->size() == 1);
  CHECK((*dead)[0].row == me.row);
}

TEST_CASE("a lease is only taken back from a worker that owns nothing") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row other = scene.join();
  scene.begin(me);
  CHECK(scene.journal->renew(me.row, 0).ok());

  scene.pass(1'000 * second);
  CHECK(scene.journal->rescue(other.row)->size() == 1);
}

TEST_CASE("released runs are unowned and ready, with a higher epoch") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row other = scene.join();
  writer kept(scene, scene.begin(me));
  writer given(scene, scene.begin(me));
  CHECK(scene.journal->release(me.row, {given.run}).ok());

  CHECK(scene.row(given.run).owner == 0);
  CHECK(scene.row(given.run).epoch > given.epoch);
  CHECK(scene.row(kept.run).owner == me.row);
  CHECK(given.land(given.next({step_completed("1")})) == landing::not_owner);
  CHECK(kept.land(kept.next({step_completed("1")})) == landing::landed);

  const auto taken = scene.claim(other);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == given.run);
}

TEST_CASE("release of nothing in particular gives back everything") {
  scene scene;
  const worker_row me = scene.join();
  scene.begin(me);
  scene.begin(me);
  CHECK(scene.journal->release(me.row, {}).ok());

  CHECK(scene.claim(scene.join()).size() == 2);
}

TEST_CASE("a worker doesn't release the runs of others") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row other = scene.join();
  const claimed run = scene.begin(other);
  CHECK(scene.journal->release(me.row, {run.run.run}).ok());

  CHECK(scene.row(run.run.run).owner == other.row);
  CHECK(scene.row(run.run.run).epoch == run.run.epoch);
}

TEST_CASE("a worker that leaves gives everything back, and isn't dead") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row leaving = scene.join();
  writer run(scene, scene.begin(leaving));
  CHECK(scene.journal->leave(leaving.row).ok());

  CHECK_FALSE(scene.journal->somebody_died(me.row));
  CHECK(scene.journal->rescue(me.row)->empty());
  CHECK(run.land(run.next({step_completed("1")})) == landing::not_owner);
  CHECK(scene.claim(me).size() == 1);
  const auto workers = scene.journal->workers();
  REQUIRE(workers.ok());
  const auto left = std::ranges::find(*workers, leaving.row, &worker_row::row);
  REQUIRE(left != workers->end());
  CHECK(left->gone);
  CHECK_FALSE(left->dead);
}

TEST_CASE("workers say how many runs they own") {
  scene scene;
  const worker_row me = scene.join();
  scene.begin(me);
  scene.begin(me);

  const auto workers = scene.journal->workers();
  REQUIRE(workers.ok());
  REQUIRE(workers->size() == 1);
  CHECK((*workers)[0].owned == 2);
  CHECK((*workers)[0].build == "build-1");
}

TEST_CASE("where runs are: those asked for, and all that a worker owns") {
  scene scene;
  const worker_row me = scene.join();
  const worker_row other = scene.join();
  const claimed mine = scene.begin(me);
  const claimed theirs = scene.begin(other);
  const start_request waiting = scene.request();
  scene.start(waiting);
  const run_id nowhere = scene.new_run();

  const auto all = scene.journal->whereabouts(me.row, {theirs.run.run, waiting.run, nowhere});
  const auto asked = scene.journal->whereabouts(0, {mine.run.run});

  REQUIRE(all.ok());
  REQUIRE(all->size() == 2);
  for (const run_place& place : *all) {
    const claimed& is = place.run == mine.run.run ? mine : theirs;
    CHECK(place.run == is.run.run);
    CHECK(place.owner == (&is == &mine ? me.row : other.row));
    CHECK(place.epoch == is.run.epoch);
    CHECK(place.last.position == 1);
    CHECK(place.last.hash == is.head.hash);
  }
  REQUIRE(asked.ok());
  REQUIRE(asked->size() == 1);
  CHECK(asked->front().owner == me.row);
  CHECK(absl::IsNotFound(scene.journal->whereabouts(12345, {}).status()));
}

TEST_CASE("an operator takes a run with the predecessor as only fence") {
  scene scene;
  const worker_row me = scene.join();
  writer owner(scene, scene.begin(me));
  writer by_hand(scene, scene.row(owner.run));
  append act = by_hand.by_operator({plain(event_kind::operator_act)});
  act.make_ready = true;
  CHECK(by_hand.land(act) == landing::landed);

  CHECK(scene.row(owner.run).owner == 0);
  CHECK(scene.row(owner.run).epoch == by_hand.epoch);
  CHECK(owner.land(owner.next({step_completed("1")})) == landing::stale);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].head.position == 3);
  CHECK(taken[0].run.epoch > by_hand.epoch);
}

TEST_CASE("an operator who read before the owner wrote is stale") {
  scene scene;
  writer owner(scene, scene.begin(scene.join()));
  writer by_hand(scene, scene.row(owner.run));
  CHECK(owner.land(owner.next({step_completed("1")})) == landing::landed);

  CHECK(by_hand.land(by_hand.by_operator()) == landing::stale);
  CHECK(scene.row(owner.run).owner == owner.worker);
}

TEST_CASE("an operator's epoch is above the row's: rescue raised it without an event") {
  scene scene;
  const worker_row me = scene.join();
  writer owner(scene, scene.begin(me));
  writer by_hand(scene, scene.row(owner.run));
  CHECK(scene.journal->release(me.row, {}).ok());
  CHECK(scene.claim(me).size() == 1);

  CHECK(by_hand.land(by_hand.by_operator()) == landing::not_owner);
  CHECK(scene.row(owner.run).owner == me.row);
}

TEST_CASE("an operator terminates a run that a worker owns") {
  scene scene;
  writer owner(scene, scene.begin(scene.join()));
  CHECK(owner.land(owner.next({timer_set("1", scene.now() + second)})) == landing::landed);
  writer by_hand(scene, scene.row(owner.run));
  append terminate = by_hand.by_operator({plain(event_kind::run_terminated)});
  terminate.then = then::end;
  CHECK(by_hand.land(terminate) == landing::landed);

  CHECK(scene.row(owner.run).state == run_state::terminated);
  CHECK(scene.row(owner.run).owner == 0);
  CHECK(scene.journal->timers(owner.run)->empty());
  CHECK(owner.end() == landing::stale);
}
