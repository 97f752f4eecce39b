// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace fermata::engine {

/// Whether the bug of this name is planted here, by FERMATA_PLANT=NAME; never in release builds. It
/// tests the tests: docs/planted_bugs.md says which of them finds it.
/// Threads: any.
#ifdef FERMATA_COVERAGE
constexpr bool planted(std::string_view) { return false; }  // no branch of ours
#else
bool planted(std::string_view name);
#endif

}  // namespace fermata::engine
