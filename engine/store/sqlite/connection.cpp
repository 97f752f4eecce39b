// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/connection.hpp"

#include "engine/planted.hpp"
#include "engine/store/sqlite/errors.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

namespace fermata::engine::sqlite {

namespace {

// Foreign writers are waited for this long; our own wait for the lock file before they come here.
constexpr int busy_timeout_ms = 5'000;

}  // namespace

connection::connection(sqlite3* borrowed)
    : names(*this, {"SELECT id FROM names WHERE text = ?1", "SELECT text FROM names WHERE id = ?1",
                    "INSERT INTO names(text) VALUES (?1) RETURNING id"}),
      places(*this,
             {"SELECT id FROM places WHERE text = ?1", "SELECT text FROM places WHERE id = ?1",
              "INSERT INTO places(text) VALUES (?1) RETURNING id"}),
      spaces(*this, {"SELECT id FROM namespaces WHERE text = ?1",
                     "SELECT text FROM namespaces WHERE id = ?1",
                     "INSERT INTO namespaces(text) VALUES (?1) RETURNING id"}),
      db_(borrowed),
      borrowed_(true) {
  const char* name = borrowed != nullptr ? sqlite3_db_filename(borrowed, "main") : nullptr;
  if (name != nullptr) path_ = name;
}

connection::connection(const std::string& path, const connection_options& options)
    : connection(nullptr) {
  // From here on the destructor runs, whatever is thrown.
  path_ = path;
  borrowed_ = false;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (options.create) flags |= SQLITE_OPEN_CREATE;
  const int rc = sqlite3_open_v2(path.c_str(), &db_, flags,
                                 options.vfs.empty() ? nullptr : options.vfs.c_str());
  if (rc != SQLITE_OK) fail(db_, rc, fmt::format("opening {}", path));
  set_pragmas(options);
}

connection::~connection() {
  for (auto& [literal, statement] : statements_) sqlite3_finalize(statement);
  if (!borrowed_) sqlite3_close_v2(db_);
}

void connection::set_pragmas(const connection_options& options) {
  sqlite3_busy_timeout(db_, busy_timeout_ms);
  // A checkpoint runs under the lock file or not at all (PROTOCOL §9).
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  script("PRAGMA wal_autocheckpoint = 0");
  script("PRAGMA cell_size_check = ON");
  script("PRAGMA mmap_size = 0");
  script("PRAGMA temp_store = MEMORY");
  const bool full = options.durability == durability::full;
  script(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  if (const std::int64_t is = pragma("PRAGMA synchronous"); is != (full ? 2 : 1))
    fail(absl::StatusCode::kInternal, "FER-2002",
         fmt::format("{}: SQLite didn't take synchronous={}; it says {}. Is it built with a "
                     "fixed setting?",
                     path_, full ? "FULL" : "NORMAL", is));
  if (planted("sqlite_acks_before_the_sync")) script("PRAGMA synchronous = OFF");
  if (options.read_only) script("PRAGMA query_only = ON");
}

use connection::sql(const char* literal) {
  sqlite3_stmt*& found = statements_[literal];
  if (found == nullptr) {
    const int rc = sqlite3_prepare_v3(db_, literal, -1, SQLITE_PREPARE_PERSISTENT, &found, nullptr);
    if (rc != SQLITE_OK) fail(db_, rc, literal);
  }
  return {db_, found};
}

void connection::fire_triggers(bool on) {
  if (on == triggers_fire_) return;
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, on ? 1 : 0, nullptr);
  triggers_fire_ = on;
}

single_use::single_use(connection& db, const std::string& sql)
    : statement_([&] {
        sqlite3_stmt* made = nullptr;
        const int rc = sqlite3_prepare_v2(db.handle(), sql.c_str(), -1, &made, nullptr);
        if (rc != SQLITE_OK) fail(db.handle(), rc, sql);
        return made;
      }()),
      rows_(db.handle(), statement_) {}

single_use::~single_use() {
  // rows_ resets it, but only after this: finalizing ends it, and nothing is left to reset.
  rows_.let_go();
  sqlite3_finalize(statement_);
}

void connection::script(const char* text) {
  const int rc = sqlite3_exec(db_, text, nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) fail(db_, rc, text);
}

std::int64_t connection::pragma(const char* name) {
  use asked = sql(name);
  return asked.next() ? asked.integer(0) : 0;
}

}  // namespace fermata::engine::sqlite
