// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/address.hpp"
#include "engine/store/sqlite/errors.hpp"
#include "engine/store/sqlite/lock.hpp"
#include "engine/store/sqlite/wake.hpp"
#include "engine/store/sqlite/within.hpp"
#include "src/convert.hpp"
#include "src/sqlite_connection.hpp"

#include <fermata/error.hpp>
#include <fermata/sqlite.hpp>

#include <sqlite3.h>

#include <memory>
#include <string>
#include <utility>

namespace fermata {

namespace {

/// The engine's failures as the errors that they mean.
template <class Work>
auto translated(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const engine::store_failure& failed) {
    detail::raise(failed.status);
    throw;
  }
}

std::string file_of(std::string_view address) {
  return translated([&] { return engine::sqlite::parse_address(address).path; });
}

std::string text(sqlite3* connection, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  std::string found;
  if (sqlite3_prepare_v2(connection, sql, -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW)
    found = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  sqlite3_finalize(statement);
  return found;
}

}  // namespace

class sqlite_transaction::impl {
 public:
  impl(sqlite3* connection, std::string_view journal_address)
      : connection_(connection), journal_(file_of(journal_address)) {
    translated([&] { engine::sqlite::check_same_file(connection, journal_); });
    if (sqlite3_get_autocommit(connection) == 0)
      throw error(codes::worker_misuse,
                  "the connection to " + journal_ +
                      " is in a transaction already: end it before a sqlite_transaction begins");
    // "Durable when it returns" is this object's promise, whatever the connection is set to.
    if (text(connection, "PRAGMA synchronous") < "2") execute("PRAGMA synchronous = FULL");
    wake_ = translated([&] { return std::make_unique<engine::sqlite::wake_file>(journal_); });
    lock_ = std::make_unique<engine::sqlite::sqlite_lock>(journal_);
    detail::raise(lock_->status());
    execute("BEGIN IMMEDIATE");
    // A journal always has one; a file that isn't a journal yet may not.
    has_log_ = text(connection, "PRAGMA journal_mode") == "wal";
    if (has_log_) begun_ = engine::sqlite::log_of(connection_);
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
    if (has_log_) wake_->committed(begun_, connection_);
    // It may have started runs: who waits looks now, not when it has found out by itself.
    wake_->bump();
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
  std::unique_ptr<engine::sqlite::wake_file> wake_;

  std::unique_ptr<engine::sqlite::sqlite_lock> lock_;  // let go after the rollback or commit
  bool has_log_ = false;
  engine::sqlite::log_state begun_;
  bool open_ = true;
};

sqlite_transaction::sqlite_transaction(sqlite3* connection, std::string_view journal_address)
    : impl_(std::make_unique<impl>(connection, journal_address)) {}

sqlite_transaction::~sqlite_transaction() = default;

void sqlite_transaction::commit() { impl_->commit(); }

}  // namespace fermata
