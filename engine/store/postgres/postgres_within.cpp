// SPDX-License-Identifier: Apache-2.0
// Starts and messages within a transaction of the caller's own: by the functions of the journal's
// schema (migration_0001_calls.cpp), which its own version made.
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/postgres/schema.hpp"
#include "engine/utf8.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

namespace fermata::engine {

namespace postgres {

namespace {

[[noreturn]] void misused(std::string_view sentence) {
  fail(absl::StatusCode::kFailedPrecondition, "FER-3001", sentence);
}

/// The caller's connection, for statements of ours.
class borrowed {
 public:
  borrowed(pg_conn* db, const address& where) : db_(db), where_(where) {}

  rows run(const char* sql, params&& given = params()) const {
    const std::string text = in_schema(where_.schema, sql);
    PGresult* answer = PQexecParams(db_, text.c_str(), given.size(), given.types(), given.values(),
                                    given.lengths(), given.formats(), 1);
    const ExecStatusType how = PQresultStatus(answer);
    if (how == PGRES_TUPLES_OK || how == PGRES_COMMAND_OK) return rows(answer);
    const std::unique_ptr<PGresult, decltype(&PQclear)> owned(answer, PQclear);
    fail(db_, answer, sql);
  }
  /// Where it isn't sure that there is a transaction to go on with.
  void try_to(const char* sql) const noexcept { PQclear(PQexec(db_, sql)); }

 private:
  pg_conn* db_;
  const address& where_;
};

/// What the caller's connection must be, so that what it commits is a part of this journal.
void check_transaction(pg_conn* db, const borrowed& theirs, const server& at) {
  const std::string& where = at.where.text;
  if (db == nullptr) misused(fmt::format("there is no connection to {}: open one", where));
  if (PQpipelineStatus(db) != PQ_PIPELINE_OFF)
    misused("the connection is in pipeline mode: leave it before a start or a signal on it");
  switch (PQtransactionStatus(db)) {
    case PQTRANS_INTRANS:
      break;
    case PQTRANS_IDLE:
      misused(
          fmt::format("the connection to {} is in no transaction: BEGIN one first, or leave the "
                      "connection out",
                      where));
    case PQTRANS_INERROR:
      misused("the transaction has failed already: roll it back, and begin again");
    case PQTRANS_ACTIVE:
      misused("a statement of the connection is under way: read all of its results first");
    case PQTRANS_UNKNOWN:
      fail(absl::StatusCode::kUnavailable, "FER-2105",
           "the connection is gone, and its transaction with it: connect and begin again");
  }
  rows who = theirs.run(
      "SELECT (SELECT system_identifier FROM pg_control_system())::text, "
      "(SELECT oid FROM pg_database WHERE datname = current_database())::text");
  who.next();
  const identity known = at.known();
  if (who.text(0) != known.system || who.text(1) != known.database)
    misused(
        fmt::format("the connection is to the database {} at {}, the journal is {}: connect to "
                    "the journal's database",
                    PQdb(db), PQhost(db), where));
}

/// All of it, or nothing: the transaction stays the caller's to commit.
class savepoint {
 public:
  explicit savepoint(const borrowed& on) : on_(on) { on_.run("SAVEPOINT fermata_within"); }
  ~savepoint() {
    if (!kept_) on_.try_to("ROLLBACK TO fermata_within; RELEASE fermata_within");
  }
  savepoint(const savepoint&) = delete;
  savepoint& operator=(const savepoint&) = delete;

  void keep() {
    on_.run("RELEASE fermata_within");
    kept_ = true;
  }

 private:
  const borrowed& on_;
  bool kept_ = false;
};

start_result put_start(const borrowed& on, const start_item& item) {
  const start_request& r = item.request;
  params given(r.run, r.space, r.workflow, r.queue, r.priority, r.requested, r.not_before,
               r.not_after, r.deadline);
  given.add_bytes(r.seed).add_or_null(r.key).add_or_null(tags_as_json(r.tags));
  given.add(std::string_view(r.input.content_type.str()))
      .add(static_cast<std::int64_t>(r.input.type))
      .add(std::int64_t{payload_flags(r.input)})
      .add_bytes(r.input.bytes)
      .add_bytes(item.input_digest)
      .add(static_cast<std::int64_t>(item.on_duplicate));
  rows row = on.run(
      "SELECT how, started, chain FROM fermata.put_start($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
      "$11, $12, $13, $14, $15, $16, $17, $18)",
      std::move(given));
  row.next();
  return {.how = static_cast<start_result::outcome>(row.integer(0)),
          .run = row.id<run_id>(1),
          .chain = row.id<chain_id>(2)};
}

message_result put_message(const borrowed& on, const message& what) {
  message sent = what;
  make_utf8(sent.details);
  params given(what.to, what.id, static_cast<std::int64_t>(what.kind), what.name);
  given.add(std::string_view(what.value.content_type.str()))
      .add(static_cast<std::int64_t>(what.value.type))
      .add(std::int64_t{payload_flags(what.value)})
      .add_bytes(what.value.bytes)
      .add_bytes(sent.details.SerializeAsString());
  rows row = on.run(
      "SELECT how, run FROM fermata.put_message($1, $2, $3, $4, $5, $6, $7, $8, nullif($9, ''))",
      std::move(given));
  row.next();
  return {.how = static_cast<message_result::outcome>(row.integer(0)), .run = row.id<run_id>(1)};
}

}  // namespace

}  // namespace postgres

absl::StatusOr<batch_result> postgres_store::write_within(const caller_transaction& where,
                                                          const batch& what) {
  using result = absl::StatusOr<batch_result>;
  return guarded<result>([&]() -> result {
    postgres::server& at = parts_->at;
    const postgres::borrowed theirs(where.postgres, at.where);
    if (where.sqlite != nullptr)
      postgres::misused(
          fmt::format("the connection is to SQLite, the journal is {}: connect to its "
                      "database",
                      at.where.text));
    check_transaction(where.postgres, theirs, at);
    learn_names(at, what);  // namespaces: in a transaction of ours, nobody waits for theirs
    postgres::savepoint all(theirs);
    batch_result done;
    for (const start_item& one : what.starts) done.starts.push_back(put_start(theirs, one));
    for (const message& one : what.messages) done.messages.push_back(put_message(theirs, one));
    all.keep();
    return done;
  });
}

}  // namespace fermata::engine
