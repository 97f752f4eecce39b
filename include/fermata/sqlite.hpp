// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/transaction.hpp>

#include <memory>
#include <string>
#include <string_view>

struct sqlite3;

/// Transactional steps over SQLite, and your own writes beside the journal's. Include <sqlite3.h>
/// yourself where you use the handle.
///
///   constexpr fermata::database<sqlite3> films{"films"};
///   worker.connect(films, fermata::sqlite_database("films.db"));   // a file of your own, or
///   worker.connect(films, fermata::journal_tables());              // tables in the journal's file
namespace fermata {

/// Any SQLite file but the journal. Effects and receipt (`fermata_receipts`, made when it isn't
/// there) are one transaction of that file.
/// Throws (from its `commit`): `error` 21xx when the file can't be used.
std::unique_ptr<transactor<sqlite3>> sqlite_database(std::string path);

/// A write transaction of your own on the journal's file, on your own connection. It takes the
/// journal's lock file first, as all our processes do, so that it waits fairly and never meets a
/// checkpoint. Keep it short: nothing is committed beside it. Runs can be started in it, and then
/// exist exactly if your rows do:
///
///   fermata::sqlite_transaction both(db, "sqlite:orders.db");
///   insert_order(db, o);
///   auto started = client.start(db, place_order, o, {.key = o.id});
///   both.commit();
///   receipt r = started.committed().result(30s);
///
/// Lifetime: `connection` outlives it; without `commit` the destructor rolls back.
/// Threads: one.
class sqlite_transaction {
 public:
  /// `journal_address` as given to `fermata::open`: "sqlite:orders.db".
  /// Throws: `error` FER-2102 when the lock isn't to be had, 21xx when SQLite refuses.
  sqlite_transaction(sqlite3* connection, std::string_view journal_address);
  ~sqlite_transaction();
  sqlite_transaction(const sqlite_transaction&) = delete;
  sqlite_transaction& operator=(const sqlite_transaction&) = delete;

  /// Durable when it returns; workers and clients of the journal look at once.
  void commit();

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace fermata
