// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace fermata::engine {

/// A named place where a test may kill, freeze or end the process:
/// FERMATA_FAILPOINT="sqlite.in_transaction=stop@3" (kill, stop, exit; at the third hit). Named
/// places lie before and after each commit, never on a path that is taken per event; in release
/// builds the function is empty.
/// Threads: any.
void failpoint(std::string_view name);

/// A bound of `limits` that a test has made another: FERMATA_BOUND="runaway_code_ms=2000"; `usual` in
/// release builds.
/// Threads: any.
std::int64_t bound(std::string_view name, std::int64_t usual);

}  // namespace fermata::engine
