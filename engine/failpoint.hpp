// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace fermata::engine {

/// A named place where a test may destroy: FERMATA_FAILPOINT="sqlite.in_transaction=stop@3", several
/// with commas, does so at the third hit.
///
///   kill, stop, exit   the process dies, is frozen, ends
///   sleep              this thread rests for a second
///   error              the answer is true: who asked fails as if the journal had, if it can
///
/// FERMATA_FAILPOINT_HITS=FILE gets a line for each hit of each place. Places lie before and after each
/// commit and what else of a worker others can see, never on a path that is taken per event;
/// tests/attack/README.md lists them. In release builds the function is empty.
/// Threads: any.
bool failpoint(std::string_view name);

/// Whether any is asked for: else what only finds out their names needn't.
bool has_failpoints();

/// A bound of `limits` that a test has made another: FERMATA_BOUND="runaway_code_ms=2000"; `usual` in
/// release builds.
/// Threads: any.
std::int64_t bound(std::string_view name, std::int64_t usual);

}  // namespace fermata::engine
