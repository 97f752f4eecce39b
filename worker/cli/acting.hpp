// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// What cancel, terminate and retry have in common: several runs, one after the other, and an answer
/// for each.
namespace fermata::cli {

struct acting {
  std::string_view verb;  // "cancel": of the question
  std::string_view did;   // "cancelled": of the answer
  std::string_view type;  // of the document
  /// Does it to one run; gives the id of the run that goes on.
  std::function<std::string(const engine::run_row&)> one;
};

/// Asks when they are several. One that fails doesn't keep the others; then the exit code is that of
/// the last failure.
int act_on(session& s, const std::vector<std::string>& names, const acting& how);

}  // namespace fermata::cli
