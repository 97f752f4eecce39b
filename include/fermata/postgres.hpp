// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/time.hpp>
#include <fermata/transaction.hpp>

#include <memory>
#include <string>

struct pg_conn;  // libpq's PGconn

/// Transactional steps over Postgres. Include <libpq-fe.h> yourself where you use the handle.
///
///   constexpr fermata::database<PGconn> films{"films"};
///   worker.connect(films, fermata::postgres_database("postgres://films@db/films"));
///   worker.serve(add_film, films, [](PGconn& db, const film& f) { insert(db, f); });
namespace fermata {

struct postgres_options {
  int connections = 16;  ///< at most, for as many threads at once; others wait for one
  /// How long one attempt goes on trying: to reach a server that is away, to get a connection, to
  /// win a transaction that deadlocks.
  duration patience = std::chrono::seconds(10);
};

/// Any Postgres database from version 13 on, also behind a pooler in transaction mode: no prepared
/// statement, no state of the session. `address` is libpq's, "postgres://USER@HOST/DATABASE" or
/// "host=… dbname=…"; nothing is connected before the first step.
///
/// Effects and receipt are one durable transaction of it (`synchronous_commit` is on, whatever the
/// role's default). The receipts' table is made where `CREATE TABLE` would put it; a role that mayn't
/// gets an error with the statement to run. Whether a transaction was committed when its connection
/// broke in that very moment is asked of the server before the body may run again.
///
/// The body runs again within its attempt after a deadlock, a serialization failure or a lost
/// connection: nothing of it was kept in the database, but what it did elsewhere is done twice. It
/// must leave COMMIT and ROLLBACK to the worker (savepoints are its own), read all results of its
/// statements, and set only what ends with the transaction (`SET LOCAL`).
/// Throws: `error` FER-3001 for an address that can't be one; from its `commit`, FER-3001 for what
/// must be changed, FER-1405, FER-2102 or FER-2104 for what another attempt may find better.
std::unique_ptr<transactor<pg_conn>> postgres_database(std::string address,
                                                       postgres_options options = {});

}  // namespace fermata
