// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <string>
#include <string_view>
#include <vector>

/// How runs are named on the command line: by key first, then by id or any prefix of one that fits
/// one run only, with or without run_. `workflow/KEY` where a key fits several workflows.
namespace fermata::cli {

/// Throws FER-1302 (with a suggestion), FER-1306 (with those that fit).
engine::run_row find(session& s, std::string_view name);

/// All that the arguments name; `-` stands for lines of standard input.
std::vector<engine::run_row> find_all(session& s, const std::vector<std::string>& names);

/// Counts what a bulk command would change and asks, unless it is one run or --yes was said. False:
/// nothing is to be done.
bool agreed(session& s, std::string_view verb, const std::vector<engine::run_row>& runs);

/// The shortest lengths of ids, prefix included, that tell these runs apart.
std::size_t telling_length(const std::vector<engine::run_row>& runs);

}  // namespace fermata::cli
