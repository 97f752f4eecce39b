// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/statement.hpp"

#include "engine/store/sqlite/errors.hpp"

#include <sqlite3.h>

#include <cstring>

namespace fermata::engine::sqlite {

use::~use() {
  if (statement_ != nullptr) sqlite3_reset(statement_);
}

use& use::again() {
  sqlite3_reset(statement_);
  bound_ = 0;
  return *this;
}

bool use::next() {
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc != SQLITE_DONE) fail(db_, rc, sqlite3_sql(statement_));
  return false;
}

int use::run() {
  while (next()) {
  }
  return sqlite3_changes(db_);
}

void use::check(int rc) {
  if (rc != SQLITE_OK) fail(db_, rc, sqlite3_sql(statement_));
}

// SQLITE_STATIC is a null pointer: nothing is copied, the caller keeps the bytes until the step.
void use::bind_integer(std::int64_t value) {
  check(sqlite3_bind_int64(statement_, ++bound_, value));
}

void use::bind_text(std::string_view value) {
  const char* from = value.data() != nullptr ? value.data() : "";
  check(sqlite3_bind_text64(statement_, ++bound_, from, value.size(), nullptr, SQLITE_UTF8));
}

void use::bind_blob(std::string_view value) {
  const char* from = value.data() != nullptr ? value.data() : "";
  check(sqlite3_bind_blob64(statement_, ++bound_, from, value.size(), nullptr));
}

void use::bind_null() { check(sqlite3_bind_null(statement_, ++bound_)); }

void use::bind(blob_or_null value) {
  if (value.bytes.empty()) {
    bind_null();
  } else {
    bind_blob(value.bytes);
  }
}

void use::bind(integer_or_null value) {
  if (value.value == 0) {
    bind_null();
  } else {
    bind_integer(value.value);
  }
}

void use::bind(const ulid& value) {
  if (value.empty()) {
    bind_null();
  } else {
    bind_blob(value.view());
  }
}

std::int64_t use::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}

std::string_view use::text(int column) const noexcept {
  const auto* found = sqlite3_column_text(statement_, column);
  if (found == nullptr) return {};
  return {reinterpret_cast<const char*>(found),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

// Asked for the value once, not for its bytes and their number: each question of a column takes and
// leaves the connection, which is this thread's.
std::string_view use::bytes(int column) const noexcept {
  sqlite3_value* const value = sqlite3_column_value(statement_, column);
  const void* found = sqlite3_value_blob(value);
  if (found == nullptr) return {};
  return {static_cast<const char*>(found), static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

bool use::null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

chain_hash use::hash(int column) const noexcept {
  chain_hash found{};
  const std::string_view from = bytes(column);
  if (from.size() == found.size()) std::memcpy(found.data(), from.data(), found.size());
  return found;
}

int use::columns() const noexcept { return sqlite3_column_count(statement_); }

}  // namespace fermata::engine::sqlite
