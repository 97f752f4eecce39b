// SPDX-License-Identifier: Apache-2.0
// When the code has changed under a running workflow, and when it may.
#include "story.hpp"

#include <doctest/doctest.h>

using namespace fermata::engine;
using namespace fermata::engine::story;

namespace {

/// The journal of `old_code`, met by `new_code`.
std::string meets(const body& old_code, const std::function<void(teller&)>& world,
                  const body& new_code) {
  teller t(old_code);
  world(t);
  t.code_changes(new_code);
  auto again = t.replay(t.journal().size());
  if (again->m().difference().empty()) return "";
  std::string text = again->m().difference().text({});
  return text.substr(text.find(", ") + 2, text.find("; use") - text.find(", ") - 2);
}

body one_step(std::string name, std::string place, payload input = text("in"),
              operation_kind kind = operation_kind::step) {
  return [=](code& c) {
    const slot s = c.step(name, {.kind = kind, .place = place, .input = input});
    c.wait(s, [](code& c) { c.idle({c.receive("more")}); });
  };
}
const auto completed = [](teller& t) { t.completes("1"); };

}  // namespace

TEST_CASE("the n-th command must equal the n-th that the code asks, whatever lies between") {
  const body program = [](code& c) {
    const slot a = c.step("a"), b = c.step("b");
    c.publish("p", "1");
    c.wait(a, [=](code& c) {
      c.publish("p", "2");
      c.wait(b, [](code& c) { c.idle({c.sleep(1000)}); });
    });
  };
  every_way(
      program,
      [](teller& t) {
        t.several([&] { t.completes("1"), t.completes("2"); });
        t.passes(1000);
      },
      R"(
          append 2 published 3 p "1"
          start 1 a attempt 1
          start 2 b attempt 1
          append 3 step_completed 1 a "ok"
          append 4 step_completed 2 b "ok"
          append 5 published 4 p "2"
          append 6 timer_set 5 due=+1000ms
          append 7 timer_fired 5
          append 8 run_completed "done"
        )");
}

TEST_CASE("another kind of operation blocks") {
  CHECK(meets(one_step("charge", "a.cpp:1"), completed,
              one_step("charge", "b.cpp:2", text("in"), operation_kind::local)) ==
        "position 2, operation 1: the journal has step 'charge' (a.cpp:1), the code asks local "
        "step 'charge' (b.cpp:2)");
}

TEST_CASE("another name blocks, and the report has both places") {
  CHECK(meets(one_step("charge_card", "orders.cpp:40"), completed,
              one_step("charge", "orders.cpp:41")) ==
        "position 2, operation 1: the journal has step 'charge_card' (orders.cpp:40), the code "
        "asks step 'charge' (orders.cpp:41)");
}

TEST_CASE("a mismatch is told in one sentence with run, position, both sides and what to do") {
  teller t(one_step("charge_card", "orders.cpp:40"));
  t.completes("1");
  t.code_changes(one_step("charge", "orders.cpp:41"));
  auto again = t.replay(2);

  CHECK(
      again->m().difference().text(again->m().origin()) ==
      "run " + again->m().origin().text() +
          ", position 2, operation 1: the journal has step 'charge_card' (orders.cpp:40), the code "
          "asks step 'charge' (orders.cpp:41); use ctx.patched() to change running workflows "
          "[FER-1203]");
}

TEST_CASE("another input blocks") {
  CHECK(meets(one_step("charge", "a.cpp:1", text("1")), completed,
              one_step("charge", "a.cpp:1", text("2"))) ==
        "position 2, operation 1: step 'charge' (a.cpp:1) is asked with another input than the "
        "journal has (a.cpp:1)");
}

TEST_CASE("another type of input alone is no mismatch") {
  CHECK(meets(one_step("charge", "a.cpp:1", text("1", 1)), completed,
              one_step("charge", "a.cpp:1", text("2", 2))) == "");
}

TEST_CASE("inputs without a canonical form aren't compared") {
  payload loose = text("2");
  loose.canonical = false;
  CHECK(meets(one_step("charge", "a.cpp:1", text("1")), completed,
              one_step("charge", "a.cpp:1", loose)) == "");
}

