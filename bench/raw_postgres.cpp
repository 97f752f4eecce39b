// SPDX-License-Identifier: Apache-2.0
// What does Postgres give by itself, for what an engine must write? Ways to send a round's events, and
// connections (lanes) side by side.
#include "bench/raw_postgres.hpp"

#include "bench/plain_connection.hpp"
#include "bench/postgres_pipeline.hpp"
#include "bench/usage.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

namespace fermata::bench {

namespace {

constexpr std::size_t event_bytes = 180;

[[noreturn]] void fail(PGconn* db, const char* what) {
  std::fprintf(stderr, "fermata-bench: the Postgres probe failed (%s): %s\n", what,
               PQerrorMessage(db));
  std::exit(1);
}

constexpr const char* insert_runs =
    "INSERT INTO runs(run, key, state, updated) SELECT r, k, 0, 0 FROM "
    "unnest($1::uuid[], $2::int8[]) AS t(r, k) ON CONFLICT DO NOTHING";
constexpr const char* insert_events =
    "INSERT INTO events(run, position, bytes) SELECT * FROM "
    "unnest($1::uuid[], $2::int8[], $3::bytea[]) ON CONFLICT DO NOTHING";
// The first event of each append lands where its predecessor is there. A scalar subquery isn't made a
// join: as EXISTS this took a plan over the whole table as long as there were no statistics, four
// times as slow.
constexpr const char* append_events =
    "INSERT INTO events(run, position, bytes) SELECT a.run, a.position, a.bytes FROM "
    "unnest($1::uuid[], $2::int8[], $3::bytea[]) AS a(run, position, bytes) "
    "WHERE a.position = 1 OR (SELECT true FROM events p WHERE p.run = a.run "
    "AND p.position = a.position - 1) ON CONFLICT DO NOTHING RETURNING run";
constexpr const char* end_runs =
    "UPDATE runs SET state = 1, updated = 1 WHERE run = ANY($1::uuid[])";
constexpr const char* fence = "SELECT 1 FROM workers WHERE id = 1 AND dead = 0 FOR KEY SHARE";

class lane {
 public:
  lane(const std::string& address, const std::string& schema, postgres_way how, int events)
      : how_(how), events_per_run_(events), pipe_(address, schema), db_(pipe_.get()) {
    pipe_.prepare("begin", "BEGIN");
    pipe_.prepare("fence", fence);
    pipe_.prepare("runs", insert_runs);
    pipe_.prepare("events", how == postgres_way::appended ? append_events : insert_events);
    pipe_.prepare("ends", end_runs);
    pipe_.prepare("commit", "COMMIT");
  }
  /// One transaction.
  void write(const std::vector<std::pair<std::int64_t, int>>& round) {
    const bool binary = how_ != postgres_way::text;
    postgres_array begun(binary, oid_uuid), keys(binary, oid_int8), runs(binary, oid_uuid),
        positions(binary, oid_int8), bytes(binary, oid_bytea), ended(binary, oid_uuid);
    for (const auto& [run, position] : round) {
      const std::string text = uuid_of(run);
      if (position == 1) {
        begun.add(text);
        keys.add(run);
      }
      runs.add(text);
      positions.add(position);
      bytes.add(payload_);
      if (position == events_per_run_) ended.add(text);
    }
    if (how_ == postgres_way::copied) return copy(round, begun, keys, ended);
    pipe_.enter();
    pipe_.send("begin", {});
    pipe_.send("fence", {});
    if (begun.count() > 0) pipe_.send("runs", {&begun, &keys});
    pipe_.send("events", {&runs, &positions, &bytes});
    if (ended.count() > 0) pipe_.send("ends", {&ended});
    pipe_.send("commit", {});
    pipe_.finish();
  }

