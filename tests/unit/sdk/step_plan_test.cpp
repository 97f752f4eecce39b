// SPDX-License-Identifier: Apache-2.0
#include "src/convert.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using fermata::detail::plan_of;

TEST_CASE("a plan takes every option that is given, and the rest from what lies below") {
  const fermata::engine::step_plan worker =
      plan_of({.timeout = 1s,
               .give_up_after = 2s,
               .heartbeat_timeout = 3s,
               .retry = {.max_attempts = 4, .first_delay = 5s, .backoff = 6.0, .max_delay = 7s},
               .queue = "gpu",
               .priority = 8,
               .isolation = fermata::isolation::own_process,
               .on_crash = fermata::on_crash::ask});
  const fermata::engine::step_plan call = plan_of({.timeout = 9s}, worker);

  CHECK(call.timeout_ms == 9'000);
  CHECK(call.give_up_after_ms == 2'000);
  CHECK(call.heartbeat_timeout_ms == 3'000);
  CHECK(call.max_attempts == 4);
  CHECK(call.first_delay_ms == 5'000);
  CHECK(call.backoff == 6.0);
  CHECK(call.max_delay_ms == 7'000);
  CHECK(call.queue == "gpu");
  CHECK(call.priority == 8);
  CHECK(call.isolation == 1);
  CHECK(call.on_crash == 2);
}

TEST_CASE("a step is tried at least once") {
  CHECK(plan_of({.retry = {.max_attempts = 0}}).max_attempts == 1);
}
