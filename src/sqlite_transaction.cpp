// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/address.hpp"
#include "engine/store/sqlite/errors.hpp"
#include "engine/store/sqlite/lock.hpp"
#include "src/convert.hpp"
#include "src/sqlite_connection.hpp"

#include <fermata/error.hpp>
#include <fermata/sqlite.hpp>

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>

namespace fermata {

namespace {

std::string file_of(std::string_view address) {
  try {
    return engine::sqlite::parse_address(address).path;
  } catch (const engine::sqlite::store_failure& failed) {
    detail::raise(failed.status);
    throw;
  }
}

void check_file(sqlite3* connection, const std::string& journal) {
  const char* name = sqlite3_db_filename(connection, "main");
  std::error_code no_such_file;
  if (name != nullptr && std::filesystem::equivalent(name, journal, no_such_file)) return;
  const std::string other = name != nullptr && *name != '\0' ? name : "a database in memory";
  throw error(codes::worker_misuse, "the connection is to " + other + ", the journal is " +
                                        journal + ": open the connection on the journal's file");
}

int integer(sqlite3* connection, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int found = -1;
  if (sqlite3_prepare_v2(connection, sql, -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW)
    found = sqlite3_column_int(statement, 0);
  sqlite3_finalize(statement);
  return found;
}

}  // namespace

class sqlite_transaction::impl {
 public:
  impl(sqlite3* connection, std::string_view journal_address)
      : connection_(connection), journal_(file_of(journal_address)) {
    check_file(connection, journal_);
    if (sqlite3_get_autocommit(connection) == 0)
      throw error(codes::worker_misuse,
                  "the connection to " + journal_ +
                      " is in a transaction already: end it before a sqlite_transaction begins");
    // "Durable when it returns" is this object's promise, whatever the connection is set to.
    if (integer(connection, "PRAGMA synchronous") < 2) execute("PRAGMA synchronous = FULL");
    lock_ = std::make_unique<engine::sqlite::sqlite_lock>(journal_);
    detail::raise(lock_->status());
    execute("BEGIN IMMEDIATE");
  }
  ~impl() {
    if (open_ && sqlite3_get_autocommit(connection_) == 0)
      sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  void commit() {
    if (!open_ || sqlite3_get_autocommit(connection_) != 0)
      throw error(codes::worker_misuse, "this transaction of " + journal_ + " has ended already");
    execute("COMMIT");
    open_ = false;
    lock_.reset();
  }

 private:
  void execute(const char* sql) {
    const int rc = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
    if (rc == SQLITE_OK) return;
    detail::raise_sqlite(connection_, sqlite3_extended_errcode(connection_), journal_, sql);
  }

  // Set once.
  sqlite3* connection_;
  std::string journal_;

  std::unique_ptr<engine::sqlite::sqlite_lock> lock_;  // let go after the rollback or commit
  bool open_ = true;
};

sqlite_transaction::sqlite_transaction(sqlite3* connection, std::string_view journal_address)
    : impl_(std::make_unique<impl>(connection, journal_address)) {}

sqlite_transaction::~sqlite_transaction() = default;

void sqlite_transaction::commit() { impl_->commit(); }

}  // namespace fermata
