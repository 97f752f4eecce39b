// SPDX-License-Identifier: Apache-2.0
// Signals, timers, children, branches: what the code waits for.
#include "story.hpp"

#include <doctest/doctest.h>

using namespace fermata::engine;
using namespace fermata::engine::story;

TEST_CASE("a signal goes to the oldest receive of its name") {
  const body program = [](code& c) {
    const slot a = c.receive("word"), b = c.receive("word");
    c.wait_all({a, b}, [=](code& c) { c.result(c.value(a) + c.value(b)); });
  };
  every_way(program, [](teller& t) { t.signal("word", "x"), t.signal("word", "y"); }, R"(
          append 2 signal_received word "x"
          append 3 signal_received word "y"
          append 4 run_completed "xy"
        )");
}

TEST_CASE("receives of several names wait side by side, each name's in order") {
  every_way(
      [](code& c) {
        const slot b1 = c.receive("b"), a1 = c.receive("a"), c1 = c.receive("c");
        const slot b2 = c.receive("b"), a2 = c.receive("a");
        c.cancel(b1);
        c.wait_all({a1, c1, b2, a2}, [=](code& c) {
          c.result(c.value(a1) + c.value(a2) + c.value(b2) + c.value(c1));
        });
      },
      [](teller& t) {
        t.signal("b", "B");
        t.signal("a", "A1");
        t.signal("c", "C");
        t.signal("a", "A2");
      },
      R"(
          append 2 signal_received b "B"
          append 3 signal_received a "A1"
          append 4 signal_received c "C"
          append 5 signal_received a "A2"
          append 6 run_completed "A1A2BC"
        )");
}

TEST_CASE("mail that came before the receive is kept in the order in which it came") {
  const body program = [](code& c) {
    c.wait(c.sleep(1000), [](code& c) {
      const slot a = c.receive("word"), b = c.receive("word");
      c.wait_all({a, b}, [=](code& c) { c.result(c.value(a) + c.value(b)); });
    });
  };
  every_way(
      program, [](teller& t) { t.signal("word", "x"), t.signal("word", "y"), t.passes(1000); }, R"(
          append 2 timer_set 1 due=+1000ms
          append 3 signal_received word "x"
          append 4 signal_received word "y"
          append 5 timer_fired 1
          append 6 run_completed "xy"
        )");
}

TEST_CASE("a receive that lost its patience takes no signal") {
  const body program = [](code& c) {
    const slot a = c.receive("word", 1000);
    c.wait(a, [=](code& c) {
      c.publish("how", c.how(a) == settled::elapsed ? "elapsed" : "value");
      const slot b = c.receive("word");
      c.wait(b, [=](code& c) { c.result(c.value(b)); });
    });
  };
  every_way(program, [](teller& t) { t.passes(1000), t.signal("word", "late"); }, R"(
          append 2 timer_set 1 word due=+1000ms
          append 3 timer_fired 1 word
          append 4 published 2 how "elapsed"
          append 5 signal_received word "late"
          append 6 run_completed "late"
        )");
}

TEST_CASE("a message that was accepted before a timer is due comes first") {
  const body program = [](code& c) {
    const slot a = c.receive("word", 1000);
    c.wait(a, [=](code& c) { c.result(c.value(a)); });
  };
  every_way(
      program, [](teller& t) { t.several([&] { t.signal("word", "just"), t.passes(1000); }); }, R"(
          append 2 timer_set 1 word due=+1000ms
          append 3 signal_received word "just"
          append 4 run_completed "just"
          remove timer 1
        )");
}

TEST_CASE("a timer that waited for a message fires after another receive took that") {
  const body program = [](code& c) { c.idle({c.receive("word"), c.receive("word", 1000)}); };
  every_way(
      program,
      [](teller& t) { t.several([&] { t.signal("word", "for the oldest"), t.passes(1000); }); },
      R"(
          append 2 timer_set 2 word due=+1000ms
          append 3 signal_received word "for the oldest"
          append 4 timer_fired 2 word
          append 5 run_completed "done"
        )",
      true);
}

TEST_CASE("timers fire in order of their due times, never early and once") {
  const body program = [](code& c) { c.idle({c.sleep(3000), c.sleep(1000), c.sleep(2000)}); };
  every_way(
      program,
      [](teller& t) {
        t.passes(999);
        t.several([&] { t.passes(1001), t.passes(0); });
        t.passes(5000);
      },
      R"(
          append 2 timer_set 1 due=+3000ms
          append 3 timer_set 2 due=+1000ms
          append 4 timer_set 3 due=+2000ms
          append 5 timer_fired 2
          append 6 timer_fired 3
          append 7 timer_fired 1
          append 8 run_completed "done"
        )");
}

