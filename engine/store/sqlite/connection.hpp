// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/sqlite/interner.hpp"
#include "engine/store/sqlite/statement.hpp"

#include <string>
#include <string_view>
#include <unordered_map>

struct sqlite3;
struct sqlite3_stmt;

namespace fermata::engine::sqlite {

enum class durability { full, weak_normal };

/// How a connection to a journal is opened.
struct connection_options {
  bool create = false;
  bool read_only = false;  // query_only: nothing is written through it
  sqlite::durability durability = durability::full;
  std::string vfs;  // empty: the system's; tests put failing disks here
};

/// One handle of SQLite with its prepared statements and its view of interned texts.
/// Threads: one at a time.
class connection {
 public:
  /// Opens and sets the pragmas; reads back those that durability hangs on. Throws store_failure.
  connection(const std::string& path, const connection_options& options);
  /// One of somebody else's, who opened it and closes it. Its settings stay as they are.
  explicit connection(sqlite3* borrowed);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// The statement of this literal, prepared once. Two uses of one literal must not overlap.
  use sql(const char* literal);
  /// Runs a script; nothing is kept.
  void script(const char* text);
  std::int64_t pragma(const char* name);

  /// Whether triggers fire for what this connection does. Changing it prepares all statements anew.
  void fire_triggers(bool on);

  sqlite3* handle() const noexcept { return db_; }
  const std::string& path() const noexcept { return path_; }

  interner names;   // workflows, steps, signals, queues, builds, content types
  interner places;  // source locations
  interner spaces;  // namespaces

 private:
  void set_pragmas(const connection_options& options);

  // Set once.
  std::string path_;
  sqlite3* db_ = nullptr;
  bool borrowed_ = false;

  bool triggers_fire_ = true;
  // By the literal's address: its text is compared only when it is prepared.
  std::unordered_map<const void*, sqlite3_stmt*> statements_;
};

/// A statement that isn't kept: for SQL made of a caller's wishes.
class single_use {
 public:
  single_use(connection& db, const std::string& sql);
  ~single_use();
  single_use(const single_use&) = delete;
  single_use& operator=(const single_use&) = delete;

  use& rows() noexcept { return rows_; }

 private:
  sqlite3_stmt* statement_ = nullptr;
  use rows_;
};

}  // namespace fermata::engine::sqlite
