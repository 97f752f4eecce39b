// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/name.hpp>

#include <functional>
#include <string>
#include <string_view>

struct pg_conn;  // libpq's PGconn
struct sqlite3;

namespace fermata {

/// The name of a database of the user's own, typed by its handle (`sqlite3`, `pg_conn`, …).
///
///   constexpr fermata::database<sqlite3> index_db{"index"};
///
/// Workers connect it once: `worker.connect(index_db, fermata::sqlite_database("index.db"))`.
template <class Handle>
class database {
 public:
  explicit constexpr database(fermata::name id) : name_(id) {}
  constexpr std::string_view name() const noexcept { return name_.view(); }

 private:
  fermata::name name_;
};

/// How a worker reaches such a database.
/// Threads: `commit` is called from several threads of the worker's pool at once.
template <class Handle>
class transactor {
 public:
  virtual ~transactor() = default;

  /// Runs `body` in one transaction that also stores what it returned (any bytes) in
  /// `fermata_receipts(origin, operation, outcome, primary key (origin, operation))`. When there
  /// is an outcome already, returns that and runs nothing; so does the loser when two overlap.
  /// May run `body` again after its transaction was rolled back for the database's own reasons.
  /// Throws: what `body` throws, after rolling back.
  virtual std::string commit(std::string_view origin, std::string_view operation,
                             const std::function<std::string(Handle&)>& body) = 0;
};

/// Says that a database's tables lie in the journal's own database: `connect(db,
/// journal_tables())`. Writes and outcome are then one transaction of the journal: the body runs
/// on the writer's turn, so it must be short.
struct in_journal {};
constexpr in_journal journal_tables() noexcept { return {}; }

/// A connection of your own to the journal's database, on which a transaction is open: give the
/// handle itself where this is asked for.
struct caller_transaction {
  caller_transaction(sqlite3* connection) : sqlite(connection) {}    // NOLINT: that is the point
  caller_transaction(pg_conn* connection) : postgres(connection) {}  // NOLINT

  sqlite3* sqlite = nullptr;
  pg_conn* postgres = nullptr;
};

}  // namespace fermata
