// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <optional>
#include <string>

namespace fermata::cli {

/// Of a flag; empty: for ever. Throws FER-4001.
std::optional<duration> time_to_wait(const std::string& text);

/// Waits for the end of the run's chain and prints the result. Says so on standard error when the run
/// stands still until somebody acts. Throws what the run ended with, or FER-1103.
int print_result(session& s, const std::string& run, const std::optional<duration>& limit,
                 bool reveal);

}  // namespace fermata::cli
