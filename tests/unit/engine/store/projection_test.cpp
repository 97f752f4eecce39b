// SPDX-License-Identifier: Apache-2.0
#include "engine/store/projection.hpp"

#include <doctest/doctest.h>

using namespace fermata::engine;

namespace {

const run_id run = run_id::of(ulid{{1, 2, 3}});

event made(event_kind kind, std::string operation = "") {
  event what;
  what.kind = kind;
  what.operation = std::move(operation);
  what.position = 7;
  what.at = 1'000;
  return what;
}

event set_timer(std::string operation, time_us due, int purpose = 0) {
  event what = made(event_kind::timer_set, std::move(operation));
  what.details.mutable_timer()->set_due_us(due);
  what.details.mutable_timer()->set_purpose(purpose);
  return what;
}

run_changes folded(const std::vector<event>& events) {
  run_changes changes;
  for (const event& one : events) fold_changes(run, one, changes);
  return changes;
}

}  // namespace

TEST_CASE("a timer that is set and fires in one append leaves only its removal") {
  const run_changes changes = folded({set_timer("1", 50), made(event_kind::timer_fired, "1")});

  CHECK(changes.timers_set.empty());
  CHECK((changes.timers_removed == std::vector<std::string>{"1"}));
}

TEST_CASE("a timer that fires and is set again is set") {
  const run_changes changes = folded({made(event_kind::timer_fired, "1"), set_timer("1", 50, 1)});

  REQUIRE(changes.timers_set.size() == 1);
  CHECK(changes.timers_set[0].due == 50);
  CHECK(changes.timers_set[0].purpose == timer_purpose::patience);
  CHECK(changes.timers_set[0].run == run);
  CHECK(changes.timers_removed.empty());
}

TEST_CASE("a step that succeeds at once deletes no timer") {
  event done = made(event_kind::step_completed, "1");
  done.details.mutable_step()->set_attempts(1);
  CHECK(folded({done}).timers_removed.empty());

  done.details.mutable_step()->set_attempts(2);
  CHECK((folded({done}).timers_removed == std::vector<std::string>{"1"}));
}

TEST_CASE("an attempt that is tried again has a retry timer") {
  event failed = made(event_kind::attempt_failed, "1");
  CHECK(folded({failed}).timers_set.empty());

  failed.details.mutable_attempt()->set_next_due_us(99);
  const run_changes changes = folded({failed});
  REQUIRE(changes.timers_set.size() == 1);
  CHECK(changes.timers_set[0].purpose == timer_purpose::retry);
  CHECK(changes.timers_set[0].due == 99);
}

TEST_CASE("an end removes every timer, also those of its own append") {
  event end = made(event_kind::run_failed);
  end.details.mutable_ended()->mutable_why()->set_type("timed_out");
  const run_changes changes = folded({set_timer("1", 50), end});

  CHECK(changes.all_timers_removed);
  CHECK(changes.timers_set.empty());
  CHECK(changes.state == run_state::failed);
  CHECK(changes.ended == 1'000);
  CHECK(changes.error == "timed_out");
}

TEST_CASE("the deadline's cancel removes the deadline, another cancel doesn't") {
  event cancel = made(event_kind::cancel_received);
  cancel.details.mutable_cancel()->set_by("client");
  CHECK(folded({cancel}).timers_removed.empty());

  cancel.details.mutable_cancel()->set_by("deadline");
  CHECK((folded({cancel}).timers_removed == std::vector<std::string>{""}));
}

TEST_CASE("a start becomes the row that its event says") {
  start_request request;
  request.run = run;
  request.chain = run;
  request.workflow = "pay";
  request.key = "order-42";
  request.priority = 4;
  request.deadline = 5'000;
  request.tags = {{"customer", "acme"}};
  request.seed = std::string(16, 's');
  const event start = make_start_event(request, 2'000, 1, "build-1");
  const run_row row = row_of_start(request, start);
  const run_changes changes = folded({start});

  CHECK(start.position == 1);
  CHECK(start.details.started().chain() == run.view());
  CHECK(start.details.started().parent().empty());
  CHECK(row.started == 2'000);
  CHECK(row.epoch == 1);
  CHECK(row.build == "build-1");
  CHECK(row.state == run_state::running);
  CHECK(changes.state == run_state::running);
  CHECK((changes.tags == row.tags));
  REQUIRE(changes.timers_set.size() == 1);
  CHECK(changes.timers_set[0].purpose == timer_purpose::deadline);
  CHECK(changes.timers_set[0].operation.empty());
}

TEST_CASE("merged changes are those of the whole: later wins") {
  const std::vector<event> first{set_timer("1", 50), set_timer("2", 60),
                                 made(event_kind::timer_fired, "3")};
  const std::vector<event> later{made(event_kind::timer_fired, "1"), set_timer("3", 70),
                                 made(event_kind::failing)};
  run_changes merged = folded(first);
  merge_changes(merged, folded(later));

  REQUIRE(merged.timers_set.size() == 2);
  CHECK(merged.timers_set[0].operation == "2");
  CHECK(merged.timers_set[1].operation == "3");
  CHECK((merged.timers_removed == std::vector<std::string>{"1"}));
  CHECK(merged.state == run_state::compensating);
}
