// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/remote.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fermata::conformance;

namespace {

/// A worker that registered through a handle of its own, as another process would.
struct other_process {
  explicit other_process(scene& of) : handle(of.factory->reopen()), worker(of.join(*handle)) {}
  std::shared_ptr<store> handle;
  worker_row worker;
};

}  // namespace

TEST_CASE("a task keeps all that it carries") {
  remote r;
  const worker_row gpu = r.scene.join();
  task_row made = r.task("3.2");
  made.attempt = 4;
  made.priority = 7;
  made.undoes = "undone key";
  made.timeout_ms = 5'000;
  made.heartbeat_timeout_ms = 2'000;
  made.give_up_at = r.scene.now() + 60 * second;
  made.alone = true;
  made.input.sensitive = true;
  made = r.put(made);

  const task_row taken = r.take_one(gpu);
  CHECK(taken.run == r.run.run);
  CHECK(taken.chain == r.run.chain);
  CHECK(taken.space == "default");
  CHECK(taken.operation == "3.2");
  CHECK(taken.epoch == made.epoch);
  CHECK(taken.attempt == 4);
  CHECK(taken.queue == "gpu");
  CHECK(taken.priority == 7);
  CHECK(taken.not_before == made.not_before);
  CHECK(taken.step == "render");
  CHECK(taken.key == "key");
  CHECK(taken.undoes == "undone key");
  CHECK(taken.timeout_ms == 5'000);
  CHECK(taken.heartbeat_timeout_ms == 2'000);
  CHECK(taken.give_up_at == made.give_up_at);
  CHECK(taken.alone);
  CHECK(taken.input.bytes == "picture");
  CHECK(taken.input.type == made.input.type);
  CHECK(taken.input.sensitive);
  CHECK(taken.owner == gpu.row);
  CHECK(taken.taken == r.scene.now());
  CHECK_FALSE(taken.withdrawn);
  CHECK(r.tasks().at(0).owner == gpu.row);
  CHECK(r.scene.journal->held_tasks(gpu.row)->size() == 1);
  CHECK(r.scene.journal->held_tasks(r.owner.row)->empty());
}

TEST_CASE("a task is claimed once, by a worker that serves its queue and its step") {
  remote r;
  const worker_row left = r.scene.join();
  const worker_row right = r.scene.join();
  r.put(r.task());

  CHECK(r.scene.claim(left, r.wants(10, {"cpu", "default"})).tasks.empty());
  claim_request other_step = r.wants();
  other_step.steps = {"encode"};
  CHECK(r.scene.claim(left, other_step).tasks.empty());
  claim_request other_space = r.wants();
  other_space.space = "other";
  CHECK(r.scene.claim(left, other_space).tasks.empty());

  CHECK(r.take(left).size() == 1);
  CHECK(r.take(right).empty());
  CHECK(r.take(left).empty());
}

TEST_CASE("tasks go by priority, then by age, and no more of them than there is room for") {
  remote r;
  const worker_row gpu = r.scene.join();
  task_row late = r.task("1");
  late.not_before += 2;
  r.put(late);
  r.put(r.task("2", "small"));
  task_row urgent = r.task("3");
  urgent.priority = 1;
  urgent.not_before += 2;
  r.put(urgent);
  r.scene.pass(second);

  claim_request two = r.wants(2, {"gpu", "small"});
  const batch_result first = r.scene.claim(gpu, two);
  REQUIRE(first.tasks.size() == 2);
  CHECK(first.tasks[0].operation == "3");
  CHECK(first.tasks[1].operation == "2");
  CHECK(first.more_tasks);
  const batch_result second_one = r.scene.claim(gpu, two);
  REQUIRE(second_one.tasks.size() == 1);
  CHECK(second_one.tasks[0].operation == "1");
  CHECK_FALSE(second_one.more_tasks);
}

TEST_CASE("a claim without workflows takes tasks, and no runs") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  r.scene.start(r.scene.request());
  claim_request steps_alone = r.wants();
  steps_alone.at_most = 10;

  const batch_result taken = r.scene.claim(gpu, steps_alone);

  CHECK(taken.tasks.size() == 1);
  CHECK(taken.claimed.empty());
  CHECK_FALSE(taken.more_ready);
}

TEST_CASE("each room has places of its own") {
  remote r;
  const worker_row gpu = r.scene.join();
  for (const char* operation : {"1", "2", "3"}) r.put(r.task(operation, "gpu"));
  for (const char* operation : {"4", "5", "6"}) r.put(r.task(operation, "mail"));
  claim_request what = r.wants();
  what.rooms = {{{"gpu"}, 1}, {{"mail"}, 2}};

  const batch_result taken = r.scene.claim(gpu, what);

  CHECK(taken.tasks.size() == 3);
  CHECK(std::ranges::count(taken.tasks, "gpu", &task_row::queue) == 1);
  CHECK(taken.more_tasks);
}

TEST_CASE("a task isn't handed out before its time, and a claim says when that is") {
  remote r;
  const worker_row gpu = r.scene.join();
  task_row later = r.task();
  later.not_before = r.scene.now() + second;
  r.put(later);

  CHECK(r.scene.claim(gpu, r.wants()).next_not_before == later.not_before);
  r.scene.pass(second);
  CHECK(r.take(gpu).size() == 1);
}

TEST_CASE("nothing of a run that waits for somebody is begun") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  append stop = r.run.next();
  stop.attention = attention::needs_attention;
  stop.report = "look";
  CHECK(r.run.land(stop) == landing::landed);

  CHECK(r.take(gpu).empty());

  append go = r.run.next();
  go.attention = attention::none;
  CHECK(r.run.land(go) == landing::landed);
  CHECK(r.take(gpu).size() == 1);
}

