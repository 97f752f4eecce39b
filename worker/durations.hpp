// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/time.hpp>

#include <optional>
#include <string>
#include <string_view>

/// Durations as people write them, on command lines and in tables.
namespace fermata::detail {

/// Reads "10s", "5min" (or "5m"), "500ms", "1.5h", "3d 4h", "1h30min" and "0". Units are ms, s, min,
/// m, h and d, from the largest to the smallest, each once; what is below a millisecond is rounded
/// up. Empty when it is anything else, is negative, or doesn't fit.
std::optional<duration> parse_duration(std::string_view text);

/// For messages: "a duration such as 10s, 5min, 500ms or 3d 4h".
inline constexpr std::string_view duration_example =
    "a duration such as 10s, 5min, 500ms or \"3d 4h\"";

/// Writes at most two units: "250ms", "1.2s", "59.9s", "5min 3s", "2h", "3d 4h". Cuts, never rounds
/// up. `parse_duration` reads it, but for the sign of a negative one.
std::string format_duration(duration span);

}  // namespace fermata::detail
