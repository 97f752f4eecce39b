// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/journal.hpp>

#include <cstdint>
#include <string>

namespace programs {

inline std::string key_of(std::int64_t seed) { return "p" + std::to_string(seed); }

/// Compares what the programs of these seeds did with what was predicted, and verifies the journal.
/// `freezes`: how many
/// workers were stopped past their lease. Prints the counts last; 0 when all is well.
int check(const fermata::journal& where, std::int64_t first, std::int64_t count,
          const std::string& log, int freezes);

}  // namespace programs