TEST_CASE("a finished task is gone, its outcome in the inbox, its run due, in one transaction") {
  remote r;
  const worker_row gpu = r.scene.join();
  const task_row made = r.put(r.task());
  CHECK(r.run.park() == landing::landed);
  const task_row taken = r.take_one(gpu);

  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);

  CHECK(r.tasks().empty());
  CHECK(r.how() == task_end::value);
  const message told = r.inbox()[0];
  CHECK(told.value.bytes == "done");
  CHECK(told.operation == "1");
  CHECK(told.details.task_end().epoch() == made.epoch);
  const std::vector<claimed> due = r.scene.claim(r.owner);
  REQUIRE(due.size() == 1);
  CHECK(due[0].run.run == r.run.run);
  CHECK(due[0].inbox.size() == 1);
  CHECK(due[0].tasks.empty());
}

TEST_CASE("an outcome sent again is repeated, also when the run has read it") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  const task_row taken = r.take_one(gpu);
  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);

  CHECK(r.finish(gpu.row, taken) == finish_result::repeated);
  append read = r.run.next({step_completed("1")});
  read.consumed = {r.inbox().at(0).seq};
  CHECK(r.run.land(read) == landing::landed);
  CHECK(r.finish(gpu.row, taken) == finish_result::repeated);
  CHECK(r.inbox().empty());
}

TEST_CASE("a late outcome is refused: another attempt, another worker, a task that is gone") {
  remote r;
  const worker_row slow = r.scene.join();
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  const task_row first = r.take_one(slow);
  task_row again = r.task();
  again.attempt = 2;
  append retry = r.run.next({attempt_failed("1", 0)});
  retry.tasks_gone = {"1"};
  CHECK(r.run.land(retry) == landing::landed);
  CHECK(r.tasks().empty());
  CHECK(r.finish(slow.row, first) == finish_result::gone);

  const task_row next = r.put(again);
  CHECK(next.epoch > first.epoch);
  CHECK(r.finish(slow.row, first) == finish_result::gone);
  const task_row taken = r.take_one(gpu);
  CHECK(r.finish(slow.row, taken) == finish_result::gone);
  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);
  CHECK(r.inbox().size() == 1);
}

TEST_CASE("a task that is put again takes the place of the one before") {
  remote r;
  const worker_row gpu = r.scene.join();
  const task_row first = r.put(r.task());
  const task_row next = r.put(r.task());

  REQUIRE(r.tasks().size() == 1);
  const task_row taken = r.take_one(gpu);
  CHECK(taken.epoch == next.epoch);
  CHECK(taken.epoch != first.epoch);
}

