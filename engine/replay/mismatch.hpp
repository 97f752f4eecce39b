// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <string>

namespace fermata::engine {

/// The first difference between what the journal has and what the code asks. Stops the run with
/// attention `blocked`; nothing is appended, nothing fails.
struct mismatch {
  position_t position = 0;  // of the recorded event
  std::string operation;
  std::string recorded;  // "step 'charge_card'"; empty: nothing is recorded there
  std::string recorded_place;
  std::string asked;  // "step 'charge'"; empty: the code asks for nothing
  std::string asked_place;
  std::string differs;  // "kind", "name", "input", "order", "result"

  bool empty() const noexcept { return differs.empty(); }
  /// One sentence, for logs and the run's row. Code FER-1203 (FER-1201 where a value can't be read).
  std::string text(const run_id& run) const;
};

/// "step 'charge_card'", "timer of 5 s" …: what an event or request is about.
std::string describe(operation_kind kind, std::string_view name);
std::string describe(event_kind kind, std::string_view name);
std::string describe(const event& what);

}  // namespace fermata::engine
