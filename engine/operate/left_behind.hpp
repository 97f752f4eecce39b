// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <string>
#include <vector>

namespace fermata::engine {

/// What a run leaves behind when it is ended from outside, as far as its journal tells.
struct left_behind {
  std::vector<std::string> abandoned;      // operations in flight: those with a note, and children
  std::vector<std::string> compensations;  // registered and not run, as operation/name
};

/// Folds the journal a page at a time. Damaged events are passed over: a run whose journal can't be
/// read must still be possible to end.
absl::StatusOr<left_behind> fold_left_behind(const store& where, const run_id& run);

}  // namespace fermata::engine
