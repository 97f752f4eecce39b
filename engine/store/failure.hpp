// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/status.hpp"

#include <absl/status/status.h>

#include <string_view>
#include <utility>

namespace fermata::engine {

/// How a failure leaves the depths of a store. It never crosses the contract: every method of the
/// store catches it and answers its status. A StatusOr at each of some three hundred binds and steps
/// would hide what the code does.
struct store_failure {
  absl::Status status;
};

/// Throws `store_failure`.
[[noreturn]] inline void fail(absl::StatusCode code, std::string_view fer_code,
                              std::string_view sentence) {
  throw store_failure{coded(code, fer_code, sentence)};
}

/// Runs `work` and turns a thrown failure into the status of the result.
template <class Result, class Work>
Result guarded(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const store_failure& failed) {
    return failed.status;
  }
}

}  // namespace fermata::engine
