// SPDX-License-Identifier: Apache-2.0
// What does Postgres give by itself, for what an engine must write? Ways to send a round's events, and
// connections (lanes) side by side.
#include "bench/raw_postgres.hpp"

#include "bench/plain_connection.hpp"
#include "bench/usage.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>

namespace fermata::bench {

namespace {

constexpr std::size_t event_bytes = 180;

constexpr Oid oid_bytea = 17, oid_int8 = 20, oid_uuid = 2950;

[[noreturn]] void fail(PGconn* db, const char* what) {
  std::fprintf(stderr, "fermata-bench: the Postgres probe failed (%s): %s\n", what,
               PQerrorMessage(db));
  std::exit(1);
}

using uuid = std::array<char, 16>;

void put(std::string& to, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    to.push_back(static_cast<char>(value >> shift));
}

uuid id_of(std::int64_t run) {
  std::string text;
  put(text, 0x0190'0000'0000'0000, 8);
  put(text, static_cast<std::uint64_t>(run), 8);
  uuid id;
  std::memcpy(id.data(), text.data(), id.size());
  return id;
}

/// An array of one dimension, as text or in Postgres' binary form (src/include/utils/array.h: number
/// of dimensions, flags, element type, length, lower bound; then each element with its length).
class array {
 public:
  array(bool binary, Oid element) : binary_(binary), element_(element) {}
  void add(std::string_view bytes) {
    ++count_;
    if (binary_) {
      put(body_, bytes.size(), 4);
      body_.append(bytes);
      return;
    }
    if (count_ > 1) body_ += ',';
    if (element_ == oid_int8) {
      body_ += bytes;
      return;
    }
    body_ += element_ == oid_bytea ? "\"\\\\x" : "\"";
    constexpr char digits[] = "0123456789abcdef";
    for (const char c : bytes) {
      body_ += digits[static_cast<unsigned char>(c) >> 4];
      body_ += digits[static_cast<unsigned char>(c) & 15];
    }
    body_ += '"';
  }
  void add(std::int64_t number) {
    if (!binary_) return add(std::string_view(std::to_string(number)));
    std::string bytes;
    put(bytes, static_cast<std::uint64_t>(number), 8);
    add(std::string_view(bytes));
  }
  std::string whole() const {
    if (!binary_) return '{' + body_ + '}';
    std::string all;
    put(all, count_ == 0 ? 0 : 1, 4);
    put(all, 0, 4);
    put(all, element_, 4);
    if (count_ != 0) {
      put(all, count_, 4);
      put(all, 1, 4);
    }
    return all + body_;
  }
  std::size_t count() const noexcept { return count_; }

 private:
  const bool binary_;
  const Oid element_;
  std::size_t count_ = 0;
  std::string body_;
};

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
      : how_(how), events_per_run_(events), connection_(address), db_(connection_.get()) {
    connection_.script("SET synchronous_commit = on; SET search_path = " + schema);
    const auto prepare = [&](const char* name, const char* sql) {
      PGresult* done = PQprepare(db_, name, sql, 0, nullptr);
      if (PQresultStatus(done) != PGRES_COMMAND_OK) fail(db_, sql);
      PQclear(done);
    };
    prepare("begin", "BEGIN");
    prepare("fence", fence);
    prepare("runs", insert_runs);
    prepare("events", how == postgres_way::appended ? append_events : insert_events);
    prepare("ends", end_runs);
    prepare("commit", "COMMIT");
  }
  /// One transaction.
  void write(const std::vector<std::pair<std::int64_t, int>>& round) {
    const bool binary = how_ != postgres_way::text;
    array begun(binary, oid_uuid), keys(binary, oid_int8), runs(binary, oid_uuid),
        positions(binary, oid_int8), bytes(binary, oid_bytea), ended(binary, oid_uuid);
    for (const auto& [run, position] : round) {
      const uuid id = id_of(run);
      const std::string_view text(id.data(), id.size());
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
    if (PQenterPipelineMode(db_) != 1) fail(db_, "pipeline");
    send("begin", {});
    send("fence", {});
    if (begun.count() > 0) send("runs", {&begun, &keys});
    send("events", {&runs, &positions, &bytes});
    if (ended.count() > 0) send("ends", {&ended});
    send("commit", {});
    finish();
  }

 private:
  void send(const char* name, std::initializer_list<const array*> given) {
    std::vector<std::string> values;
    std::vector<const char*> pointers;
    std::vector<int> lengths, formats;
    for (const array* one : given) values.push_back(one->whole());
    for (const std::string& one : values) {
      pointers.push_back(one.data());
      lengths.push_back(static_cast<int>(one.size()));
      formats.push_back(how_ == postgres_way::text ? 0 : 1);
    }
    if (PQsendQueryPrepared(db_, name, static_cast<int>(values.size()), pointers.data(),
                            lengths.data(), formats.data(), 1) != 1)
      fail(db_, name);
    ++sent_;
  }

  void finish() {
    if (PQpipelineSync(db_) != 1) fail(db_, "sync");
    for (; sent_ > 0; --sent_) {
      while (PGresult* one = PQgetResult(db_)) {
        const ExecStatusType status = PQresultStatus(one);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(db_, "pipeline");
        PQclear(one);
      }
    }
    PGresult* sync = PQgetResult(db_);
    if (PQresultStatus(sync) != PGRES_PIPELINE_SYNC) fail(db_, "pipeline sync");
    PQclear(sync);
    if (PQexitPipelineMode(db_) != 1) fail(db_, "pipeline end");
  }

  /// COPY can't be part of a pipeline: what comes before and after it is one.
  void copy(const std::vector<std::pair<std::int64_t, int>>& round, const array& begun,
            const array& keys, const array& ended) {
    if (PQenterPipelineMode(db_) != 1) fail(db_, "pipeline");
    send("begin", {});
    send("fence", {});
    if (begun.count() > 0) send("runs", {&begun, &keys});
    finish();
    PGresult* begin = PQexec(db_, "COPY events(run, position, bytes) FROM STDIN (FORMAT binary)");
    if (PQresultStatus(begin) != PGRES_COPY_IN) fail(db_, "copy");
    PQclear(begin);
    std::string all("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    for (const auto& [run, position] : round) {
      const uuid id = id_of(run);
      put(all, 3, 2);
      put(all, 16, 4);
      all.append(id.data(), id.size());
      put(all, 8, 4);
      put(all, static_cast<std::uint64_t>(position), 8);
      put(all, payload_.size(), 4);
      all += payload_;
    }
    put(all, 0xffff, 2);
    if (PQputCopyData(db_, all.data(), static_cast<int>(all.size())) != 1 ||
        PQputCopyEnd(db_, nullptr) != 1)
      fail(db_, "copy");
    while (PGresult* one = PQgetResult(db_)) {
      if (PQresultStatus(one) != PGRES_COMMAND_OK) fail(db_, "copy");
      PQclear(one);
    }
    if (PQenterPipelineMode(db_) != 1) fail(db_, "pipeline");
    if (ended.count() > 0) send("ends", {&ended});
    send("commit", {});
    finish();
  }

  const postgres_way how_;
  const int events_per_run_;
  plain_connection connection_;
  PGconn* const db_;
  const std::string payload_ = std::string(event_bytes, 'x');
  int sent_ = 0;
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
