// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <string>

namespace fermata::cli {

/// Waits for the end of the run's chain and prints the result; `limit` is a duration, empty: for
/// ever. Throws what the run ended with, or FER-1103.
int print_result(session& s, const std::string& run, const std::string& limit, bool reveal);

}  // namespace fermata::cli
