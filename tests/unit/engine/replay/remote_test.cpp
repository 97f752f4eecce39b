// SPDX-License-Identifier: Apache-2.0
// Steps on a queue of their own: their attempts are tasks, executed elsewhere.
#include "story.hpp"

#include <doctest/doctest.h>

using namespace fermata::engine;
using namespace fermata::engine::story;

namespace {
step_plan on_gpu(step_plan plan = {}) {
  plan.queue = "gpu";
  return plan;
}
body one(step_plan plan = {}) {
  return [=](code& c) { c.wait(c.step("render", {.plan = on_gpu(plan)}), [](code&) {}); };
}
body two() {
  return [](code& c) {
    const slot render = c.step("render", {.plan = on_gpu()});
    const slot local = c.step("local");
    c.wait_all({render, local}, [](code&) {});
  };
}
}  // namespace

TEST_CASE(
    "a remote step is put as a task with the note that it begins, and answered by a message") {
  every_way(
      one(), [](teller& t) { t.task_ends("1", task_end::value, "picture"); },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 step_completed 1 render "picture"
          append 4 run_completed "done"
        )");
}

TEST_CASE("a run whose task is out has nothing to do, and says where it waits") {
  teller t(one());

  CHECK(t.m().stands().attempts == 0);
  CHECK_FALSE(t.m().stands().finishing);
  CHECK(t.m().stands().waits == "step 'render' in queue 'gpu' (code:render)");
  CHECK(t.m().tasks_away().size() == 1);
}

