// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

using namespace fermata::conformance;

namespace {

/// A run that waits for nothing but this timer.
writer parked_with_timer(scene& scene, const worker_row& worker, const std::string& operation,
                         time_us due) {
  writer run(scene, scene.begin(worker));
  append parking = run.next({timer_set(operation, due)});
  parking.then = then::park;
  CHECK(run.result(parking).parked);
  return run;
}

}  // namespace

TEST_CASE("start requests are claimed by priority, then not_before, then age") {
  scene scene;
  start_request plain_first = scene.request();
  start_request plain_second = scene.request();
  start_request earlier = scene.request();
  start_request urgent = scene.request();
  plain_first.not_before = plain_second.not_before = urgent.not_before = scene.now();
  earlier.not_before = scene.now() - second;
  urgent.priority = 5;
  for (const auto& what : {plain_second, plain_first, earlier, urgent}) scene.start(what);

  const std::vector<run_id> expected{urgent.run, earlier.run, plain_first.run, plain_second.run};
  CHECK((runs_of(scene.claim(scene.join())) == expected));
}

TEST_CASE("a claim takes at most what it asked for, and says that there is more") {
  scene scene;
  const worker_row me = scene.join();
  for (int i = 0; i < 3; ++i) scene.start(scene.request());

  const batch_result some = scene.claim(me, scene.wants(2));
  CHECK(some.claimed.size() == 2);
  CHECK(some.more_ready);
  const batch_result rest = scene.claim(me, scene.wants(2));
  CHECK(rest.claimed.size() == 1);
  CHECK_FALSE(rest.more_ready);
}

TEST_CASE("a worker without places gets its own runs alone, and is told that there is more") {
  scene scene;
  const worker_row me = scene.join();
  const std::vector<run_id> mine{scene.begin(me).run.run, scene.begin(me).run.run};
  const start_request other = scene.request();
  scene.start(other);
  for (const run_id& run : mine) scene.send(scene.signal(run));

  claim_request wants = scene.wants(16);
  wants.new_at_most = 0;
  const batch_result own = scene.claim(me, wants);
  CHECK((runs_of(own.claimed) == mine));
  CHECK(own.more_ready);
  const batch_result none = scene.claim(me, wants);
  CHECK(none.claimed.empty());
  CHECK(none.more_ready);

  wants.new_at_most = 1;
  const batch_result all = scene.claim(me, wants);
  CHECK((runs_of(all.claimed) == std::vector<run_id>{other.run}));
  CHECK_FALSE(all.more_ready);
}

TEST_CASE("what is committed late is found behind what was taken") {
  scene scene;
  const worker_row me = scene.join();
  const start_request late = scene.request();  // its id is the older one
  scene.start(scene.request());
  CHECK(scene.claim(me).size() == 1);

  scene.start(late);

  CHECK((runs_of(scene.claim(me)) == std::vector<run_id>{late.run}));
}

TEST_CASE("a timer that was set for the past is due") {
  scene scene;
  const worker_row me = scene.join();
  const writer first = parked_with_timer(scene, me, "1", scene.now() + 5 * second);
  scene.pass(10 * second);
  CHECK((runs_of(scene.claim(me)) == std::vector<run_id>{first.run}));

  const writer past = parked_with_timer(scene, me, "1", scene.now() - 9 * second);

  CHECK((runs_of(scene.claim(me)) == std::vector<run_id>{past.run}));
}

TEST_CASE("a worker gets only the workflows it serves") {
  scene scene;
  scene.start(scene.request("pay"));
  scene.start(scene.request("unheard_of"));

  const auto taken = scene.claim(scene.join());
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.workflow == "pay");
}

