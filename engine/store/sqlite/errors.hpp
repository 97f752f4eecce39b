// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <utility>

struct sqlite3;

namespace fermata::engine::sqlite {

/// How a failed statement leaves the depths of this folder. It never crosses the contract: every
/// method of the store catches it and answers its status. A StatusOr at each of some three hundred
/// binds and steps would hide what the code does.
struct store_failure {
  absl::Status status;
};

/// What SQLite's error means to a caller: the codes 21xx, with a sentence.
absl::Status status_of(sqlite3* db, int rc, std::string_view what);

/// Throws `store_failure` with status_of.
[[noreturn]] void fail(sqlite3* db, int rc, std::string_view what);
[[noreturn]] void fail(absl::StatusCode code, std::string_view fer_code, std::string_view sentence);

/// Runs `work` and turns a thrown failure into the status of the result.
template <class Result, class Work>
Result guarded(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const store_failure& failed) {
    return failed.status;
  }
}

}  // namespace fermata::engine::sqlite