TEST_CASE("the end of a run removes its tasks: their workers stop, their outcomes are refused") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task("1"));
  r.put(r.task("2"));
  const task_row taken = [&] {
    const std::vector<task_row> one = r.take(gpu, 1);
    REQUIRE(one.size() == 1);
    return one[0];
  }();
  const std::uint32_t woken = r.scene.journal->wake_count();
  CHECK(r.run.end() == landing::landed);

  CHECK(r.tasks().empty());
  CHECK(r.take(gpu).empty());
  CHECK(r.scene.journal->wake_count() != woken);
  claim_request look = r.wants();
  look.holds = {name_of(taken)};
  CHECK(r.scene.claim(gpu, look).stopped == std::vector{name_of(taken)});
  CHECK(r.finish(gpu.row, taken) == finish_result::gone);
  CHECK(r.inbox().empty());
}

TEST_CASE("an operator's end removes tasks, too") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  const task_row taken = r.take_one(gpu);
  append end = r.run.by_operator({plain(event_kind::run_terminated)});
  end.then = then::end;
  CHECK(r.run.land(end) == landing::landed);

  CHECK(r.tasks().empty());
  CHECK(r.finish(gpu.row, taken) == finish_result::gone);
}

TEST_CASE("a task withdrawn from its worker is told to stop, and its outcome still counts") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task("1"));
  const task_row taken = r.take_one(gpu);
  r.put(r.task("2"));
  const task_row goes_on = r.take_one(gpu);
  claim_request look = r.wants();
  look.holds = {name_of(taken), name_of(goes_on)};
  CHECK(r.scene.claim(gpu, look).stopped.empty());

  const std::uint32_t woken = r.scene.journal->wake_count();
  append stop = r.run.next();
  stop.tasks_withdrawn = {"1"};
  CHECK(r.run.land(stop) == landing::landed);

  CHECK(r.scene.journal->wake_count() != woken);
  CHECK(r.scene.claim(gpu, look).stopped == std::vector{name_of(taken)});
  CHECK(r.inbox().empty());
  CHECK(r.tasks().at(0).withdrawn);
  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);
  CHECK(r.how() == task_end::value);
}

TEST_CASE("a task withdrawn before anybody took it is cancelled, and its run doesn't park") {
  remote r;
  const worker_row gpu = r.scene.join();
  const task_row made = r.put(r.task());
  append stop = r.run.parking();
  stop.tasks_withdrawn = {"1", "9"};
  const append_result how = r.run.result(stop);

  CHECK(how.how == landing::landed);
  CHECK_FALSE(how.parked);
  CHECK(r.tasks().empty());
  CHECK(r.take(gpu).empty());
  CHECK(r.how() == task_end::cancelled);
  CHECK(r.inbox()[0].details.task_end().started_us() == 0);
  CHECK(r.inbox()[0].details.task_end().epoch() == made.epoch);
}

TEST_CASE("a run may park while its task is out, and isn't due before the outcome") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  CHECK(r.run.result(r.run.parking()).parked);
  CHECK(r.scene.claim(r.owner).empty());
  const task_row taken = r.take_one(gpu);
  CHECK(r.scene.claim(r.owner).empty());

  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);
  CHECK(r.scene.claim(r.owner).size() == 1);
}

TEST_CASE("the tasks of a dead worker end as lost, once its death is journaled") {
  remote r;
  other_process dying(r.scene);
  r.put(r.task("1"));
  r.put(r.task("2"));
  const std::vector<task_row> held = r.take(dying.worker);
  REQUIRE(held.size() == 2);
  r.scene.factory->kill(dying.handle, dying.worker.row);
  REQUIRE(r.scene.journal->rescue(r.owner.row)->size() == 1);
  CHECK(r.scene.journal->held_tasks(dying.worker.row)->size() == 2);
  CHECK(r.take(r.owner).empty());
  CHECK(r.finish(dying.worker.row, held[0]) == finish_result::gone);

  // The rescuer knows what became of one.
  batch blame;
  message told = outcome_of(held[0], task_end::lost, dying.worker.id.text());
  told.details.mutable_task_end()->set_signal(11);
  blame.finish.push_back({name_of(held[0]), told});
  REQUIRE(r.scene.journal->commit(std::move(blame))->finished[0] == finish_result::accepted);
  REQUIRE(r.scene.journal->release_dead(dying.worker.row).ok());

  CHECK(r.tasks().empty());
  const std::vector<message> inbox = r.inbox();
  REQUIRE(inbox.size() == 2);
  for (const message& one : inbox) {
    const auto& end = one.details.task_end();
    CHECK(one.kind == message_kind::step_outcome);
    CHECK(static_cast<task_end>(end.how()) == task_end::lost);
    CHECK(end.worker() == dying.worker.id.text());
    CHECK(end.signal() == (one.operation == held[0].operation ? 11 : 0));
  }
}