TEST_CASE("commands in another order block") {
  const auto order = [](bool swapped) -> body {
    return [=](code& c) {
      swapped ? c.publish("b", "1") : c.publish("a", "1");
      swapped ? c.publish("a", "1") : c.publish("b", "1");
      c.idle({c.receive("more")});
    };
  };
  CHECK(meets(
            order(false), [](teller&) {}, order(true)) ==
        "position 2, operation 1: the journal has published value 'a' (code:a), the code asks "
        "published value 'b' (code:b)");
}

TEST_CASE("a published value that changed blocks") {
  const auto says = [](std::string what) -> body {
    return [=](code& c) { c.publish("a", what), c.idle({c.receive("more")}); };
  };
  CHECK(meets(
            says("1"), [](teller&) {}, says("2")) ==
        "position 2, operation 1: published value 'a' (code:a) is asked with another input than "
        "the journal has (code:a)");
}

TEST_CASE("a command that the code no longer asks for blocks") {
  const body program = [](code& c) { c.idle({c.sleep(1000)}); };
  CHECK(meets(
            program, [](teller&) {}, [](code& c) { c.idle({c.receive("more")}); }) ==
        "position 2, operation 1: the journal has timer (code:), the code doesn't ask for it");
}

TEST_CASE("an operation that is new in the middle of the history blocks") {
  const body before = [](code& c) {
    c.wait(c.step("a"), [](code& c) { c.wait(c.step("b"), [](code&) {}); });
  };
  const body after = [](code& c) {
    c.wait(c.step("a"), [](code& c) { c.wait(c.step("check"), [](code&) {}); });
  };
  CHECK(meets(
            before, [](teller& t) { t.completes("1"), t.completes("2"); }, after) ==
        "position 3, operation 2: the journal has step 'b' (code:b), the code asks step 'check' "
        "(code:check)");
}

TEST_CASE("an outcome whose operation isn't asked for blocks") {
  const body before = [](code& c) { c.idle({c.step("a"), c.step("b")}); };
  const body after = [](code& c) { c.idle({c.step("a")}); };
  CHECK(meets(
            before, [](teller& t) { t.completes("2"); }, after) ==
        "position 2, operation 2: the journal has step 'b' (code:b), the code doesn't ask for it");
}

TEST_CASE("another result, or another way to end, blocks") {
  const body good = [](code& c) { c.result("1"); };
  const body other = [](code& c) { c.result("2"); };
  const body fails = [](code& c) { c.fail("no"); };
  const body waits = [](code& c) { c.idle({c.receive("x")}); };
  const auto none = [](teller&) {};

  CHECK(meets(good, none, other) ==
        "position 2, operation –: the journal has the end with a result, the code has another "
        "result");
  CHECK(meets(good, none, fails) ==
        "position 2, operation –: the journal has the end with a result, the code has another "
        "result");
  CHECK(
      meets(fails, none, good) ==
      "position 2, operation –: the journal has the end by a failure, the code has another result");
  CHECK(meets(fails, none, waits) ==
        "position 2, operation –: the journal has the end by a failure, the code has more to do");
  CHECK(meets(good, none, good) == "");
}

TEST_CASE("a blocked machine produces and starts nothing more") {
  teller t(one_step("a", "x:1"));
  t.code_changes([](code& c) { c.idle({c.step("b")}); });
  t.completes("1");
  auto again = t.replay(t.journal().size());

  CHECK(again->m().stands().blocked);
  CHECK(again->m().take_starts().empty());
  CHECK_FALSE(again->m().has_events());
}

TEST_CASE("queue, isolation, retries and on_crash may change under a running workflow") {
  const auto plan = [](step_plan p) -> body {
    return [=](code& c) { c.idle({c.step("a", {.plan = p}), c.receive("more")}); };
  };
  CHECK(meets(plan({}), completed, plan({.max_attempts = 2, .queue = "gpu", .on_crash = 1})) == "");
}