TEST_CASE("the owner decides on retries: each is a task of its own, at its due time") {
  every_way(
      one(),
      [](teller& t) {
        t.task_ends("1", task_end::failed, "out of memory");
        CHECK(t.tasks().empty());
        t.passes(1000);
        REQUIRE(t.tasks().size() == 1);
        CHECK(t.task("1").attempt == 2);
        CHECK(t.task("1").epoch == 4);
        t.task_ends("1", task_end::value, "picture");
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 attempt_failed 1 render number=1 next=+155ms why=out of memory
          append 4 attempt_started 1 render number=2
          task in gpu
          remove timer 1
          append 5 step_completed 1 render "picture" attempts=2
          append 6 run_completed "done"
        )");
}

TEST_CASE("the next owner doesn't put a task again that is out") {
  every_way(
      two(),
      [](teller& t) {
        t.takeover();
        t.completes("2");
        t.takeover();
        t.task_ends("1", task_end::value, "picture");
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          start 2 local attempt 1
          takeover
          start 2 local attempt 1
          append 3 step_completed 2 local "ok"
          takeover
          append 4 step_completed 1 render "picture"
          append 5 run_completed "done"
        )");
}

TEST_CASE("a task keeps what its attempt needs") {
  step_plan plan = on_gpu({.timeout_ms = 5'000, .give_up_after_ms = 60'000});
  plan.heartbeat_timeout_ms = 2'000;
  plan.priority = 3;
  teller t(one(plan));

  const task_row& task = t.task("1");
  CHECK(task.step == "render");
  CHECK(task.input.bytes == "in");
  CHECK(task.key.ends_with("/1/render"));
  CHECK(task.timeout_ms == 5'000);
  CHECK(task.heartbeat_timeout_ms == 2'000);
  CHECK(task.give_up_at == story::begin + 60'000'000);
  CHECK(task.priority == 3);
  CHECK(task.not_before == story::begin);
}

TEST_CASE("an attempt that its owner takes back has failed; what it says later is too late") {
  every_way(
      one(),
      [](teller& t) {
        t.task_late("1", "was silent for 2000 ms");
        t.passes(1000);
        t.late_task_ends("1", 2, task_end::failed, "late");
        t.late_task_ends("1", 2, task_end::lost, {});
        t.task_ends("1", task_end::value, "picture");
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          take task 1 back
          append 3 attempt_failed 1 render number=1 next=+155ms why=was silent for 2000 ms
          append 4 attempt_started 1 render number=2
          task in gpu
          remove timer 1
          drop message 1
          drop message 2
          append 5 step_completed 1 render "picture" attempts=2
          append 6 run_completed "done"
        )");
}

TEST_CASE("a value is welcome whenever it comes, and the attempt put since is taken back") {
  every_way(
      one(),
      [](teller& t) {
        t.task_late("1", "was silent");
        t.passes(1000);
        t.late_task_ends("1", 2, task_end::value, "picture");
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          take task 1 back
          append 3 attempt_failed 1 render number=1 next=+155ms why=was silent
          append 4 attempt_started 1 render number=2
          task in gpu
          remove timer 1
          take task 1 back
          append 5 step_completed 1 render "picture"
          append 6 run_completed "done"
        )");
}

TEST_CASE("an outcome that comes while the attempt's failure is written isn't lost") {
  teller t(one());
  t.several([&] {
    attempt_end late{.how = attempt_end::how_t::failed};
    late.why.set_message("late");
    late.why.set_retryable(true);
    t.m().task_late(t.at("1"), std::move(late));
    t.task_ends("1", task_end::value, "picture");
  });

  CHECK(t.told().find("step_completed 1 render \"picture\"") != std::string::npos);
  CHECK(t.ended());
}

TEST_CASE("an outcome that comes before its owner knows that the task is there isn't lost") {
  teller t(one());
  t.task_ends("1", task_end::failed, "down");
  t.several([&] {
    t.passes(1000);
    (void)t.m().take_events();  // they are with the writer
    t.late_task_ends("1", 4, task_end::failed, "too fast", 2);
    CHECK(t.m().take_dropped().empty());
  });
  event started = t.journal().at(1);
  started.position = 4;
  started.details.mutable_attempt()->set_number(2);
  t.m().deliver(started);
  t.m().stand();

  const std::vector<produced> made = t.m().take_events();
  REQUIRE(made.size() == 1);
  CHECK(made[0].what.kind == event_kind::attempt_failed);
  CHECK(made[0].consumes == 2);
}

TEST_CASE(
    "a worker that dies is a suspicion, a crash counts; neither is an attempt of the policy") {
  every_way(
      one({.max_attempts = 1}),
      [](teller& t) {
        t.task_ends("1", task_end::lost);
        t.task_ends("1", task_end::lost, {}, 11);
        t.task_ends("1", task_end::lost);
        CHECK(t.task("1").alone);
        t.task_ends("1", task_end::value, "picture");
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 suspicion 1 render number=1
          append 4 attempt_started 1 render number=1
          task in gpu
          append 5 attempt_crashed 1 render number=1 signal=11
          append 6 attempt_started 1 render number=1
          task in gpu
          append 7 suspicion 1 render number=1
          append 8 attempt_started 1 render number=1 alone
          task in gpu alone
          append 9 step_completed 1 render "picture"
          append 10 run_completed "done"
        )");
}

TEST_CASE("after three crashes nothing of the step is put, and the run belongs into quarantine") {
  teller t(one());
  for (int i = 0; i < 3; ++i) {
    CHECK(t.m().quarantined().empty());
    t.task_ends("1", task_end::lost, {}, 11);
  }

  CHECK(t.m().quarantined() == "1");
  CHECK(t.tasks().empty());
  t.takeover();
  CHECK(t.m().quarantined() == "1");
  t.act("retry");
  CHECK(t.m().quarantined().empty());
  CHECK(t.tasks().size() == 1);
}

TEST_CASE("what its worker gave back hasn't failed: it is put again under the same number") {
  every_way(
      one({.max_attempts = 1}),
      [](teller& t) {
        t.task_ends("1", task_end::given_back);
        t.task_missing("1");
        t.task_ends("1", task_end::value, "picture");
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 attempt_failed 1 render number=0 why=its worker gave it back
          append 4 attempt_started 1 render number=1
          task in gpu
          append 5 attempt_failed 1 render number=0 why=its worker gave it back
          append 6 attempt_started 1 render number=1
          task in gpu
          append 7 step_completed 1 render "picture"
          append 8 run_completed "done"
        )");
}

TEST_CASE("on_crash = fail holds for a remote step whose worker goes away, however it goes") {
  for (const task_end how : {task_end::lost, task_end::given_back})
    every_way(
        one({.on_crash = 1}), [&](teller& t) { t.task_ends("1", how); },
        R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 suspicion 1 render number=1
          append 4 step_failed 1 render why=the worker went away during an attempt; whether it had an effect is unknown
          append 5 run_failed why=the worker went away during an attempt; whether it had an effect is unknown
        )");
}

TEST_CASE("on_crash = ask waits for a person, who says: try again") {
  teller t(one({.on_crash = 2}));
  CHECK_FALSE(t.m().stands().needs_attention);
  t.task_ends("1", task_end::lost);
  CHECK(t.m().stands().needs_attention);
  CHECK(t.tasks().empty());
  t.takeover();
  CHECK(t.m().stands().needs_attention);

  t.act("retry");
  CHECK_FALSE(t.m().stands().needs_attention);
  CHECK(t.tasks().size() == 1);
}

TEST_CASE("a cancelled run withdraws its task, and takes what it says first") {
  every_way(
      one(),
      [](teller& t) {
        t.cancel("stop");
        t.task_ends("1", task_end::value, "picture");
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 cancel_received why=stop
          withdraw task 1
          append 4 step_completed 1 render "picture"
          append 5 run_completed "done"
        )");
  every_way(
      one(),
      [](teller& t) {
        t.cancel("stop");
        t.task_ends("1", task_end::cancelled);
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 cancel_received why=stop
          withdraw task 1
          append 4 step_cancelled 1 render
          append 5 run_cancelled why=stop
        )");
}

TEST_CASE("a worker that goes away with a withdrawn task has stopped it") {
  every_way(
      one(),
      [](teller& t) {
        t.cancel("stop");
        t.task_ends("1", task_end::lost, {}, 11);
      },
      R"(
          append 2 attempt_started 1 render number=1
          task in gpu
          append 3 cancel_received why=stop
          withdraw task 1
          append 4 step_cancelled 1 render
          append 5 run_cancelled why=stop
        )");
}

TEST_CASE("the next owner withdraws again: that it was told before is nowhere recorded") {
  teller t(one());
  t.cancel("stop");
  t.takeover();

  CHECK(t.story().ends_with("takeover\nwithdraw task 1\n"));
}

TEST_CASE("a step is cancelled while its task is being put: it is withdrawn once it is there") {
  teller t(one());
  t.task_ends("1", task_end::failed, "down");
  t.several([&] {
    t.passes(1000);
    t.cancel("stop");
  });

  CHECK(t.tasks().size() == 1);
  CHECK(t.task("1").withdrawn);
}

TEST_CASE(
    "the end of the code withdraws what it left, and waits for it no longer than the grace time") {
  const body leaves = [](code& c) {
    (void)c.step("render", {.plan = on_gpu()});
    c.wait(c.step("local"), [](code&) {});
  };
  teller t(leaves);
  t.completes("2");
  CHECK(t.m().stands().finishing);
  CHECK(t.m().stands().attempts == 1);
  CHECK(t.task("1").withdrawn);
  t.grace_over();

  CHECK(t.ended());
  CHECK(t.told().find("run_completed \"done\" abandoned=1") != std::string::npos);
}

TEST_CASE("compensation on a queue of its own; what was abandoned is taken back before it begins") {
  const body saga = [](code& c) {
    (void)c.step("render", {.plan = on_gpu()});
    (void)c.on_failure("undo", "in", {.plan = on_gpu()});
    c.wait(c.step("local"), [](code& c) { c.fail("own"); });
  };
  teller t(saga);
  t.completes("3");
  t.grace_over();
  CHECK(t.story().find("take task 1 back\n") != std::string::npos);
  CHECK(t.tasks() == std::vector<std::string>{"c.1"});
  CHECK(t.m().stands().attempts == 0);
  t.takeover();
  t.task_ends("c.1", task_end::value, "undone");

  CHECK(t.ended());
  CHECK(t.m().state() == run_state::failed);
}

TEST_CASE("the queue may change under a running workflow: what is out stays where it is") {
  teller t(one());
  t.code_changes([](code& c) { c.wait(c.step("render"), [](code&) {}); });
  t.takeover();
  CHECK(t.running().empty());
  CHECK(t.m().stands().waits == "step 'render' in queue 'gpu' (code:render)");
  t.task_ends("1", task_end::lost);

  CHECK(t.told().find("suspicion 1 render") != std::string::npos);
  CHECK(t.running() == std::vector<std::string>{"1"});
  t.completes("1");
  CHECK(t.ended());
}

TEST_CASE("a death that an old black box tells of doesn't touch the attempt that is out") {
  teller t(one());
  t.crashes("1", 11);

  CHECK(t.m().tasks_away().size() == 1);
  CHECK(t.m().quarantined().empty());
  t.task_ends("1", task_end::value, "picture");
  CHECK(t.ended());
}
