// SPDX-License-Identifier: Apache-2.0
// Attempts: how often, when, and what is known of those that took their process down.
#include "story.hpp"

#include <doctest/doctest.h>

using namespace fermata::engine;
using namespace fermata::engine::story;

namespace {
body one(step_plan plan) {
  return [=](code& c) { c.wait(c.step("a", {.plan = plan}), [](code&) {}); };
}
time_us due_of(const event& note) { return note.details.attempt().next_due_us() - note.at; }
}  // namespace

TEST_CASE("a step is attempted again after its delay until it succeeds") {
  every_way(
      one({}),
      [](teller& t) {
        t.fails("1", "down");
        t.passes(1000);
        t.fails("1", "still down");
        t.passes(2000);
        t.completes("1");
      },
      R"(
          start 1 a attempt 1
          append 2 attempt_failed 1 a number=1 next=+155ms why=down
          start 1 a attempt 2
          remove timer 1
          append 3 attempt_failed 1 a number=2 next=+1867ms why=still down
          start 1 a attempt 3
          remove timer 1
          append 4 step_completed 1 a "ok" attempts=3
          append 5 run_completed "done"
        )");
}

TEST_CASE("the delay is drawn between nothing and the bound, the same for the same attempt") {
  const step_plan plan{
      .max_attempts = 100, .first_delay_ms = 100, .backoff = 10, .max_delay_ms = 5000};
  teller t(one(plan)), again(one(plan), true);
  std::set<time_us> drawn;
  for (int i = 0; i < 50; ++i) {
    for (teller* each : {&t, &again}) each->fails("1", "down"), each->passes(5000);
    const time_us due = due_of(t.journal().back());
    CHECK(due >= 0);
    CHECK(due <= (i == 0 ? 100'000 : i == 1 ? 1'000'000 : 5'000'000));
    drawn.insert(due);
  }
  CHECK(drawn.size() > 45);
  CHECK(*drawn.rbegin() > 4'000'000);
  CHECK(t.told() == again.told());
}

TEST_CASE("retry_after replaces the drawn delay") {
  every_way(
      one({}),
      [](teller& t) {
        t.fails("1", "busy", true, 7000);
        t.passes(6999);
        t.passes(1);
        t.completes("1");
      },
      R"(
          start 1 a attempt 1
          append 2 attempt_failed 1 a number=1 next=+7000ms why=busy
          start 1 a attempt 2
          remove timer 1
          append 3 step_completed 1 a "ok" attempts=2
          append 4 run_completed "done"
        )");
}

TEST_CASE("a failure that isn't to be retried is final") {
  every_way(one({}), [](teller& t) { t.fails("1", "no such card", false); }, R"(
          start 1 a attempt 1
          append 2 step_failed 1 a why=no such card
          append 3 run_failed why=no such card
        )");
}

TEST_CASE("after the last attempt the step has failed") {
  every_way(
      one({.max_attempts = 2, .first_delay_ms = 0}),
      [](teller& t) { t.fails("1", "one"), t.passes(0), t.fails("1", "two"); }, R"(
          start 1 a attempt 1
          append 2 attempt_failed 1 a number=1 next=+0ms why=one
          start 1 a attempt 2
          append 3 step_failed 1 a attempts=2 why=two
          append 4 run_failed why=two
        )");
}

TEST_CASE("a step gives up when its next attempt would come too late") {
  every_way(
      one({.give_up_after_ms = 10'000}),
      [](teller& t) {
        t.fails("1", "one", true, 4000);
        t.passes(4000);
        t.fails("1", "two", true, 7000);
      },
      R"(
          start 1 a attempt 1
          append 2 attempt_failed 1 a number=1 next=+4000ms why=one
          start 1 a attempt 2
          remove timer 1
          append 3 step_failed 1 a attempts=2 why=gave up after 10000 ms and 2 attempts; the last: two
          append 4 run_failed why=gave up after 10000 ms and 2 attempts; the last: two
        )");
}

TEST_CASE("an attempt gets no more time than is left until it gives up") {
  teller t(one({.timeout_ms = 5000, .give_up_after_ms = 8000}));
  t.fails("1", "one", true, 6000);
  auto waiting = t.replay(t.journal().size());
  waiting->m().set_time(begin + 6'000'000);
  waiting->m().fire_timers();
  const auto starts = waiting->m().take_starts();

  REQUIRE(starts.size() == 1);
  CHECK(starts[0].plan.timeout_ms == 2000);
  CHECK(starts[0].number == 2);
}

TEST_CASE("the count of attempts goes on after a takeover") {
  every_way(
      one({.max_attempts = 2, .first_delay_ms = 0}),
      [](teller& t) {
        t.fails("1", "one");
        t.takeover();
        t.fails("1", "two");
      },
      R"(
          start 1 a attempt 1
          append 2 attempt_failed 1 a number=1 next=+0ms why=one
          start 1 a attempt 2
          takeover
          start 1 a attempt 2
          append 3 step_failed 1 a attempts=2 why=two
          append 4 run_failed why=two
        )");
}

TEST_CASE("every attempt has the same key, made of origin, operation and name") {
  teller t([](code& c) { c.idle({c.branch([](code& c) { c.idle({c.step("charge")}); })}); });
  auto again = t.replay(1);
  const auto starts = again->m().take_starts();

  REQUIRE(starts.size() == 1);
  CHECK(starts[0].key == again->m().origin().text() + "/1.1/charge");
}

TEST_CASE("a retry whose timer fires early is neither started nor forgotten") {
  teller t(one({}));
  t.fails("1", "busy", true, 7000);
  t.m().timer_due("1", timer_purpose::retry);
  CHECK(t.m().take_removed_timers().empty());
  CHECK(t.m().take_starts().empty());
  CHECK(t.m().stands().next_timer == begin + 7'000'000);
  t.passes(7000);
  CHECK(t.running() == std::vector<std::string>{"1"});
}

TEST_CASE("a retry's timer told late, while the next failure is written, takes no timer back") {
  teller t(one({}));
  t.fails("1", "busy", true, 0);  // the next attempt begins at once, its timer is still there
  REQUIRE(t.running() == std::vector<std::string>{"1"});
  attempt_end end{.how = attempt_end::how_t::failed, .number = 2, .retry_after_ms = 7000};
  end.why.set_retryable(true);
  t.m().attempt_ended(1, std::move(end));
  const auto noted = t.m().take_events();
  REQUIRE(noted.size() == 1);

  t.m().timer_due("1", timer_purpose::retry);

  CHECK(t.m().take_removed_timers().empty());
  CHECK(t.m().take_starts().empty());
}

TEST_CASE("an outcome that comes twice is recorded once") {
  teller t(one({}));
  t.m().attempt_ended(1, {.number = 1, .value = text("1")});
  t.m().attempt_ended(1, {.number = 1, .value = text("2")});
  CHECK(t.m().take_events().size() == 1);
}

TEST_CASE("a cancel that meets a committed transaction makes no second outcome") {
  const body program = [](code& c) {
    c.settle(c.step("pay", {.kind = operation_kind::transaction}), [](code&) {});
  };
  teller t(program);
  event outcome = t.m().outcome_of(1, 1, begin);
  outcome.value = text("paid");
  outcome.position = 3;
  message m{.kind = message_kind::cancel};
  t.m().receive(m);
  auto events = t.m().take_events();
  REQUIRE(events.size() == 1);
  events[0].what.position = 2;
  t.m().landed(1);
  t.m().attempt_committed(1);
  t.m().deliver(events[0].what);
  CHECK_FALSE(t.m().has_events());
  t.m().deliver(outcome);
  CHECK(t.m().look(1).value.bytes == "paid");
}

TEST_CASE("three crashes of one operation put its run into quarantine, and a retry lets it out") {
  teller t(one({}));
  t.crashes("1", 11), t.crashes("1", 11);
  CHECK(t.m().quarantined() == "");
  t.crashes("1", 6);
  CHECK(t.m().quarantined() == "1");
  CHECK(t.running().empty());
  t.act("retry");
  CHECK(t.m().quarantined() == "");
  CHECK(t.story() == plain(R"(
          start 1 a attempt 1
          append 2 attempt_crashed 1 a number=1 signal=11
          start 1 a attempt 1
          append 3 attempt_crashed 1 a number=1 signal=11
          start 1 a attempt 1
          append 4 attempt_crashed 1 a number=1 signal=6
          append 5 operator_act retry
          start 1 a attempt 1
        )"));
}

TEST_CASE("a crash is forgotten after any outcome of its operation") {
  teller t(one({.first_delay_ms = 0}));
  t.crashes("1", 11), t.crashes("1", 11);
  t.fails("1", "down"), t.passes(0);
  t.crashes("1", 11), t.crashes("1", 11);
  CHECK(t.m().quarantined() == "");
}

TEST_CASE("a suspicion changes nothing, the second in a row lets the operation run alone") {
  teller t(one({.first_delay_ms = 0}));
  t.crashes("1", 0), t.crashes("1", 0);
  for (int i = 0; i < 5; ++i) t.crashes("1", 0, true);
  CHECK(t.m().quarantined() == "1");
  CHECK(t.story() == plain(R"(
          start 1 a attempt 1
          append 2 suspicion 1 a number=1
          start 1 a attempt 1
          append 3 suspicion 1 a number=1
          start 1 a attempt 1 alone
          append 4 suspicion 1 a number=1 alone
          start 1 a attempt 1 alone
          append 5 suspicion 1 a number=1 alone
          start 1 a attempt 1 alone
          append 6 suspicion 1 a number=1 alone
          start 1 a attempt 1 alone
          append 7 suspicion 1 a number=1 alone
          start 1 a attempt 1 alone
          append 8 suspicion 1 a number=1 alone
        )"));
}

TEST_CASE("a death is noted before its operation is attempted again") {
  teller t(one({}));
  auto next = t.replay(1);
  next->m().crashed("1", 1, 11, "", "", false);
  CHECK(next->m().take_starts().empty());
  auto events = next->m().take_events();
  REQUIRE(events.size() == 1);
  next->m().landed(1);
  CHECK(next->m().take_starts().empty());
  events[0].what.position = 2;
  next->m().deliver(events[0].what);
  CHECK(next->m().take_starts().size() == 1);
}

TEST_CASE("code that took its worker down three times in a row is dangerous, until it gets on") {
  teller t([](code& c) { c.wait(c.receive("x"), [](code& c) { c.idle({c.receive("y")}); }); });
  for (int i = 0; i < 2; ++i) t.crashes("", 11);
  t.signal("x", "1");
  for (int i = 0; i < 2; ++i) t.crashes("", 11);
  CHECK_FALSE(code_is_dangerous(t.journal()));
  CHECK(t.m().quarantined() == "");
  t.crashes("", 11);
  CHECK(code_is_dangerous(t.journal()));
  CHECK(t.m().quarantined() == "code");
  t.act("retry");
  CHECK_FALSE(code_is_dangerous(t.journal()));
}

TEST_CASE("with on_crash = fail a step whose owner went away has failed") {
  every_way(
      one({.on_crash = 1}), [](teller& t) { t.takeover(); }, R"(
          append 2 attempt_started 1 a number=1
          start 1 a attempt 1
          takeover
          append 3 step_failed 1 a why=the worker went away during an attempt; whether it had an effect is unknown
          append 4 run_failed why=the worker went away during an attempt; whether it had an effect is unknown
        )",
      true);
}

TEST_CASE("with on_crash = ask the run waits for a person, who may say retry") {
  teller t(one({.on_crash = 2}));
  t.takeover();
  CHECK(t.m().stands().needs_attention);
  CHECK(t.m().stands().attempts == 0);
  CHECK(t.running().empty());
  t.act("retry");
  CHECK_FALSE(t.m().stands().needs_attention);
  t.completes("1");
  CHECK(t.story() == plain(R"(
          append 2 attempt_started 1 a number=1
          start 1 a attempt 1
          takeover
          append 3 operator_act retry
          append 4 attempt_started 1 a number=1
          start 1 a attempt 1
          append 5 step_completed 1 a "ok"
          append 6 run_completed "done"
        )"));
}

TEST_CASE("an attempt that its worker refused waits, and isn't taken for vanished") {
  teller t(one({.on_crash = 1}));
  t.refuse("1");
  CHECK(t.m().stands().attempts == 0);
  CHECK(t.m().stands().waits.find("can carry out") != std::string::npos);
  t.takeover();
  t.completes("1");
  CHECK(t.story() == plain(R"(
          append 2 attempt_started 1 a number=1
          start 1 a attempt 1
          append 3 attempt_failed 1 a number=0 why=this worker couldn't carry it out
          takeover
          append 4 attempt_started 1 a number=1
          start 1 a attempt 1
          append 5 step_completed 1 a "ok"
          append 6 run_completed "done"
        )"));
}

TEST_CASE("an attempt that is postponed is started when its time has come") {
  teller t(one({}));
  t.refuse("1");
  t.m().postpone(1, begin + 5'000'000);
  CHECK(t.m().stands().attempts == 0);
  CHECK(t.m().stands().next_timer == begin + 5'000'000);
  t.passes(5000);
  t.completes("1");
  CHECK(t.ended());
}

TEST_CASE("an attempt that outlives its machine isn't started again, and its outcome is taken") {
  for (const int on_crash : {1, 2}) {
    teller t(one({.on_crash = on_crash}));
    auto again = t.replay(t.journal().size());  // without `attempt_goes_on` it has vanished
    CHECK(again->m().take_starts().empty());

    machine m({.run = t.m().origin(), .chain = t.m().origin()});
    m.history_ends_at(2);
    m.deliver(t.journal()[0]);
    m.ask(0, {.name = "a", .input = text("in"), .plan = {.on_crash = on_crash}});
    m.deliver(t.journal()[1]);
    m.attempt_goes_on(1);
    m.go_live();
    CHECK_FALSE(m.has_events());
    CHECK_FALSE(m.stands().needs_attention);
    CHECK(m.take_starts().empty());
    m.attempt_ended(1, {.number = 1, .value = text("v")});
    CHECK(m.take_events().size() == 1);
  }
}

TEST_CASE("while the run waits for a person nothing else is noted as begun") {
  teller t([](code& c) {
    c.idle({c.step("a", {.plan = {.on_crash = 1}}), c.step("b", {.plan = {.on_crash = 2}})});
  });
  t.refuse("1");
  auto again = t.replay(t.journal().size());
  CHECK(again->m().stands().needs_attention);
  CHECK_FALSE(again->m().has_events());
  CHECK(again->m().stands().waits.find("step 'b'") == 0);
}

TEST_CASE("an outcome is taken also before the machine has heard that the attempt goes on") {
  teller t(one({}));
  auto again = t.replay(1);
  again->m().attempt_ended(1, {.number = 1, .value = text("v")});
  CHECK(again->m().take_starts().empty());
  CHECK(again->m().take_events().size() == 1);
}

TEST_CASE("an attempt that was refused goes on when it is possible") {
  teller t(one({}));
  t.refuse("1");
  CHECK(t.m().take_starts().empty());
  t.m().attempt_possible(1);
  CHECK(t.m().take_starts().size() == 1);
}

TEST_CASE("operations in flight are counted, not searched") {
  const body program = [](code& c) {
    std::vector<slot> all;
    for (int i = 0; i < 2'000; ++i)
      all.push_back(c.branch([](code& c) { c.wait(c.step("a"), [](code&) {}); }));
    c.wait(c.receive("enough"), [](code&) {});
  };
  teller t(program);
  CHECK(t.running().size() == 2'000);
  CHECK(t.m().stands().attempts == 2'000);
  t.signal("enough", "now");
  CHECK(t.m().stands().finishing);
  t.grace_over();
  CHECK(t.ended());
  CHECK(t.journal().back().details.ended().abandoned_size() == 2'000);
}