TEST_CASE("a worker that leaves gives its tasks back: they haven't failed") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  const task_row taken = r.take_one(gpu);
  CHECK(r.scene.journal->leave(gpu.row).ok());

  CHECK(r.tasks().empty());
  CHECK(r.how() == task_end::given_back);
  CHECK(r.finish(gpu.row, taken) == finish_result::repeated);
  CHECK(r.inbox().size() == 1);
}

TEST_CASE("a worker that doesn't know what it owns gives its tasks back, too; single runs don't") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  r.take_one(gpu);
  CHECK(r.scene.journal->release(gpu.row, {r.run.run}).ok());
  CHECK(r.inbox().empty());

  CHECK(r.scene.journal->release(gpu.row, {}).ok());
  CHECK(r.how() == task_end::given_back);
}

TEST_CASE("a worker that holds a task has a lease, and keeps it") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  const task_row taken = r.take_one(gpu);
  const auto row = [&] {
    const std::vector<worker_row> all = *r.scene.journal->workers();
    return *std::ranges::find(all, gpu.row, &worker_row::row);
  };
  CHECK(row().lease_until != 0);
  CHECK(row().tasks == 1);
  CHECK(row().owned == 0);

  CHECK(r.scene.journal->renew(gpu.row, 0).ok());
  CHECK(row().lease_until != 0);
  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);
  CHECK(r.scene.journal->renew(gpu.row, 0).ok());
  CHECK(row().lease_until == 0);
  CHECK(row().tasks == 0);
}

TEST_CASE("what waits in queues can be counted") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task("1"));
  r.take_one(gpu);
  const time_us oldest = r.scene.now();
  r.put(r.task("2"));
  r.scene.pass(second);
  r.put(r.task("3"));
  task_row other = r.task("4", "mail");
  other.step = "send";
  r.put(other);

  const std::vector<queued_step> found = *r.scene.journal->queued_steps("default");
  REQUIRE(found.size() == 2);
  CHECK(found[0].queue == "gpu");
  CHECK(found[0].step == "render");
  CHECK(found[0].waiting == 2);
  CHECK(found[0].executing == 1);
  CHECK(found[0].oldest == oldest);
  CHECK(found[1].queue == "mail");
  CHECK(found[1].step == "send");
  CHECK(found[1].waiting == 1);
  CHECK(r.scene.journal->queued_steps("other")->empty());
}

TEST_CASE("an append with tasks that is sent again puts nothing twice") {
  remote r;
  const worker_row gpu = r.scene.join();
  event started = plain(event_kind::attempt_started);
  started.operation = "1";
  append one = r.run.next({started});
  task_row made = r.task();
  made.epoch = one.events.back().position;
  one.tasks.push_back(made);
  CHECK(r.run.land(one) == landing::landed);
  const task_row taken = r.take_one(gpu);
  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);

  CHECK(r.run.land(one) == landing::landed);
  CHECK(r.tasks().empty());
}

TEST_CASE("a worker's queues are kept") {
  scene scene;
  worker_row who = scene.join();
  who.id = {};
  who.queues = {"default", "gpu"};
  const auto made = scene.journal->register_worker(who);
  REQUIRE(made.ok());

  const std::vector<worker_row> all = *scene.journal->workers();
  const auto row = std::ranges::find(all, made->row, &worker_row::row);
  REQUIRE(row != all.end());
  CHECK(row->queues == who.queues);
}
