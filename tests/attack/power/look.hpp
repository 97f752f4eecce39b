// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <absl/status/statusor.h>

#include <string>

namespace fermata::attack::power {

/// What the reading methods of a store answer, as text; the first error ends it.
absl::StatusOr<std::string> look_at(const engine::store& journal);

}  // namespace fermata::attack::power
