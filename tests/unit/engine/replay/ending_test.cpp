// SPDX-License-Identifier: Apache-2.0
// How runs end: by themselves, cancelled, undone.
#include "story.hpp"

#include <doctest/doctest.h>

using namespace fermata::engine;
using namespace fermata::engine::story;

namespace {
request undone(step_plan plan = {}, std::string input = "in") {
  return {.input = text(std::move(input)), .undo = undo_plan{.name = "", .plan = plan}};
}
/// Two calls that can be undone, then one that fails.
body saga(step_plan undo_plan_of = {}) {
  return [=](code& c) {
    c.wait(c.step("charge", undone(undo_plan_of, "card")), [=](code& c) {
      (void)c.on_failure("release", "stock", {.plan = undo_plan_of});
      c.wait(c.step("ship"), [](code&) {});
    });
  };
}
const step_plan twice{.max_attempts = 2, .first_delay_ms = 0};
}  // namespace

TEST_CASE("an undo is registered before the first attempt starts") {
  teller t([](code& c) { c.idle({c.step("charge", undone()), c.step("other")}); });
  CHECK(t.story() == plain(R"(
          append 2 compensation_registered 1 undo_charge undoes=1
          start 1 charge attempt 1
          start 2 other attempt 1
        )"));
}

TEST_CASE("nothing that a gate holds back starts before its event has landed") {
  machine m({.run = run_id::of(ulid::make(begin, {1}))});
  event start{.position = 1, .kind = event_kind::run_started, .at = begin};
  start.details.mutable_started()->set_seed("0123456789abcdef");
  m.deliver(start);
  m.go_live();
  CHECK(m.patched(0, "new", ""));
  m.ask(0, {.name = "a"});
  CHECK(m.take_starts().empty());
  const auto events = m.take_events();
  CHECK(m.take_starts().empty());
  m.landed(events.size());
  CHECK(m.take_starts().size() == 1);
}

TEST_CASE("a failed shipment releases the stock, then refunds the card") {
  every_way(
      saga(),
      [](teller& t) {
        t.completes("1");
        t.fails("3", "no pickup", false);
        t.completes("c.1");
        t.completes("c.2");
      },
      R"(
          append 2 compensation_registered 1 undo_charge undoes=1
          start 1 charge attempt 1
          append 3 step_completed 1 charge "ok"
          append 4 compensation_registered 2 release
          start 3 ship attempt 1
          append 5 step_failed 3 ship why=no pickup
          append 6 failing why=no pickup
          start c.1 release attempt 1
          append 7 step_completed c.1 release "ok"
          start c.2 undo_charge attempt 1
          append 8 step_completed c.2 undo_charge "ok"
          append 9 run_failed why=no pickup
        )");
}

TEST_CASE("an operation is found by its id as it is written, and by no other text") {
  teller t([](code& c) {
    c.on_failure("release", "x");
    const slot b = c.branch([](code& c) {
      c.step("a");
      c.idle({c.step("b")});
    });
    c.wait(c.step("ship"), [](code&) {});
    (void)b;
  });
  for (const std::string id : {"1", "2", "2.1", "2.2", "3"}) {
    const slot found = t.m().slot_of(id);
    CHECK(found != 0);
    CHECK(t.m().look(found).id == id);
  }
  CHECK(t.m().slot_of("c.1") == 0);  // nothing is undone yet
  t.fails("3", "no", false);
  t.completes("2.1");
  t.completes("2.2");
  const slot undoing = t.m().slot_of("c.1");
  CHECK(undoing != 0);
  CHECK(t.m().look(undoing).name == "release");

  for (const std::string_view id :
       {"",      "0",    "03",   "4",   "3.",   "3.0",   "3.1", ".3",    "2.3",
        "2.1.1", "2..1", "2.01", "2x1", "+3",   "-3",    " 3",  "3 ",    "c",
        "c.",    "c.0",  "c.01", "c.2", "c.1.", "c.1.1", "C.1", "2.c.1", "99999999999999999999999"})
    CHECK_MESSAGE(t.m().slot_of(id) == 0, "'" << id << "'");
}

TEST_CASE("a compensation gets the input of what it undoes, that call's key, and one of its own") {
  teller t(saga());
  t.completes("1");
  t.fails("3", "no", false);
  t.completes("c.1");
  auto again = t.replay(t.journal().size(), false);
  const auto starts = again->m().take_starts();

  REQUIRE(starts.size() == 1);
  const std::string origin = again->m().origin().text();
  CHECK(starts[0].key == origin + "/c.2/undo_charge");
  CHECK(starts[0].undoes == origin + "/1/charge");
  CHECK(starts[0].input.bytes == "card");
}

TEST_CASE("a compensation may be a child") {
  const body program = [](code& c) {
    (void)c.on_failure("undo_all", "x", {.kind = operation_kind::child});
    c.fail("no");
  };
  every_way(program, [](teller& t) { t.child_ends("c.1", run_state::completed, "fine"); }, R"(
          append 2 compensation_registered 1 undo_all
          append 3 failing why=no
          append 4 child_started c.1 undo_all "x"
          start request undo_all
          append 5 child_completed c.1 undo_all "fine"
          append 6 run_failed why=no
        )");
}

TEST_CASE("a child that couldn't undo needs a person, and is started anew after a retry") {
  const body program = [](code& c) {
    (void)c.on_failure("undo_all", "x", {.kind = operation_kind::child});
    c.fail("no");
  };
  every_way(
      program,
      [](teller& t) {
        t.child_ends("c.1", run_state::failed, "could not");
        CHECK(t.m().stands().needs_attention);
        t.act("retry");
        t.child_ends("c.2", run_state::completed, "fine");
      },
      R"(
          append 2 compensation_registered 1 undo_all
          append 3 failing why=no
          append 4 child_started c.1 undo_all "x"
          start request undo_all
          append 5 child_failed c.1 undo_all why=could not
          append 6 operator_act retry
          append 7 child_started c.2 undo_all "x"
          start request undo_all
          append 8 child_completed c.2 undo_all "fine"
          append 9 run_failed why=no
        )");
}

TEST_CASE("a compensation that exhausts its policy stops the run, and goes on after a retry") {
  every_way(
      saga(twice),
      [](teller& t) {
        t.completes("1");
        t.fails("3", "no", false);
        t.fails("c.1", "one"), t.passes(0), t.fails("c.1", "two");
        CHECK(t.m().stands().needs_attention);
        t.takeover();
        CHECK(t.m().stands().needs_attention);
        CHECK(t.running().empty());
        t.act("retry");
        t.completes("c.1"), t.completes("c.2");
      },
      R"(
          append 2 compensation_registered 1 undo_charge undoes=1
          start 1 charge attempt 1
          append 3 step_completed 1 charge "ok"
          append 4 compensation_registered 2 release
          start 3 ship attempt 1
          append 5 step_failed 3 ship why=no
          append 6 failing why=no
          start c.1 release attempt 1
          append 7 attempt_failed c.1 release number=1 next=+0ms why=one
          start c.1 release attempt 2
          append 8 attempt_failed c.1 release number=2 why=two
          takeover
          append 9 operator_act retry
          start c.1 release attempt 1
          append 10 step_completed c.1 release "ok"
          start c.2 undo_charge attempt 1
          append 11 step_completed c.2 undo_charge "ok"
          append 12 run_failed why=no
        )");
}

TEST_CASE("a run that compensates goes on without its code") {
  teller t(saga());
  t.completes("1");
  t.fails("3", "no", false);
  t.code_changes([](code& c) { c.fail("code that is gone"); });
  t.takeover();
  t.completes("c.1");
  t.takeover();
  t.completes("c.2");
  CHECK(t.ended());
  CHECK(t.told() == plain(R"(
          1 run_started flow
          2 compensation_registered 1 undo_charge undoes=1
          3 step_completed 1 charge "ok"
          4 compensation_registered 2 release
          5 step_failed 3 ship why=no
          6 failing why=no
          7 step_completed c.1 release "ok"
          8 step_completed c.2 undo_charge "ok"
          9 run_failed why=no
        )"));
}

TEST_CASE("cancel ends waits at once, and tells children") {
  const body program = [](code& c) {
    c.wait_all(
        {c.receive("x"), c.sleep(1000), c.child("bill"), c.child("free", {.close_policy = 2})},
        [](code&) {});
  };
  every_way(
      program,
      [](teller& t) {
        t.cancel("customer called");
        t.cancel("and called again");
        t.child_ends("3", run_state::cancelled, "asked to");
      },
      R"(
          append 2 timer_set 2 due=+1000ms
          append 3 child_started 3 bill "in"
          start request bill
          append 4 child_started 4 free "in"
          start request free
          append 5 cancel_received why=customer called
          append 6 cancel_requested 3 bill
          tell the child to stop
          remove timer 2
          append 7 cancel_received why=and called again
          append 8 child_failed 3 bill why=asked to
          append 9 run_cancelled why=customer called
        )");
}

TEST_CASE("a step in flight delivers its value before the run is cancelled") {
  const body program = [](code& c) {
    c.wait(c.step("charge"), [](code& c) {
      (void)c.on_failure("refund", "card");
      c.wait(c.step("ship"), [](code&) {});
    });
  };
  every_way(
      program, [](teller& t) { t.cancel("stop"), t.completes("1"), t.completes("c.1"); }, R"(
          start 1 charge attempt 1
          append 2 cancel_received why=stop
          stop 1
          append 3 step_completed 1 charge "ok"
          append 4 compensation_registered 2 refund
          append 5 failing why=stop cancelled
          start c.1 refund attempt 1
          append 6 step_completed c.1 refund "ok"
          append 7 run_cancelled why=stop
        )",
      true);
}

TEST_CASE("a step that isn't running is cancelled at once") {
  every_way([](code& c) { c.wait(c.step("a"), [](code&) {}); },
            [](teller& t) { t.fails("1", "busy", true, 60'000), t.cancel("stop"); }, R"(
          start 1 a attempt 1
          append 2 attempt_failed 1 a number=1 next=+60000ms why=busy
          append 3 cancel_received why=stop
          append 4 step_cancelled 1 a
          append 5 run_cancelled why=stop
          remove timer 1
        )");
}

TEST_CASE("a cancel that meets a failing attempt starts no other") {
  every_way([](code& c) { c.wait(c.step("a"), [](code&) {}); },
            [](teller& t) {
              t.several([&] { t.cancel("stop"), t.fails("1", "busy", true, 1000); });
              t.passes(1000);
            },
            R"(
          start 1 a attempt 1
          append 2 cancel_received why=stop
          append 3 attempt_failed 1 a number=1 next=+1000ms why=busy
          append 4 step_cancelled 1 a
          append 5 run_cancelled why=stop
          remove timer 1
        )");
}

TEST_CASE("a shielded branch isn't cancelled, and the end waits for it") {
  const body program = [](code& c) {
    const slot b = c.branch(
        [](code& c) { c.wait(c.step("a"), [](code& c) { c.wait(c.step("b"), [](code&) {}); }); },
        true);
    c.wait_all({b, c.sleep(1000)}, [](code&) {});
  };
  every_way(
      program,
      [](teller& t) {
        t.cancel("stop");
        t.completes("1.1");
        CHECK_FALSE(t.ended());
        t.completes("1.2");
      },
      R"(
          append 2 timer_set 2 due=+1000ms
          start 1.1 a attempt 1
          append 3 cancel_received why=stop
          remove timer 2
          append 4 step_completed 1.1 a "ok"
          start 1.2 b attempt 1
          append 5 step_completed 1.2 b "ok"
          append 6 run_cancelled why=stop
        )");
}

TEST_CASE("a cancel while compensating changes nothing") {
  every_way(
      saga(),
      [](teller& t) {
        t.completes("1");
        t.fails("3", "no", false);
        t.cancel("too late");
        t.completes("c.1"), t.completes("c.2");
      },
      R"(
          append 2 compensation_registered 1 undo_charge undoes=1
          start 1 charge attempt 1
          append 3 step_completed 1 charge "ok"
          append 4 compensation_registered 2 release
          start 3 ship attempt 1
          append 5 step_failed 3 ship why=no
          append 6 failing why=no
          start c.1 release attempt 1
          append 7 cancel_received why=too late
          append 8 step_completed c.1 release "ok"
          start c.2 undo_charge attempt 1
          append 9 step_completed c.2 undo_charge "ok"
          append 10 run_failed why=no
        )");
}

TEST_CASE("code that catches the cancel may tidy up, but what it issues is refused") {
  const body program = [](code& c) {
    c.settle(c.receive("x"), [](code& c) {
      c.publish("tidied", "yes");
      c.settle(c.step("more"), [](code& c) { c.result("stopped in order"); });
    });
  };
  every_way(program, [](teller& t) { t.cancel("stop"); }, R"(
          append 2 cancel_received why=stop
          append 3 published 2 tidied "yes"
          append 4 run_completed "stopped in order"
        )");
}

TEST_CASE("a run ends when its attempts have ended") {
  const body program = [](code& c) {
    (void)c.step("a"), (void)c.step("b");
    c.wait(c.receive("x"), [](code&) {});
  };
  every_way(
      program,
      [](teller& t) { t.signal("x", ""), t.stopped("1"), t.completes("2", "came anyway"); }, R"(
          start 1 a attempt 1
          start 2 b attempt 1
          append 2 signal_received x ""
          stop 1
          stop 2
          append 3 step_cancelled 1 a
          append 4 step_completed 2 b "came anyway"
          append 5 run_completed "done"
        )",
      true);
}

TEST_CASE("after the grace time what is in flight is abandoned, and its outcome refused") {
  const body program = [](code& c) {
    (void)c.step("a"), (void)c.child("bill"), (void)c.child("free", {.close_policy = 2});
    c.wait(c.receive("x"), [](code&) {});
  };
  every_way(
      program, [](teller& t) { t.signal("x", ""), t.grace_over(), t.completes("1"); }, R"(
          append 2 child_started 2 bill "in"
          start request bill
          append 3 child_started 3 free "in"
          start request free
          start 1 a attempt 1
          append 4 signal_received x ""
          append 5 cancel_requested 2 bill
          tell the child to stop
          stop 1
          append 6 run_completed "done" abandoned=1,2
        )",
      true);
}

TEST_CASE("what is abandoned by a failing run comes back neither by a retry nor by its outcome") {
  const body program = [](code& c) {
    (void)c.on_failure("undo", "x");
    (void)c.step("stuck");
    c.wait(c.step("bad"), [](code&) {});
  };
  every_way(
      program,
      [](teller& t) {
        t.fails("3", "no", false);
        t.grace_over();
        t.completes("2");
        t.m().timer_due("2", timer_purpose::retry);
        t.takeover();
        t.completes("c.1");
      },
      R"(
          append 2 compensation_registered 1 undo
          start 2 stuck attempt 1
          start 3 bad attempt 1
          append 3 step_failed 3 bad why=no
          stop 2
          append 4 failing why=no abandoned=2
          start c.1 undo attempt 1
          takeover
          start c.1 undo attempt 1
          append 5 step_completed c.1 undo "ok"
          append 6 run_failed why=no abandoned=2
        )",
      true);
}

