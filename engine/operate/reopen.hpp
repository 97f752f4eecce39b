// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/operate/operate.hpp"

namespace fermata::engine {

/// `retry` of an open run: attention and crash counts are cleared. Errors: FER-1308 when it is
/// healthy, paused or hasn't begun.
absl::Status reopen(store& where, const run_id& run, const act& by);

}  // namespace fermata::engine