TEST_CASE("a worker gets only the queues it names, and only its namespace") {
  scene scene;
  const worker_row me = scene.join();
  start_request on_gpu = scene.request();
  on_gpu.queue = "gpu";
  scene.start(on_gpu);
  start_request elsewhere = scene.request();
  elsewhere.space = "tests";
  scene.start(elsewhere);
  CHECK(scene.claim(me).empty());

  claim_request gpu = scene.wants();
  gpu.queues = {"gpu"};
  CHECK(scene.claim(me, gpu).claimed.size() == 1);
  claim_request tests = scene.wants();
  tests.space = "tests";
  CHECK(scene.claim(me, tests).claimed.size() == 1);
}

TEST_CASE("ready runs obey the filters too") {
  scene scene;
  const worker_row me = scene.join();
  start_request on_gpu = scene.request();
  on_gpu.queue = "gpu";
  scene.start(on_gpu);
  claim_request gpu = scene.wants();
  gpu.queues = {"gpu"};
  CHECK(scene.claim(me, gpu).claimed.size() == 1);
  CHECK(scene.journal->release(me.row, {}).ok());

  CHECK(scene.claim(me).empty());
  claim_request other = gpu;
  other.workflows = {"ship"};
  CHECK(scene.claim(me, other).claimed.empty());
  CHECK(scene.claim(me, gpu).claimed.size() == 1);
}

TEST_CASE("runs that are not wanted now are left") {
  scene scene;
  const worker_row me = scene.join();
  const claimed left = scene.begin(me);
  const claimed taken = scene.begin(me);
  CHECK(scene.journal->release(me.row, {}).ok());

  claim_request some = scene.wants();
  some.not_these = {left.run.run};
  CHECK((runs_of(scene.claim(me, some).claimed) == std::vector<run_id>{taken.run.run}));
  CHECK((runs_of(scene.claim(me)) == std::vector<run_id>{left.run.run}));
}

TEST_CASE("an owner isn't given the same run twice while nothing new came") {
  scene scene;
  const worker_row me = scene.join();
  const claimed run = scene.begin(me);
  CHECK(scene.claim(me).empty());

  CHECK(scene.send(scene.signal(run.run.chain)).how == message_result::outcome::accepted);
  const auto again = scene.claim(me);
  REQUIRE(again.size() == 1);
  CHECK(again[0].mine_before);
  CHECK(again[0].run.epoch == run.run.epoch);
  CHECK(again[0].inbox.size() == 1);
  CHECK(scene.claim(me).empty());
}

TEST_CASE("own runs come before others") {
  scene scene;
  const worker_row me = scene.join();
  const claimed mine = scene.begin(me);
  start_request urgent = scene.request();
  urgent.priority = 9;
  scene.start(urgent);
  scene.send(scene.signal(mine.run.chain));

  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 2);
  CHECK(taken[0].run.run == mine.run.run);
  CHECK(taken[0].mine_before);
  CHECK_FALSE(taken[1].mine_before);
}

TEST_CASE("a parked run with a due timer is claimed, in order of due times") {
  scene scene;
  const worker_row me = scene.join();
  const writer late = parked_with_timer(scene, me, "1", scene.now() + 3 * second);
  const writer early = parked_with_timer(scene, me, "1", scene.now() + 2 * second);
  const writer never = parked_with_timer(scene, me, "1", scene.now() + 60 * second);

  const batch_result before = scene.claim(me, scene.wants());
  CHECK(before.claimed.empty());
  CHECK(before.next_timer == scene.journal->timers(early.run)->at(0).due);

  scene.pass(5 * second);
  const batch_result due = scene.claim(me, scene.wants());
  CHECK((runs_of(due.claimed) == std::vector<run_id>{early.run, late.run}));
  CHECK(due.next_timer == scene.journal->timers(never.run)->at(0).due);
  REQUIRE(due.claimed[0].due.size() == 1);
  CHECK(due.claimed[0].due[0].operation == "1");
  CHECK(due.claimed[0].due[0].purpose == timer_purpose::sleep);
  CHECK(due.claimed[0].run.epoch > early.epoch);
}