TEST_CASE("the grace time begins when what is shielded has ended") {
  const body program = [](code& c) {
    const body shielded = [](code& c) {
      c.wait(c.sleep(60'000), [](code& c) { (void)c.child("kid"); });
    };
    c.wait_all({c.step("a"), c.branch(shielded, true)}, [](code&) {});
  };
  every_way(
      program,
      [](teller& t) {
        t.cancel("stop");
        CHECK_FALSE(t.m().stands().finishing);
        t.grace_over();  // in vain
        t.stopped("1");
        t.passes(60'000);
        CHECK(t.m().stands().finishing);
        CHECK_FALSE(t.ended());
        t.child_ends("2.2", run_state::cancelled);
      },
      R"(
          append 2 timer_set 2.1 due=+60000ms
          start 1 a attempt 1
          append 3 cancel_received why=stop
          stop 1
          append 4 step_cancelled 1 a
          append 5 timer_fired 2.1
          append 6 child_started 2.2 kid "in"
          start request kid
          append 7 cancel_requested 2.2 kid
          tell the child to stop
          append 8 child_failed 2.2 kid
          append 9 run_cancelled why=stop
        )",
      true);
}

TEST_CASE("a late outcome in the journal means nothing to a run that compensates") {
  teller t([](code& c) {
    (void)c.on_failure("undo", "x");
    (void)c.step("pay", {.kind = operation_kind::transaction});
    c.wait(c.step("bad"), [](code&) {});
  });
  const event late = t.m().outcome_of(2, 1, begin);
  t.fails("3", "no", false);
  t.grace_over();
  for (const bool with_code : {true, false}) {
    auto again = t.replay(t.journal().size(), with_code);
    event e = late;
    e.position = t.journal().size() + 1;
    again->m().deliver(e);
    CHECK(again->m().difference().empty());
  }
}

TEST_CASE("a failure that nobody saw fails the run, but not one of what was given up") {
  const body unseen = [](code& c) {
    (void)c.step("a");
    c.idle({c.receive("x")});
  };
  every_way(unseen, [](teller& t) { t.fails("1", "no", false), t.signal("x", ""); }, R"(
          start 1 a attempt 1
          append 2 step_failed 1 a why=no
          append 3 signal_received x ""
          append 4 run_failed why=no
        )");
  const body given_up = [](code& c) {
    const slot a = c.step("a");
    c.wait(c.receive("x"), [a](code& c) {
      c.cancel(a);
      c.idle({c.receive("y")});
    });
  };
  every_way(
      given_up,
      [](teller& t) {
        t.several([&] { t.signal("x", ""), t.fails("1", "no", false); });
        t.signal("y", "");
      },
      R"(
          start 1 a attempt 1
          append 2 signal_received x ""
          append 3 step_failed 1 a why=no
          append 4 cancel_requested 1 a
          append 5 signal_received y ""
          append 6 run_completed "done"
        )");
}

TEST_CASE("signals that nobody read are listed at the end, also one that comes with it") {
  const body program = [](code& c) { c.wait(c.receive("x"), [](code&) {}); };
  every_way(
      program,
      [](teller& t) {
        t.signal("y", "1");
        t.several([&] { t.signal("x", "go"), t.signal("z", "2"); });
      },
      R"(
          append 2 signal_received y "1"
          append 3 signal_received x "go"
          append 4 signal_received z "2"
          append 5 run_completed "done" unread=2
        )");
}

TEST_CASE("what the code has read isn't unread after its run compensated without it") {
  const body program = [](code& c) {
    (void)c.on_failure("undo", "x");
    c.wait(c.receive("x"), [](code& c) { c.fail("no"); });
  };
  every_way(
      program,
      [](teller& t) {
        t.signal("y", "never read"), t.signal("x", "read");
        t.takeover();
        t.signal("z", "late");
        t.completes("c.1");
      },
      R"(
          append 2 compensation_registered 1 undo
          append 3 signal_received y "never read"
          append 4 signal_received x "read"
          append 5 failing why=no
          start c.1 undo attempt 1
          takeover
          start c.1 undo attempt 1
          append 6 signal_received z "late"
          append 7 step_completed c.1 undo "ok"
          append 8 run_failed why=no unread=2
        )");
}

TEST_CASE("nothing is appended after an end") {
  teller t([](code& c) { c.wait(c.receive("x"), [](code&) {}); });
  t.m().receive({.kind = message_kind::signal, .name = "x", .value = text("1")});
  auto events = t.m().take_events();
  events[0].what.position = 2;
  t.m().landed(1);
  t.m().deliver(events[0].what);
  t.m().take_settled();
  t.m().root_ended(settled::value, text("r"), {});
  t.m().stand();
  t.m().receive({.kind = message_kind::signal, .name = "x", .value = text("2")});
  t.m().receive({.kind = message_kind::cancel});
  t.m().crashed("", 1, 11, "", "", false);
  events = t.m().take_events();

  REQUIRE(events.size() == 1);
  CHECK(events[0].what.kind == event_kind::run_completed);
}

TEST_CASE("a run whose deadline passes is cancelled, once") {
  const body program = [](code& c) { c.idle({c.step("a")}); };
  teller t(program);
  t.m().timer_due("", timer_purpose::deadline);
  t.m().timer_due("", timer_purpose::deadline);

  CHECK(t.m().take_events().size() == 1);
  CHECK(t.m().take_removed_timers().size() == 2);
}
