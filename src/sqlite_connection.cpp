// SPDX-License-Identifier: Apache-2.0
#include "src/sqlite_connection.hpp"

#include <fermata/error.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace fermata::detail {

namespace {

constexpr int patience_ms = 10'000;
constexpr int pauses_ms[] = {1, 2, 4, 8, 15, 25, 40, 50};

int on_busy(void* connection, int times_before) {
  return static_cast<sqlite_connection*>(connection)->pause(times_before) ? 1 : 0;
}

bool is_busy(int rc) { return (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED; }

const code_info& code_of(int rc) {
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return codes::disk_full;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return codes::locked_too_long;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return codes::damaged;
    default:
      return codes::input_output;
  }
}

std::string said(sqlite3* db, int rc) {
  const bool is_its_own = db != nullptr && sqlite3_extended_errcode(db) == rc;
  return is_its_own ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
}

}  // namespace

void raise_sqlite(sqlite3* db, int rc, std::string_view path, std::string_view what) {
  std::string sentence = "the database " + std::string(path) + ": ";
  if (is_busy(rc))
    sentence +=
        "another process or connection has held its write lock too long; end its "
        "transaction, and the step is tried again (";
  else
    sentence += said(db, rc) + " (";
  sentence += std::string(what) + ", SQLite's code " + std::to_string(rc) + ")";
  throw error(code_of(rc), sentence);
}

sqlite_connection::sqlite_connection(std::string path) : path_(std::move(path)) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int rc = sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr);
  if (rc != SQLITE_OK) {
    const std::string why = said(db_, rc);
    sqlite3_close_v2(db_);
    throw error(codes::input_output, "the database " + path_ + " can't be opened: " + why);
  }
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_handler(db_, on_busy, this);
}

sqlite_connection::~sqlite_connection() { sqlite3_close_v2(db_); }

void sqlite_connection::make_durable() {
  execute("PRAGMA synchronous = EXTRA");
  if (integer("PRAGMA page_count") == 0) execute("PRAGMA journal_mode = WAL");
  if (integer("PRAGMA synchronous") < 2)
    throw error(codes::input_output, "the database " + path_ +
                                         ": SQLite didn't take synchronous = EXTRA; is it built "
                                         "with a fixed setting?");
}

/// Some BUSY come without a call of the busy handler (a recovery, a mode change): these are tried
/// again here, within the same patience.
void sqlite_connection::execute(const char* sql) {
  int rc = try_execute(sql);
  for (int times = 0; is_busy(rc) && pause(times); ++times) rc = try_execute(sql);
  if (rc != SQLITE_OK) raise_sqlite(db_, rc, path_, sql);
}

int sqlite_connection::try_execute(const char* sql) noexcept {
  return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
}

bool sqlite_connection::in_transaction() const noexcept { return sqlite3_get_autocommit(db_) == 0; }

int sqlite_connection::integer(const char* sql) {
  sqlite_query asked(*this, sql);
  return asked.next() ? asked.integer(0) : 0;
}

bool sqlite_connection::pause(int times_before) noexcept {
  if (waited_ms_ >= patience_ms) return false;
  const int last = static_cast<int>(std::size(pauses_ms)) - 1;
  const int pause_ms = pauses_ms[std::clamp(times_before, 0, last)];
  waited_ms_ += std::max(pause_ms, sqlite3_sleep(pause_ms));
  return true;
}

sqlite_query::sqlite_query(sqlite_connection& on, const char* sql) : on_(on) {
  int rc = SQLITE_OK;
  int times = 0;
  do rc = sqlite3_prepare_v2(on_.handle(), sql, -1, &statement_, nullptr);
  while (is_busy(rc) && on_.pause(times++));
  check(rc);
}

sqlite_query::~sqlite_query() { sqlite3_finalize(statement_); }

void sqlite_query::check(int rc) {
  if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) return;
  const char* sql = statement_ != nullptr ? sqlite3_sql(statement_) : "preparing a statement";
  raise_sqlite(on_.handle(), rc, on_.path(), sql);
}

void sqlite_query::text(int place, std::string_view value) {
  check(sqlite3_bind_text64(statement_, place, value.empty() ? "" : value.data(), value.size(),
                            SQLITE_STATIC, SQLITE_UTF8));
}

void sqlite_query::blob(int place, std::string_view value) {
  check(sqlite3_bind_blob64(statement_, place, value.empty() ? "" : value.data(), value.size(),
                            SQLITE_STATIC));
}

bool sqlite_query::next() {
  int rc = sqlite3_step(statement_);
  for (int times = 0; is_busy(rc) && !on_.in_transaction() && on_.pause(times); ++times) {
    sqlite3_reset(statement_);
    rc = sqlite3_step(statement_);
  }
  check(rc);
  return rc == SQLITE_ROW;
}

void sqlite_query::run() {
  while (next()) {
  }
}

std::string sqlite_query::bytes(int column) const {
  const void* at = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return at != nullptr ? std::string(static_cast<const char*>(at), static_cast<std::size_t>(size))
                       : std::string();
}

int sqlite_query::integer(int column) const { return sqlite3_column_int(statement_, column); }

}  // namespace fermata::detail