 private:
  /// COPY can't be part of a pipeline: what comes before and after it is one.
  void copy(const std::vector<std::pair<std::int64_t, int>>& round, const postgres_array& begun,
            const postgres_array& keys, const postgres_array& ended) {
    pipe_.enter();
    pipe_.send("begin", {});
    pipe_.send("fence", {});
    if (begun.count() > 0) pipe_.send("runs", {&begun, &keys});
    pipe_.finish();
    PGresult* begin = PQexec(db_, "COPY events(run, position, bytes) FROM STDIN (FORMAT binary)");
    if (PQresultStatus(begin) != PGRES_COPY_IN) fail(db_, "copy");
    PQclear(begin);
    std::string all("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    for (const auto& [run, position] : round) {
      put_number(all, 3, 2);
      put_number(all, 16, 4);
      all += uuid_of(run);
      put_number(all, 8, 4);
      put_number(all, static_cast<std::uint64_t>(position), 8);
      put_number(all, payload_.size(), 4);
      all += payload_;
    }
    put_number(all, 0xffff, 2);
    if (PQputCopyData(db_, all.data(), static_cast<int>(all.size())) != 1 ||
        PQputCopyEnd(db_, nullptr) != 1)
      fail(db_, "copy");
    while (PGresult* one = PQgetResult(db_)) {
      if (PQresultStatus(one) != PGRES_COMMAND_OK) fail(db_, "copy");
      PQclear(one);
    }
    pipe_.enter();
    if (ended.count() > 0) pipe_.send("ends", {&ended});
    pipe_.send("commit", {});
    pipe_.finish();
  }

  const postgres_way how_;
  const int events_per_run_;
  postgres_pipeline pipe_;
  PGconn* const db_;
  const std::string payload_ = std::string(event_bytes, 'x');
};

/// Keeps its share of runs in flight until the time is over; answers how many have ended.
std::int64_t work(const std::string& address, const std::string& schema, postgres_way how,
                  int events, int share, std::atomic<std::int64_t>& numbers, double until) {
  lane mine(address, schema, how, events);
  std::vector<std::pair<std::int64_t, int>> all;
  for (int i = 0; i < share; ++i) all.emplace_back(++numbers, 0);
  std::int64_t ended = 0;
  for (int round = 0; now_s() < until; ++round) {
    std::vector<std::pair<std::int64_t, int>> now;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (round<events&& static_cast<int>(i) % events> round) continue;
      now.emplace_back(all[i].first, ++all[i].second);
      if (all[i].second < events) continue;
      ++ended;
      all[i] = {++numbers, 0};
    }
    mine.write(now);
  }
  return ended;
}

}  // namespace

std::string_view text_of(postgres_way how) {
  constexpr std::array<std::string_view, 4> names{"text arrays", "binary arrays", "COPY",
                                                  "binary, after a predecessor"};
  return names[static_cast<std::size_t>(how)];
}

double raw_postgres(const std::string& address, postgres_way how, int lanes, int in_flight,
                    double seconds, int events) {
  const std::string schema = "bench_" + std::to_string(::getpid()) + "_raw";
  plain_connection db(address);
  db.script("DROP SCHEMA IF EXISTS " + schema + " CASCADE; CREATE SCHEMA " + schema +
            "; SET search_path = " + schema +
            "; CREATE TABLE events(run uuid, position bigint, bytes bytea NOT NULL, "
            "  PRIMARY KEY (run, position)); "
            "CREATE TABLE runs(run uuid PRIMARY KEY, key bigint NOT NULL UNIQUE, "
            "  state int NOT NULL, updated bigint NOT NULL); "
            "CREATE TABLE workers(id int PRIMARY KEY, dead int NOT NULL); "
            "INSERT INTO workers VALUES (1, 0)");
  std::atomic<std::int64_t> numbers = 0, ended = 0;
  std::vector<std::thread> threads;
  const double began = now_s();
  for (int i = 0; i < lanes; ++i)
    threads.emplace_back([&] {
      ended += work(address, schema, how, events, in_flight / lanes, numbers, began + seconds);
    });
  for (std::thread& one : threads) one.join();
  const double took = now_s() - began;
  db.script("DROP SCHEMA " + schema + " CASCADE");
  return static_cast<double>(ended) / took;
}

}  // namespace fermata::bench
