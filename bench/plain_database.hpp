// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

struct sqlite3;
struct sqlite3_stmt;

namespace fermata::bench {

/// SQLite without an engine, in a new file, as the engine has it: WAL, synchronous=FULL, checkpoints at
/// a transaction's end. What goes wrong ends the program with what SQLite said.
class plain_database {
 public:
  explicit plain_database(const std::string& path);
  ~plain_database();
  plain_database(const plain_database&) = delete;

  void script(const char* sql);
  /// Lifetime: until `sqlite3_finalize`, which must come before this ends.
  sqlite3_stmt* prepare(const char* sql);
  /// A statement that returns no rows.
  void run(sqlite3_stmt* what);
  void checkpoint_if_due();

 private:
  void must(int rc, int wanted) const;

  sqlite3* db_ = nullptr;
  int pages_ = 0;  // in the log
};

}  // namespace fermata::bench
