// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"

#include "engine/operate/copy.hpp"

#include <doctest/doctest.h>

namespace {

using namespace fermata::engine;
using namespace fermata::engine::testing;

/// Positions from 1, a second apart; steps began half a second before.
std::vector<event> journal(std::vector<event> events) {
  events.insert(events.begin(), event{.kind = event_kind::run_started});
  for (std::size_t i = 0; i < events.size(); ++i) {
    event& what = events[i];
    what.position = i + 1;
    what.at = static_cast<time_us>(i + 1) * 1'000'000;
    if (what.details.has_step() && what.details.step().started_us() == 0) {
      what.details.mutable_step()->set_started_us(what.at - 500'000);
    }
  }
  return events;
}

event began(event outcome, time_us at) {
  outcome.details.mutable_step()->set_started_us(at);
  return outcome;
}

std::vector<position_t> kept(const std::vector<event>& history) {
  return plan_copy(history, [](const chain_id&) { return std::nullopt; }).kept;
}

using positions = std::vector<position_t>;
const fermata::pb::failure down = failure("carrier_down", "no pickup today");
const run_id kid = run_id::of(ulid::make(1'000'000, {1}));

TEST_CASE("everything before the failed outcome is copied, and nothing of the ending") {
  const auto history = journal(
      {step_done("1", "charge"), marker("faster"), step_failed("2", "ship", down), failed(down)});

  CHECK(kept(history) == positions{1, 2, 3});
}

TEST_CASE("the failed outcome is the last whose failure is the run's") {
  const auto history = journal({step_failed("1", "ship", down), step_failed("2", "ship", down),
                                step_failed("3", "tidy", failure("other", "x")), failed(down)});

  CHECK(kept(history) == positions{1, 2});
}

TEST_CASE("when the code itself threw, everything before failing is copied") {
  const auto history = journal({step_done("1", "charge"), compensation("2", "refund"),
                                failing(failure("logic", "no such tariff")),
                                failed(failure("logic", "no such tariff"))});

  CHECK(kept(history) == positions{1, 2, 3});
}

TEST_CASE("when the code itself threw and nothing was registered, all but the end is copied") {
  const auto history = journal({step_done("1", "charge"), failed(failure("logic", "x"))});

  CHECK(kept(history) == positions{1, 2});
}

TEST_CASE("later good outcomes of operations in flight are copied, in order") {
  const auto history = journal({timer_set("1", 2'000'000), step_failed("2", "ship", down),
                                began(step_done("3", "label"), 1'500'000), timer_fired("1"),
                                began(step_failed("4", "call", failure("busy", "")), 1'500'000),
                                step_cancelled("5", "mail"), failed(down)});

  CHECK(kept(history) == positions{1, 2, 4, 5});
}

TEST_CASE("of like failures awaited together the first is the failed outcome") {
  const auto together = journal({step_failed("1", "ship", down), step_done("2", "label"),
                                 began(step_failed("3", "ship", down), 1'500'000), failed(down)});
  const auto in_turn = journal({step_failed("1", "ship", down),
                                began(step_failed("2", "ship", down), 2'500'000), failed(down)});

  CHECK(kept(together) == positions{1});
  CHECK(kept(in_turn) == positions{1, 2});
}

TEST_CASE("what was asked behind the failed outcome is asked anew") {
  const auto history =
      journal({step_failed("1", "ship", down), began(step_done("2", "note"), 2'500'000),
               timer_set("3", 5'000'000), timer_fired("3"), failed(down)});

  CHECK(kept(history) == positions{1});
}

TEST_CASE("a step that a later number of its branch proves to be in flight is copied") {
  const auto history = journal({step_done("2.2", "quick"), step_failed("1", "ship", down),
                                began(step_done("2.1", "slow"), 9'000'000), failed(down)});

  CHECK(kept(history) == positions{1, 2, 4});
}

TEST_CASE("signals that came after the failed outcome aren't lost") {
  const auto history = journal({step_failed("1", "ship", down),
                                signal_received("hurry", message_id::of(kid)), failed(down)});

  CHECK(kept(history) == positions{1, 3});
}

TEST_CASE("attempts of what is asked anew aren't counted") {
  const auto history = journal({attempt_failed("2", "ship", 1), attempt_failed("3", "mail", 1),
                                step_failed("2", "ship", down, 2), failed(down)});

  CHECK(kept(history) == positions{1, 3});
}

TEST_CASE("of a cancelled run everything before the cancel is copied") {
  const auto history = journal(
      {step_done("1", "charge"), cancel_received(), began(step_done("2", "ship"), 2'500'000),
       step_cancelled("3", "mail"), failing(failure("cancelled", ""), true), cancelled()});

  CHECK(kept(history) == positions{1, 2, 4});
}

TEST_CASE("of a terminated run everything before the end is copied") {
  event end = failed(failure("terminated", "why"));
  end.kind = event_kind::run_terminated;
  const auto history = journal({step_done("1", "charge"), attempt_failed("2", "ship", 1), end});

  CHECK(kept(history) == positions{1, 2, 3});
}

TEST_CASE("a child that failed is started anew: its end comes only once") {
  const auto history =
      journal({step_done("1", "charge"), child_started("2", "bill", kid), step_done("3", "label"),
               child_failed("2", "bill", kid, down), failed(down)});

  CHECK(kept(history) == positions{1, 2});
}

TEST_CASE("a child in flight that was ended with its parent is started anew") {
  const auto history =
      journal({child_started("1", "bill", kid), step_failed("2", "ship", down), failed(down)});
  const auto look = [](run_state state) {
    return [state](const chain_id&) { return std::optional(state); };
  };

  CHECK(plan_copy(history, look(run_state::terminated)).kept == positions{1});
  CHECK(plan_copy(history, look(run_state::completed)).kept == positions{1, 2});
  CHECK(plan_copy(history, look(run_state::completed)).children.size() == 1);
  CHECK(kept(history) == positions{1, 2});
}

TEST_CASE("a compensation that has run, or begun, is seen") {
  const auto before = journal({compensation("1", "refund"), failing(down), failed(down)});
  const auto run = journal(
      {compensation("1", "refund"), failing(down), step_done("c.1", "refund"), failed(down)});
  const auto begun = journal({compensation("1", "refund"), failing(down),
                              attempt_failed("c.1", "refund", 1), failed(down)});

  CHECK_FALSE(has_compensated(before));
  CHECK(has_compensated(run));
  CHECK(has_compensated(begun));
}

}  // namespace
