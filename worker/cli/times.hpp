// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Times and spans as people and pipes read them. All are microseconds.
namespace fermata::cli {

enum class time_style { relative, iso, raw };

/// "3m ago", "in 5m", "just now"; "2026-11-22T15:55:29.123Z"; "1795362929123456". Empty for 0.
std::string time_text(engine::time_us at, engine::time_us now, time_style how);
std::string iso_text(engine::time_us at);

/// "0.4ms", "250ms", "1.2s", "5min 3s", "3d 4h".
std::string span_text(std::int64_t us);
/// One unit: "3m", "4h", "12d".
std::string coarse_text(std::int64_t us);

/// "1h" (ago, counted from now), or an instant such as 2026-11-22T15:55:29Z. Throws FER-4001, naming
/// `flag`.
engine::time_us read_instant(std::string_view text, std::string_view flag, engine::time_us now,
                             bool durations_are_past);
/// Milliseconds. Throws FER-4001.
std::int64_t read_duration_ms(std::string_view text, std::string_view flag);

}  // namespace fermata::cli
