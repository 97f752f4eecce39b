// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Text as a terminal shows it. All of it is UTF-8.
namespace fermata::cli {

/// Columns that it takes: a wide character takes two, a combining one none.
std::size_t width_of(std::string_view text);

/// At most `columns` wide, with … where something was cut off.
std::string truncated(std::string_view text, std::size_t columns);

/// Control characters written as \n, \t, \u001b: what a user stored never moves the cursor.
std::string clean(std::string_view text);
/// As above, and lines stay lines: what the engine wrote about a run.
std::string clean_lines(std::string_view text);
/// Cut at each \n; one that ends the text begins no line.
std::vector<std::string> lines_in(std::string_view text);

/// "0 B", "1.2 KiB", "3.0 GiB".
std::string bytes_text(std::int64_t bytes);

/// "1 run", "12 runs".
std::string count_of(std::int64_t n, std::string_view one, std::string_view many);
std::string count_of(std::int64_t n, std::string_view one);

/// Those of `known` that somebody may have meant with `typed`, the nearest first; three at most.
std::vector<std::string> near_names(std::string_view typed, const std::vector<std::string>& known);

/// ", did you mean 'a' or 'b'"; empty when there is none.
std::string did_you_mean(const std::vector<std::string>& near);

std::string join(const std::vector<std::string>& parts, std::string_view between);

}  // namespace fermata::cli
