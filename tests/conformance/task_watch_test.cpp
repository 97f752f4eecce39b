// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "tests/conformance/remote.hpp"

using namespace fermata::conformance;

TEST_CASE("a task's timer follows its row: give up, time out, silence; and goes with it") {
  remote r;
  const worker_row gpu = r.scene.join();
  const time_us late = limits::late_task_ms * 1'000;
  const time_us begun = r.scene.now();
  task_row made = r.task();
  made.timeout_ms = 60'000;
  made.heartbeat_timeout_ms = 5'000;
  made.give_up_at = begun + 30 * second;
  r.put(made);
  REQUIRE(r.timers().size() == 1);
  CHECK(r.timers()[0].purpose == timer_purpose::give_up);
  CHECK(r.timers()[0].operation == "1");
  CHECK(r.timers()[0].due == begun + 30 * second);

  r.scene.pass(second);
  const task_row taken = r.take_one(gpu);
  REQUIRE(r.timers().size() == 1);
  CHECK(r.timers()[0].due == begun + 6 * second + late);

  r.scene.pass(3 * second);
  heartbeat_row beat{.run = r.run.run, .operation = "1", .attempt = 1, .at = r.scene.now()};
  beat.details = text_payload("half");
  beat.epoch = taken.epoch;
  CHECK(r.scene.journal->put_heartbeat(beat).ok());
  REQUIRE(r.timers().size() == 1);
  CHECK(r.timers()[0].due == begun + 9 * second + late);
  CHECK(r.tasks().at(0).beat == r.scene.now());

  CHECK(r.finish(gpu.row, taken) == finish_result::accepted);
  CHECK(r.timers().empty());
}

TEST_CASE("a task's timer makes its run due, as often as it is set") {
  remote r;
  const worker_row gpu = r.scene.join();
  task_row made = r.task();
  made.heartbeat_timeout_ms = 5'000;
  r.put(made);
  const task_row taken = r.take_one(gpu);
  CHECK(r.run.park() == landing::landed);
  r.scene.pass(5 * second + limits::late_task_ms * 1'000);

  const std::vector<claimed> due = r.scene.claim(r.owner);
  REQUIRE(due.size() == 1);
  REQUIRE(due[0].due.size() == 1);
  CHECK(due[0].due[0].purpose == timer_purpose::give_up);
  CHECK(due[0].tasks == std::vector{name_of(taken)});
  CHECK(r.scene.claim(r.owner).empty());  // told once

  CHECK(r.scene.journal
            ->put_heartbeat({.run = r.run.run,
                             .operation = "1",
                             .attempt = 1,
                             .at = r.scene.now(),
                             .epoch = taken.epoch})
            .ok());
  r.scene.pass(5 * second + limits::late_task_ms * 1'000);
  CHECK(r.scene.claim(r.owner).size() == 1);
}

TEST_CASE("who takes a task wakes those who have to look after it, if it has a timer") {
  remote r;
  const worker_row gpu = r.scene.join();
  const auto wakes = [&] {
    const std::uint32_t before = r.scene.journal->wake_count();
    r.take_one(gpu);
    return r.scene.journal->wake_count() != before;
  };
  task_row watched = r.task("1");
  watched.timeout_ms = 1'000;
  r.put(watched);
  CHECK(wakes());
  r.put(r.task("2"));
  CHECK_FALSE(wakes());
}

TEST_CASE("removing a task leaves the timer of a retry alone") {
  remote r;
  task_row made = r.task();
  made.give_up_at = r.scene.now() + 30 * second;
  r.put(made);
  append failed = r.run.next({attempt_failed("1", r.scene.now() + second)});
  failed.tasks_gone = {"1"};
  CHECK(r.run.land(failed) == landing::landed);

  REQUIRE(r.timers().size() == 1);
  CHECK(r.timers()[0].purpose == timer_purpose::retry);
}

TEST_CASE("a heartbeat of a task that is gone, withdrawn or another's is refused") {
  remote r;
  const worker_row gpu = r.scene.join();
  r.put(r.task());
  const task_row taken = r.take_one(gpu);
  heartbeat_row beat{.run = r.run.run, .operation = "1", .attempt = 1, .at = r.scene.now()};
  beat.details = text_payload("half");
  beat.epoch = taken.epoch + 1;
  CHECK(absl::IsNotFound(r.scene.journal->put_heartbeat(beat)));
  CHECK_FALSE(r.scene.journal->heartbeat(r.run.run, "1")->has_value());

  beat.epoch = taken.epoch;
  CHECK(r.scene.journal->put_heartbeat(beat).ok());
  beat.details = {};
  beat.at += 7;
  CHECK(r.scene.journal->put_heartbeat(beat).ok());
  const auto kept = *r.scene.journal->heartbeat(r.run.run, "1");
  REQUIRE(kept.has_value());
  CHECK(kept->details.bytes == "half");
  CHECK(kept->details.type == text_payload("half").type);
  CHECK(kept->at == beat.at);

  append stop = r.run.next();
  stop.tasks_withdrawn = {"1"};
  CHECK(r.run.land(stop) == landing::landed);
  CHECK(absl::IsNotFound(r.scene.journal->put_heartbeat(beat)));
}
