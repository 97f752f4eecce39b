// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Which part of an ended run's journal its retry begins with. Pure: README.md tells the rules.
namespace fermata::engine {

/// The state in which a child's chain has ended; nothing while it is open, or not known.
using child_look = std::function<std::optional<run_state>(const chain_id& child)>;

/// A child that is in flight in the copy.
struct kept_child {
  chain_id chain;
  std::string operation;
  std::string name;
  position_t started = 0;
};

struct copy_plan {
  position_t before = 0;             // the cut: events before it are copied …
  std::vector<position_t> kept;      // … but not all notes; then later outcomes. Ascending.
  std::vector<kept_child> children;  // whose end isn't among those kept
};

/// `history` is whole and ends with an end event.
copy_plan plan_copy(const std::vector<event>& history, const child_look& look);

/// Whether a compensation has run or begun: then only starting over is left.
bool has_compensated(const std::vector<event>& history);

}  // namespace fermata::engine
