// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_postgres.hpp"
#include "bench/ground.hpp"
#include "bench/plain_connection.hpp"
#include "bench/raw_postgres.hpp"
#include "bench/usage.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>

namespace fermata::bench {

namespace {

void make_schema(plain_connection& db, const std::string& name) {
  db.script("DROP SCHEMA IF EXISTS " + name + " CASCADE; CREATE SCHEMA " + name);
}

/// One connection, a prepared insert, autocommit.
class bare_inserts : public raw_commits {
 public:
  bare_inserts(const std::string& address, std::string schema)
      : db_(address), schema_(std::move(schema)) {
    make_schema(db_, schema_);
    db_.script("SET synchronous_commit = on; CREATE TABLE " + schema_ +
               ".rows(lsn bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, bytes bytea)");
    const std::string insert = "INSERT INTO " + schema_ + ".rows(bytes) VALUES ($1)";
    PGresult* done = PQprepare(db_.get(), "insert", insert.c_str(), 1, nullptr);
    if (PQresultStatus(done) != PGRES_COMMAND_OK) db_.fail(insert.c_str());
    PQclear(done);
  }
  ~bare_inserts() override { db_.script("DROP SCHEMA " + schema_ + " CASCADE"); }

  double commit() override {
    const char* const value = bytes_.data();
    const int length = static_cast<int>(bytes_.size());
    const int binary = 1;
    const double began = now_s();
    PGresult* done = PQexecPrepared(db_.get(), "insert", 1, &value, &length, &binary, 1);
    const double took = now_s() - began;
    if (PQresultStatus(done) != PGRES_COMMAND_OK) db_.fail("insert");
    PQclear(done);
    return took;
  }

 private:
  plain_connection db_;
  const std::string schema_;
  const std::string bytes_ = std::string(120, 'x');
};

class snapshot : public ground::held {
 public:
  snapshot(const std::string& address, const std::string& schema) : db_(address) {
    db_.script("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM " + schema + ".runs");
  }

 private:
  plain_connection db_;
};

class postgres_ground : public ground {
 public:
  postgres_ground(std::string address, std::string_view name)
      : plain_address_(std::move(address)),
        schema_("bench_" + std::to_string(::getpid()) + '_' + std::string(name)),
        db_(plain_address_),
        server_(server_on_this_machine(static_cast<int>(db_.number("SELECT pg_backend_pid()")))) {
    db_.script("DROP SCHEMA IF EXISTS " + schema_ + " CASCADE");
  }
  ~postgres_ground() override { db_.script("DROP SCHEMA IF EXISTS " + schema_ + " CASCADE"); }

  std::string address() const override {
    const char sign = plain_address_.find('?') == std::string::npos ? '?' : '&';
    return plain_address_ + sign + "schema=" + schema_;
  }

  /// Transactions that wrote are those that drew a number; reading draws none. The statistics' own
  /// count of commits has readers in it, and is late by seconds.
  written so_far() override {
    written found{
        .commits = db_.number("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8"),
        .wal_bytes = static_cast<double>(
            db_.number("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8")),
        .server_cpu_s = {}};
    if (server_) found.server_cpu_s = cpu_s_of_family(*server_);
    return found;
  }

  std::int64_t number(const std::string& sql) override {
    db_.script("SET search_path = " + schema_);
    return db_.number(sql);
  }

  double stored_bytes() override {
    return static_cast<double>(
        db_.number("SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c "
                   "WHERE c.relkind = 'r' AND c.relnamespace = '" +
                   schema_ + "'::regnamespace"));
  }

  std::unique_ptr<raw_commits> commits() override {
    return std::make_unique<bare_inserts>(plain_address_, schema_ + "_commits");
  }

  /// One connection is the best with few in flight, two with many.
  double workflows(int in_flight, double seconds, int events) override {
    double best = 0;
    for (const int lanes : {1, 2})
      if (lanes <= in_flight)
        best = std::max(best, raw_postgres(plain_address_, postgres_way::appended, lanes, in_flight,
                                           seconds / 2, events));
    return best;
  }

  std::unique_ptr<bare_rows> bare(int runs, std::size_t payload_bytes) override {
    return bare_postgres(plain_address_, schema_ + "_bare", runs, payload_bytes);
  }

  void learn_statistics() override {
    db_.script("SET search_path = " + schema_);
    db_.script("ANALYZE runs, run_tags, start_requests");
  }

  std::unique_ptr<held> hold_snapshot() override {
    return std::make_unique<snapshot>(plain_address_, schema_);
  }

 private:
  const std::string plain_address_, schema_;
  plain_connection db_;
  const std::optional<int> server_;
};

}  // namespace

std::unique_ptr<ground> make_postgres_ground(const std::string& address, std::string_view name) {
  return std::make_unique<postgres_ground>(address, name);
}

}  // namespace fermata::bench
