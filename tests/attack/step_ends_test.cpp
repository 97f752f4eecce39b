// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/step_ends.hpp"

#include <doctest/doctest.h>

using attack::step_ends;
using namespace fermata::engine;
using verdict = step_ends::verdict;

namespace {

const run_id run = run_id::of(ulid::from_view(std::string(16, 'r')));

std::string key(const std::string& step) { return run.text() + "/" + step; }

event outcome(const std::string& operation, const std::string& name, int attempt, epoch_t epoch) {
  event e{.kind = event_kind::step_completed, .epoch = epoch, .at = 1'000'000};
  e.operation = operation;
  e.name = name;
  e.details.mutable_step()->set_attempts(attempt);
  return e;
}

/// The outcome of "1/pay" is of attempt 2, in epoch 7.
step_ends paid() {
  event start{.kind = event_kind::run_started};
  start.details.mutable_started()->set_origin(std::string(16, 'r'));
  step_ends ends;
  ends.add(run, start);
  ends.add(run, outcome("1", "pay", 2, 7));
  return ends;
}

}  // namespace

TEST_CASE("an attempt before the outcome, or whose outcome it is, is fine") {
  step_ends ends = paid();
  CHECK(ends.judge({key("1/pay"), 1, 500'000, 6}) == verdict::fine);
  CHECK(ends.judge({key("1/pay"), 1, 900'000, 7}) == verdict::fine);
  CHECK(ends.judge({key("1/pay"), 2, 1'009'000, 7}) == verdict::fine);
  CHECK(ends.judge({key("2/ship"), 1, 500'000, 7}) == verdict::open);
}

TEST_CASE("one that begins after the outcome is a repeated one") {
  step_ends ends = paid();
  CHECK(ends.judge({key("1/pay"), 2, 900'000, 7}) == verdict::fine);
  CHECK(ends.judge({key("1/pay"), 2, 1'009'000, 7}) == verdict::repeated);
  CHECK(ends.late_us({key("1/pay"), 2, 1'009'000, 7}) == 9'000);
  CHECK(ends.judge({key("1/pay"), 3, 1'009'000, 8}) == verdict::repeated);
}

TEST_CASE("one of an owner of before is told apart: its thread may have been stopped") {
  step_ends ends = paid();
  CHECK(ends.judge({key("1/pay"), 2, 900'000, 7}) == verdict::fine);
  CHECK(ends.judge({key("1/pay"), 2, 1'009'000, 6}) == verdict::stale);
  CHECK(ends.judge({key("1/pay"), 1, 1'009'000, 9}) ==
        verdict::stale);  // a task's epoch is another
  CHECK(step_ends::stale_at_most(0) == 0);
}
