// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/census.hpp"

#include <sqlite3.h>

#include <functional>
#include <string_view>
#include <utility>

namespace fermata::attack::power {

namespace {

/// Types, lengths and bytes of a row's columns.
void add_row(sqlite3_stmt* of, std::string& to) {
  for (int i = 0; i < sqlite3_column_count(of); ++i) {
    const int type = sqlite3_column_type(of, i);
    to += static_cast<char>('0' + type);
    if (type == SQLITE_INTEGER) {
      const std::int64_t number = sqlite3_column_int64(of, i);
      to.append(reinterpret_cast<const char*>(&number), sizeof number);
    } else if (type != SQLITE_NULL) {
      const void* bytes = sqlite3_column_blob(of, i);
      const int size = sqlite3_column_bytes(of, i);
      to.append(reinterpret_cast<const char*>(&size), sizeof size);
      if (size > 0) to.append(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
    }
  }
}

std::uint64_t digest(const std::string& bytes) { return std::hash<std::string_view>{}(bytes); }

}  // namespace

census::census(const std::string& path) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
    error_ = sqlite3_errmsg(db_);
    return;
  }
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  std::vector<std::string> names;
  sqlite3_stmt* all = prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
  while (step(all)) names.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(all, 0)));
  sqlite3_finalize(all);
  for (const std::string& name : names) tables_[name] = prepare("SELECT * FROM " + name);
}

census::~census() {
  for (const auto& [name, statement] : tables_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

sqlite3_stmt* census::prepare(const std::string& sql) {
  sqlite3_stmt* made = nullptr;
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &made, nullptr) != SQLITE_OK)
    error_ = sqlite3_errmsg(db_);
  return made;
}

bool census::step(sqlite3_stmt* of) {
  if (of == nullptr) return false;
  const int code = sqlite3_step(of);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) error_ = sqlite3_errmsg(db_);
  sqlite3_reset(of);
  return false;
}

contents census::take() {
  contents found;
  std::string rows;
  for (const auto& [name, statement] : tables_) {
    rows.clear();
    while (step(statement)) add_row(statement, rows);
    found[name] = digest(rows);
  }
  return found;
}

event_rows census::events() {
  event_rows found;
  sqlite3_stmt* all = prepare("SELECT run, position, * FROM events");
  std::string row;
  while (step(all)) {
    row.clear();
    add_row(all, row);
    found[{sqlite3_column_int64(all, 0), sqlite3_column_int64(all, 1)}] = digest(row);
  }
  sqlite3_finalize(all);
  return found;
}

std::string census::damage() {
  std::string found;
  sqlite3_stmt* check = prepare("PRAGMA integrity_check(10)");
  while (step(check)) {
    const std::string said = reinterpret_cast<const char*>(sqlite3_column_text(check, 0));
    if (said != "ok") found += said + "; ";
  }
  sqlite3_finalize(check);
  return found;
}

std::string difference(const contents& a, const contents& b) {
  std::string names;
  for (const auto& [name, digest] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second != digest) names += name + " ";
  }
  for (const auto& [name, digest] : b)
    if (!a.contains(name)) names += name + " ";
  return names;
}

}  // namespace fermata::attack::power
