// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/failure.hpp"

#include <absl/status/status.h>

#include <string_view>
#include <utility>

struct pg_result;
struct pg_conn;

namespace fermata::engine::postgres {

/// What a failure means for the transaction it happened in.
enum class failure {
  refused,  // it will be refused again: a defect, damage, a right that is missing
  again,    // rolled back by the server: a deadlock, a serialization failure; try again at once
  full,     // rolled back: disk, memory or connections of the server are used up; try again later
  lost,     // the connection is gone, or its server mayn't write any more
};

/// A failed statement: also, what it means.
struct server_failure : store_failure {
  server_failure(absl::Status told, failure meaning)
      : store_failure{std::move(told)}, how(meaning) {}
  failure how;
};

/// What the server's SQLSTATE (PostgreSQL documentation, appendix A) means to us.
failure failure_of(std::string_view sqlstate);

/// Throws `server_failure` for a result that isn't one, or for a connection that broke.
[[noreturn]] void fail(pg_conn* db, const pg_result* result, std::string_view what);
[[noreturn]] void fail(absl::StatusCode code, std::string_view fer_code, std::string_view sentence,
                       failure how = failure::refused);

}  // namespace fermata::engine::postgres
