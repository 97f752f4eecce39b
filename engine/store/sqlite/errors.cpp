// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/errors.hpp"

#include "engine/store/status.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

namespace fermata::engine::sqlite {

absl::Status status_of(sqlite3* db, int rc, std::string_view what) {
  const char* said = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return coded(absl::StatusCode::kResourceExhausted, "FER-2101",
                   fmt::format("the disk is full: nothing was written ({}); free some space, what "
                               "was refused may be sent again",
                               what));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return coded(absl::StatusCode::kUnavailable, "FER-2102",
                   fmt::format("another connection has held the journal's write lock too long ({}: "
                               "{}); it isn't one of Fermata's, which take the lock file: end its "
                               "transaction, then try again",
                               what, said));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return coded(absl::StatusCode::kDataLoss, "FER-2103",
                   fmt::format("store damage: {} ({}, code {}); run 'fermata verify', then restore "
                               "a backup or export what can be read",
                               said, what, sqlite3_extended_errcode(db)));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:  // the log's locks couldn't be had in many tries
      return coded(absl::StatusCode::kUnavailable, "FER-2104",
                   fmt::format("the journal can't be read or written just now: {} ({}, code {}); "
                               "what was refused may be sent again",
                               said, what, rc));
    default:
      return coded(absl::StatusCode::kInternal, "FER-2104",
                   fmt::format("SQLite refused: {} ({}, code {})", said, what, rc));
  }
}

void fail(sqlite3* db, int rc, std::string_view what) {
  throw store_failure{status_of(db, rc, what)};
}

std::int64_t next_key(std::int64_t last, std::int64_t key, std::string_view what) {
  if (key <= last)
    fail(absl::StatusCode::kDataLoss, "FER-2103",
         fmt::format("store damage: of {}, {} comes after {}; run 'fermata verify', then restore a "
                     "backup or export what can be read",
                     what, key, last));
  return key;
}

}  // namespace fermata::engine::sqlite
