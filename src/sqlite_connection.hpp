// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

/// SQLite as transactional steps need it: on the user's file, with the user's errors.
namespace fermata::detail {

/// Throws the `error` 21xx that SQLite's answer means.
[[noreturn]] void raise_sqlite(sqlite3* db, int rc, std::string_view path, std::string_view what);

/// A connection of our own. It waits for locks of others with a growing pause, for 10 s in all since
/// `begin_waiting`; then FER-2102.
/// Threads: one at a time.
class sqlite_connection {
 public:
  /// Throws: `error` 21xx.
  explicit sqlite_connection(std::string path);
  ~sqlite_connection();
  sqlite_connection(const sqlite_connection&) = delete;
  sqlite_connection& operator=(const sqlite_connection&) = delete;

  /// WAL for a file that is empty, so that it is we who made it: the mode is kept in the file, and
  /// another one than its owner chose isn't ours to set. The sync mode is the connection's only:
  /// EXTRA, which is FULL with WAL, and without it syncs the folder after a commit, too.
  void make_durable();

  void begin_waiting() noexcept { waited_ms_ = 0; }
  void execute(const char* sql);
  int try_execute(const char* sql) noexcept;
  int integer(const char* sql);
  bool in_transaction() const noexcept;
  sqlite3* handle() const noexcept { return db_; }
  const std::string& path() const noexcept { return path_; }

  /// Waits a little; false when the patience is over.
  bool pause(int times_before) noexcept;

 private:
  std::string path_;
  sqlite3* db_ = nullptr;
  int waited_ms_ = 0;
};

/// One statement, once. What is bound must outlive it.
class sqlite_query {
 public:
  sqlite_query(sqlite_connection& on, const char* sql);
  ~sqlite_query();
  sqlite_query(const sqlite_query&) = delete;
  sqlite_query& operator=(const sqlite_query&) = delete;

  void text(int place, std::string_view value);
  void blob(int place, std::string_view value);
  bool next();
  void run();
  std::string bytes(int column) const;
  int integer(int column) const;

 private:
  void check(int rc);

  sqlite_connection& on_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace fermata::detail