TEST_CASE("runs with several due timers each are all claimed, by claim after claim") {
  scene scene;
  const worker_row me = scene.join();
  for (int i = 0; i < 6; ++i) {
    writer run(scene, scene.begin(me));
    std::vector<event> timers;
    for (int timer = 1; timer <= 5; ++timer)
      timers.push_back(timer_set(std::to_string(timer), scene.now() + second));
    append parking = run.next(std::move(timers));
    parking.then = then::park;
    CHECK(run.result(parking).parked);
  }

  scene.pass(2 * second);
  std::size_t claimed = 0;
  for (bool more = true; more;) {
    const batch_result some = scene.claim(me, scene.wants(3));
    CHECK(some.claimed.size() <= 3);
    claimed += some.claimed.size();
    more = some.more_ready;
  }
  CHECK(claimed == 6);
}

TEST_CASE("timers of one run that are due together come together, in (due, operation) order") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  const time_us due = scene.now() + second;
  append parking = run.next({timer_set("1", due + 1), timer_set("3", due), timer_set("2", due),
                             timer_set("4", due + 60 * second)});
  parking.then = then::park;
  CHECK(run.result(parking).parked);

  scene.pass(2 * second);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  REQUIRE(taken[0].due.size() == 3);
  CHECK(taken[0].due[0].operation == "2");
  CHECK(taken[0].due[1].operation == "3");
  CHECK(taken[0].due[2].operation == "1");
}

TEST_CASE("an owner is told of a due timer once, and again when it is set again") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  CHECK(run.land(run.next({attempt_failed("1", scene.now() + second)})) == landing::landed);
  CHECK(scene.claim(me).empty());

  scene.pass(2 * second);
  const auto due = scene.claim(me);
  REQUIRE(due.size() == 1);
  CHECK(due[0].mine_before);
  CHECK(due[0].due.at(0).purpose == timer_purpose::retry);
  CHECK(scene.claim(me).empty());

  CHECK(run.land(run.next({attempt_failed("1", scene.now() + second)})) == landing::landed);
  scene.pass(2 * second);
  CHECK(scene.claim(me).size() == 1);
}

TEST_CASE("a due timer that was told to an owner who died is told to the next") {
  scene scene;
  const worker_row me = scene.join();
  const writer run = parked_with_timer(scene, me, "1", scene.now() + second);
  scene.pass(2 * second);
  CHECK(scene.claim(me).size() == 1);
  CHECK(scene.journal->release(me.row, {}).ok());

  const auto next = scene.claim(scene.join());
  REQUIRE(next.size() == 1);
  CHECK(next[0].run.run == run.run);
  CHECK(next[0].due.size() == 1);
}

TEST_CASE("a timer that fired is gone") {
  scene scene;
  const worker_row me = scene.join();
  writer run = parked_with_timer(scene, me, "1", scene.now() + second);
  scene.pass(2 * second);
  writer again(scene, scene.claim(me).at(0));
  append fired = again.next({timer_fired("1")});
  fired.then = then::park;
  CHECK(again.result(fired).parked);

  CHECK(scene.journal->timers(run.run)->empty());
  CHECK(scene.claim(me).empty());
}

TEST_CASE("a step's outcome after several attempts removes its retry timer") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.land(run.next({attempt_failed("1", scene.now() + second)})) == landing::landed);
  REQUIRE(scene.journal->timers(run.run)->size() == 1);
  CHECK(run.land(run.next({step_completed("1", 2)})) == landing::landed);

  CHECK(scene.journal->timers(run.run)->empty());
}

TEST_CASE("an end removes all timers") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.land(run.next({timer_set("1", scene.now() + second),
                           timer_set("2", scene.now() + second)})) == landing::landed);
  CHECK(run.end() == landing::landed);

  CHECK(scene.journal->timers(run.run)->empty());
  scene.pass(2 * second);
  CHECK(scene.claim(scene.join()).empty());
}

