// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_postgres.hpp"

#include "bench/plain_connection.hpp"
#include "bench/postgres_pipeline.hpp"

#include <string_view>

namespace fermata::bench {

namespace {

std::string script_of(const std::string& schema) {
  return "DROP SCHEMA IF EXISTS " + schema + " CASCADE; CREATE SCHEMA " + schema +
         "; SET search_path = " + schema +
         "; CREATE TABLE events(run uuid, position bigint, bytes bytea NOT NULL, "
         "  PRIMARY KEY (run, position)); "
         "CREATE TABLE runs(run uuid PRIMARY KEY, key bigint NOT NULL UNIQUE, "
         "  state int NOT NULL, updated bigint NOT NULL) WITH (fillfactor = 80); "
         "CREATE TABLE requests(id bigint PRIMARY KEY, bytes bytea NOT NULL); "
         "CREATE TABLE timers(due bigint, run uuid, PRIMARY KEY (due, run))";
}

struct statement {
  const char* name;
  const char* sql;
};
constexpr statement statements[] = {
    {"begin", "BEGIN"},
    {"events",
     "INSERT INTO events(run, position, bytes) "
     "SELECT * FROM unnest($1::uuid[], $2::int8[], $3::bytea[])"},
    {"begun",
     "INSERT INTO runs(run, key, state, updated) "
     "SELECT r, k, 0, 0 FROM unnest($1::uuid[], $2::int8[]) AS t(r, k)"},
    {"ended", "UPDATE runs SET state = 1, updated = 1 WHERE run = ANY($1::uuid[])"},
    {"requests", "INSERT INTO requests(id, bytes) SELECT * FROM unnest($1::int8[], $2::bytea[])"},
    {"taken", "DELETE FROM requests WHERE id = ANY($1::int8[])"},
    {"timers", "INSERT INTO timers(due, run) SELECT * FROM unnest($1::int8[], $2::uuid[])"},
    {"fired",
     "DELETE FROM timers t USING unnest($1::int8[], $2::uuid[]) AS f(due, run) "
     "WHERE t.due = f.due AND t.run = f.run"},
    {"commit", "COMMIT"}};

/// The arrays of one statement.
struct columns {
  postgres_array first, second, third = {true, oid_bytea};
  columns(unsigned a, unsigned b) : first(true, a), second(true, b) {}
};

/// The rows of one transaction.
struct batch {
  columns events = {oid_uuid, oid_int8}, begun = {oid_uuid, oid_int8}, ended = {oid_uuid, oid_int8},
          requests = {oid_int8, oid_bytea}, taken = {oid_int8, oid_int8},
          timers = {oid_int8, oid_uuid}, fired = {oid_int8, oid_uuid};
};

class bare : public bare_rows {
 public:
  bare(const std::string& address, std::string schema, int runs, std::size_t payload_bytes)
      : bare_rows(runs),
        schema_(std::move(schema)),
        made_(address, script_of(schema_)),
        pipe_(address, schema_),
        event_(180, 'x'),
        payload_(payload_bytes, 'x') {
    for (const statement& one : statements) pipe_.prepare(one.name, one.sql);
  }
  ~bare() override { made_.db.script("DROP SCHEMA " + schema_ + " CASCADE"); }

 protected:
  void begin() override { rows_ = std::make_unique<batch>(); }
  void event(std::int64_t run, std::int64_t position) override {
    rows_->events.first.add(std::string_view(uuid_of(run)));
    rows_->events.second.add(position);
    rows_->events.third.add(std::string_view(event_));
  }
  void run_begun(std::int64_t run) override {
    rows_->begun.first.add(std::string_view(uuid_of(run)));
    rows_->begun.second.add(run);
  }
  void run_ended(std::int64_t run) override {
    rows_->ended.first.add(std::string_view(uuid_of(run)));
  }
  void request(std::int64_t id) override {
    rows_->requests.first.add(id);
    rows_->requests.second.add(std::string_view(payload_));
  }
  void request_taken(std::int64_t id) override { rows_->taken.first.add(id); }
  void timer(std::int64_t due, std::int64_t run) override {
    rows_->timers.first.add(due);
    rows_->timers.second.add(std::string_view(uuid_of(run)));
  }
  void timer_gone(std::int64_t due, std::int64_t run) override {
    rows_->fired.first.add(due);
    rows_->fired.second.add(std::string_view(uuid_of(run)));
  }

  void end() override {
    const batch& all = *rows_;
    pipe_.enter();
    pipe_.send("begin", {});
    send("begun", all.begun, {&all.begun.first, &all.begun.second});
    send("events", all.events, {&all.events.first, &all.events.second, &all.events.third});
    send("requests", all.requests, {&all.requests.first, &all.requests.second});
    send("taken", all.taken, {&all.taken.first});
    send("timers", all.timers, {&all.timers.first, &all.timers.second});
    send("fired", all.fired, {&all.fired.first, &all.fired.second});
    send("ended", all.ended, {&all.ended.first});
    pipe_.send("commit", {});
    pipe_.finish();
  }

 private:
  void send(const char* name, const columns& rows,
            std::initializer_list<const postgres_array*> given) {
    if (rows.first.count() > 0) pipe_.send(name, given);
  }

  struct maker {
    plain_connection db;
    maker(const std::string& address, const std::string& sql) : db(address) { db.script(sql); }
  };

  const std::string schema_;
  maker made_;
  postgres_pipeline pipe_;
  const std::string event_, payload_;
  std::unique_ptr<batch> rows_;
};

}  // namespace

std::unique_ptr<bare_rows> bare_postgres(const std::string& address, const std::string& schema,
                                         int runs, std::size_t payload_bytes) {
  return std::make_unique<bare>(address, schema, runs, payload_bytes);
}

}  // namespace fermata::bench