TEST_CASE(
    "new code asks patched at the frontier: a marker is appended, and what follows waits for it") {
  const body program = [](code& c) {
    const bool fast = c.patched("fast");
    c.wait(c.step(fast ? "fast" : "slow"),
           [](code& c) { c.result(c.patched("fast") ? "fast" : "slow"); });
  };
  every_way(program, [](teller& t) { t.completes("1"); }, R"(
          append 2 marker fast
          start 1 fast attempt 1
          append 3 step_completed 1 fast "ok"
          append 4 run_completed "fast"
        )");
}

TEST_CASE("patched is false where the old code went past, for the whole run") {
  const body before = [](code& c) {
    c.wait(c.step("slow"), [](code& c) { c.wait(c.step("again"), [](code&) {}); });
  };
  const body after = [](code& c) {
    c.wait(c.step(c.patched("fast") ? "fast" : "slow"),
           [](code& c) { c.wait(c.step(c.patched("fast") ? "other" : "again"), [](code&) {}); });
  };
  for (const bool evict : {false, true}) {
    teller t(before, evict);
    t.completes("1", "1");
    t.code_changes(after);
    t.takeover();
    t.completes("2");
    CHECK(t.told() == plain(R"(
          1 run_started flow
          2 step_completed 1 slow "1"
          3 step_completed 2 again "ok"
          4 run_completed "done"
        )"));
  }
}

TEST_CASE("patched is true for a run of the old code that hasn't come to it yet") {
  const body before = [](code& c) {
    c.wait(c.step("a"), [](code& c) { c.wait(c.step("b"), [](code&) {}); });
  };
  const body after = [](code& c) {
    c.wait(c.step("a"),
           [](code& c) { c.wait(c.step(c.patched("new") ? "c" : "b"), [](code&) {}); });
  };
  for (const bool evict : {false, true}) {
    teller t(before, evict);
    t.code_changes(after);
    t.takeover();
    t.completes("1");
    t.completes("2");
    CHECK(t.told() == plain(R"(
          1 run_started flow
          2 step_completed 1 a "ok"
          3 marker new
          4 step_completed 2 c "ok"
          5 run_completed "done"
        )"));
  }
}

TEST_CASE("old code that meets a marker it doesn't know is blocked") {
  const body after = [](code& c) {
    (void)c.patched("new");
    c.idle({c.step("a")});
  };
  CHECK(
      meets(
          after, [](teller&) {}, [](code& c) { c.idle({c.step("a")}); }) ==
      "position 2, operation –: the journal has patch 'new' (code:1), the code doesn't ask for it");
}

TEST_CASE("a value that can't be read blocks with its own code") {
  teller t([](code& c) { c.idle({c.step("a")}); });
  t.m().undecodable("the result of step 'a' can't be read: no number", "a.cpp:3");
  const std::string text = t.m().difference().text({});
  CHECK(text.find("after position 1: the result of step 'a' can't be read: no number (a.cpp:3)") !=
        std::string::npos);
}

TEST_CASE("more operations in flight than the limit fail one by one") {
  const body program = [](code& c) {
    slot last = 0;
    for (int i = 0; i < 10'001; ++i) last = c.receive("x");
    const slot free = c.publish("p", "still works");
    const bool works = c.how(free) == settled::value;
    c.settle(last, [=](code& c) {
      c.fail(c.port().look(last).why->code() + (works ? ", published" : ""));
    });
  };
  teller t(program);
  CHECK(t.journal().back().details.ended().why().message() == "FER-1403, published");
}

TEST_CASE("an event isn't older than the note of an operator before it") {
  teller t([](code& c) { c.idle({c.receive("go")}); });
  t.passes(5'000);
  t.act("retry");
  t.code_changes([](code& c) {
    c.publish("p", "1");
    c.idle({c.receive("go")});
  });

  const auto again = t.replay(t.journal().size());
  const std::vector<produced> made = again->m().take_events();
  REQUIRE(made.size() == 1);
  CHECK(made[0].what.at >= t.journal().back().at);
  CHECK(t.journal().back().at > t.journal().front().at);
}