TEST_CASE("paused, quarantined and needing runs aren't claimed until that is cleared") {
  for (const attention what :
       {attention::paused, attention::quarantined, attention::needs_attention}) {
    scene scene;
    const worker_row me = scene.join();
    writer run(scene, scene.begin(me));
    append stop = run.parking();
    stop.attention = what;
    stop.report = "three crashes";
    CHECK(run.land(stop) == landing::landed);
    scene.send(scene.signal(run.chain));

    CHECK(scene.row(run.run).attention == what);
    CHECK(scene.row(run.run).report == "three crashes");
    CHECK(scene.claim(me).empty());

    writer by_hand(scene, scene.row(run.run));
    append clear = by_hand.by_operator({plain(event_kind::operator_act)});
    clear.attention = attention::none;
    clear.make_ready = true;
    CHECK(by_hand.land(clear) == landing::landed);
    CHECK(scene.row(run.run).report.empty());
    CHECK(scene.claim(me).size() == 1);
  }
}

TEST_CASE("a blocked run is claimed by a worker of another build alone") {
  scene scene;
  const worker_row old_build = scene.join("build-1");
  const worker_row new_build = scene.join("build-2");
  writer run(scene, scene.begin(old_build));
  append blocked = run.parking();
  blocked.attention = attention::blocked;
  blocked.report = "the journal has step 'charge', the code asks 'pay'";
  CHECK(run.land(blocked) == landing::landed);
  CHECK(scene.row(run.run).owner == 0);

  CHECK(scene.claim(old_build).empty());
  claim_request newer = scene.wants();
  newer.build = "build-2";
  const auto taken = scene.claim(new_build, newer).claimed;
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.attention == attention::blocked);

  writer next(scene, taken[0]);
  append cleared = next.next({step_completed("1")});
  cleared.attention = attention::none;
  CHECK(next.land(cleared) == landing::landed);
  CHECK(scene.row(run.run).attention == attention::none);
}

TEST_CASE("a worker that keeps to its build takes new runs, and those that its build began") {
  scene scene;
  const worker_row old_build = scene.join("build-1");
  const worker_row new_build = scene.join("build-2");
  const claimed begun = scene.begin(old_build);
  CHECK(scene.journal->release(old_build.row, {}).ok());
  const start_request fresh = scene.request();
  scene.start(fresh);
  claim_request newer = scene.wants();
  newer.build = "build-2";
  newer.own_build_only = true;

  CHECK((runs_of(scene.claim(new_build, newer).claimed) == std::vector<run_id>{fresh.run}));
  newer.own_build_only = false;
  CHECK((runs_of(scene.claim(new_build, newer).claimed) == std::vector<run_id>{begun.run.run}));
}

TEST_CASE("whoever waits is woken by a start, and told the count") {
  scene scene;
  const std::uint32_t before = scene.journal->wake_count();
  scene.start(scene.request());
  CHECK(scene.journal->wake_count() != before);

  scene.journal->wait(before, 60 * second);  // returns at once: it differs
  scene.journal->interrupt();
  scene.journal->wait(scene.journal->wake_count(), 60 * second);  // returns at once: interrupted
}

TEST_CASE("a run that a claim begins comes with the event that was written") {
  scene scene;
  const worker_row worker = scene.join();
  const claimed begun = scene.begin(worker);
  // Where reading it back is a call, nobody need bring it.
  const bool far = scene.journal->info()->kind == "postgres";

  CHECK(begun.fresh);
  REQUIRE(begun.beginning.size() == (far ? 1 : 0));
  if (!far) return;
  const std::vector<encoded_event> stored = scene.events(begun.run.run);
  REQUIRE(stored.size() == 1);
  CHECK(begun.beginning[0].position == stored[0].position);
  CHECK(begun.beginning[0].crc == stored[0].crc);
  CHECK(begun.beginning[0].chain == stored[0].chain);
  CHECK(begun.beginning[0].details == stored[0].details);
}