TEST_CASE("a timer that is told of too early doesn't fire") {
  teller t([](code& c) { c.idle({c.sleep(7000)}); });

  t.m().timer_due("1", timer_purpose::sleep);

  CHECK(t.m().take_events().empty());
  t.passes(7000);
  CHECK(t.ended());
}

TEST_CASE("a timer whose command was lost with its process is due at the same time") {
  const body program = [](code& c) {
    c.wait(c.receive("x"), [](code& c) { c.idle({c.sleep(5000)}); });
  };
  teller t(program);
  t.several([&] { t.signal("x", ""), t.passes(3000); });
  const event& set = t.journal().back();
  REQUIRE(set.kind == event_kind::timer_set);
  auto again = t.replay(t.journal().size() - 1);
  const auto events = again->m().take_events();

  REQUIRE(events.size() == 1);
  CHECK(events[0].what.details.timer().due_us() == set.details.timer().due_us());
}

TEST_CASE("a timer that is never due does no harm") {
  const body program = [](code& c) { c.wait({c.receive("x"), c.sleep(INT64_MAX)}, [](code&) {}); };

  teller t(program);
  CHECK(t.m().stands().next_timer > begin);
  CHECK_FALSE(t.m().stands().waits.empty());
}

TEST_CASE("operations are named by their place in their branch") {
  const body program = [](code& c) {
    const slot a = c.step("first");
    const slot b = c.branch([](code& c) {
      const slot inner = c.branch([](code& c) { c.idle({c.step("deep"), c.step("deeper")}); });
      c.idle({c.step("inner"), inner});
    });
    c.wait_all({a, b, c.step("last")}, [](code&) {});
  };
  every_way(
      program,
      [](teller& t) {
        for (const char* op : {"3", "2.1.2", "1", "2.2", "2.1.1"}) t.completes(op);
      },
      R"(
          start 1 first attempt 1
          start 2.1.1 deep attempt 1
          start 2.1.2 deeper attempt 1
          start 2.2 inner attempt 1
          start 3 last attempt 1
          append 2 step_completed 3 last "ok"
          append 3 step_completed 2.1.2 deeper "ok"
          append 4 step_completed 1 first "ok"
          append 5 step_completed 2.2 inner "ok"
          append 6 step_completed 2.1.1 deep "ok"
          append 7 run_completed "done"
        )");
}

TEST_CASE("outcomes of one commit are delivered one at a time") {
  const body program = [](code& c) {
    auto order = std::make_shared<std::string>();
    const slot a = c.step("a"), b = c.step("b");
    c.wait({a, b}, [=](code& c) {
      *order += c.how(a) == settled::value && c.how(b) == settled::value ? "both" : "one";
      c.publish("seen", *order);
      c.idle({a, b});
    });
  };
  every_way(program, [](teller& t) { t.several([&] { t.completes("2"), t.completes("1"); }); }, R"(
          start 1 a attempt 1
          start 2 b attempt 1
          append 2 step_completed 2 b "ok"
          append 3 step_completed 1 a "ok"
          append 4 published 3 seen "one"
          append 5 run_completed "done"
        )");
}

TEST_CASE("a child's end settles it, and one of an unknown child is dropped") {
  const body program = [](code& c) {
    const slot child = c.child("bill");
    c.settle(child, [=](code& c) { c.result(c.value(child)); });
  };
  every_way(
      program,
      [](teller& t) {
        t.child_ends("9", run_state::completed, "who?");
        t.several([&] {
          t.child_ends("1", run_state::completed, "990");
          t.child_ends("1", run_state::completed, "990");
        });
      },
      R"(
          append 2 child_started 1 bill "in"
          start request bill
          drop message 1
          append 3 child_completed 1 bill "990"
          append 4 run_completed "990"
          drop message 3
        )");
}

