// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"
#include "engine/store/postgres/low_water.hpp"
#include "engine/store/postgres/server.hpp"

namespace fermata::engine::postgres {

/// What a claim would find, by one statement that locks and writes nothing: mostly nothing. It looks
/// from the very beginning of each queue, and tells claims where to begin.
struct prospect {
  bool own_marks = false;
  bool own_timers = false;
  bool timers = false;  // of runs that nobody has, as the following
  bool marks = false;
  bool requests = false;
  bool tasks = false;
  bool more_ready = false;  // that the worker has no place for
  time_us next_timer = 0;
  time_us next_not_before = 0;
  std::vector<task_name> stopped;

  bool anything() const noexcept {
    return own_marks || own_timers || timers || marks || requests || tasks;
  }
};

/// For the claim of this batch.
prospect look_ahead(server& at, const batch& for_claim, claim_places& places);

}  // namespace fermata::engine::postgres