TEST_CASE("now is the time of the last outcome, and chance the same at every replay") {
  const body program = [](code& c) {
    c.publish("dice", std::to_string(c.port().random(c.here())));
    c.wait(c.sleep(1000), [](code& c) {
      c.publish("dice", std::to_string(c.port().random(c.here()) % 1000));
      c.publish("now", std::to_string((c.port().now() - begin) / 1000));
      c.wait(c.branch([](code& c) {
        c.publish("inner", std::to_string(c.port().random(c.here()) % 1000));
      }),
             [](code&) {});
    });
  };
  every_way(program, [](teller& t) { t.passes(1500); }, R"(
          append 2 published 1 dice "15325088330511341281"
          append 3 timer_set 2 due=+1000ms
          append 4 timer_fired 2
          append 5 published 3 dice "544"
          append 6 published 4 now "1500"
          append 7 published 5.1 inner "611"
          append 8 run_completed "done"
        )");
}

TEST_CASE("the loser of a race is told to stop, and what it made anyway is recorded") {
  const body program = [](code& c) {
    const slot slow = c.step("slow"), fast = c.step("fast"), timer = c.sleep(60'000);
    c.wait({slow, fast, timer}, [=](code& c) { c.cancel(slow), c.cancel(timer); });
  };
  every_way(
      program, [](teller& t) { t.completes("2"), t.completes("1", "too late"); }, R"(
          append 2 timer_set 3 due=+60000ms
          start 1 slow attempt 1
          start 2 fast attempt 1
          append 3 step_completed 2 fast "ok"
          append 4 cancel_requested 1 slow
          stop 1
          remove timer 3
          append 5 step_completed 1 slow "too late"
          append 6 run_completed "done"
        )",
      true);
}

TEST_CASE("a branch that ends cancels what it didn't await, but for children left alone") {
  const body program = [](code& c) {
    const slot b = c.branch([](code& c) {
      (void)c.step("left"), (void)c.receive("never"), (void)c.sleep(1000);
      (void)c.child("told"), (void)c.child("free", {.close_policy = 2});
      c.wait(c.step("awaited"), [](code&) {});
    });
    c.wait(b, [](code& c) { c.wait(c.step("next"), [](code&) {}); });
  };
  every_way(
      program,
      [](teller& t) {
        t.completes("1.6");
        t.stopped("1.1");
        t.child_ends("1.4", run_state::cancelled, "asked to");
        t.completes("2");
      },
      R"(
          append 2 timer_set 1.3 due=+1000ms
          append 3 child_started 1.4 told "in"
          start request told
          append 4 child_started 1.5 free "in"
          start request free
          start 1.1 left attempt 1
          start 1.6 awaited attempt 1
          append 5 step_completed 1.6 awaited "ok"
          append 6 cancel_requested 1.1 left
          append 7 cancel_requested 1.4 told
          tell the child to stop
          start 2 next attempt 1
          stop 1.1
          remove timer 1.3
          append 8 step_cancelled 1.1 left
          append 9 child_failed 1.4 told why=asked to
          append 10 step_completed 2 next "ok"
          append 11 run_completed "done"
        )",
      true);
}

TEST_CASE("a branch that is dropped leaves nothing behind") {
  const body program = [](code& c) {
    const slot b = c.branch([](code& c) {
      c.idle({c.branch([](code& c) { c.idle({c.sleep(5000)}); }), c.receive("never")});
    });
    c.wait(c.sleep(1000), [b](code& c) { c.drop(b); });
  };
  every_way(program, [](teller& t) { t.passes(1000); }, R"(
          append 2 timer_set 1.1.1 due=+5000ms
          append 3 timer_set 2 due=+1000ms
          append 4 timer_fired 2
          append 5 run_completed "done"
          remove timer 1.1.1
        )");
}

TEST_CASE("dropping a branch that has ended ends what still unwinds in it") {
  const body program = [](code& c) {
    const slot b = c.branch([](code& c) {
      (void)c.branch([](code& c) { c.idle({c.step("slow")}); });
      c.wait(c.receive("go"), [](code&) {});
    });
    c.wait(c.sleep(1000), [b](code& c) { c.drop(b); });
  };
  every_way(
      program,
      [](teller& t) {
        t.signal("go", "");
        t.passes(1000);
        CHECK_FALSE(t.ended());
        t.stopped("1.1.1");
        CHECK(t.ended());
      },
      R"(
          append 2 timer_set 2 due=+1000ms
          start 1.1.1 slow attempt 1
          append 3 signal_received go ""
          append 4 cancel_requested 1.1.1 slow
          stop 1.1.1
          append 5 timer_fired 2
          append 6 step_cancelled 1.1.1 slow
          append 7 run_completed "done"
        )",
      true);
}
