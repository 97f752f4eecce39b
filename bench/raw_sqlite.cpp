// SPDX-License-Identifier: Apache-2.0
#include "bench/raw_sqlite.hpp"

#include "bench/plain_database.hpp"
#include "bench/usage.hpp"

#include <sqlite3.h>

namespace fermata::bench {

namespace {

class commits : public raw_commits {
 public:
  explicit commits(const std::string& path) : base_(path) {
    base_.script("CREATE TABLE rows(lsn INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB)");
    begin_ = base_.prepare("BEGIN IMMEDIATE");
    insert_ = base_.prepare("INSERT INTO rows(bytes) VALUES (?1)");
    commit_ = base_.prepare("COMMIT");
    sqlite3_bind_blob(insert_, 1, bytes_.data(), 120, SQLITE_STATIC);
  }
  ~commits() override {
    for (sqlite3_stmt* one : {begin_, insert_, commit_}) sqlite3_finalize(one);
  }

  double commit() override {
    const double began = now_s();
    base_.run(begin_);
    base_.run(insert_);
    base_.run(commit_);
    const double took = now_s() - began;
    base_.checkpoint_if_due();
    return took;
  }

 private:
  plain_database base_;
  const std::string bytes_ = std::string(120, 'x');
  sqlite3_stmt *begin_, *insert_, *commit_;
};

constexpr const char* workflow_tables =
    "CREATE TABLE events(lsn INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, "
    "  seq INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE UNIQUE INDEX events_by_run ON events(run, seq);"
    "CREATE TRIGGER events_stay BEFORE DELETE ON events "
    "  BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TRIGGER events_never_change BEFORE UPDATE ON events "
    "  BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TABLE runs(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, "
    "  state INTEGER NOT NULL, updated INTEGER NOT NULL);";

struct workflows {
  workflows(const std::string& path, int events) : base(path), events_per_run(events) {
    base.script(workflow_tables);
    event = base.prepare("INSERT INTO events(run, seq, bytes) VALUES (?1, ?2, ?3)");
    start = base.prepare("INSERT INTO runs(id, key, state, updated) VALUES (?1, ?2, 0, ?1)");
    end = base.prepare("UPDATE runs SET state = 1, updated = ?1 WHERE id = ?1");
  }
  ~workflows() {
    for (sqlite3_stmt* one : {event, start, end}) sqlite3_finalize(one);
  }
  void append(std::int64_t run, int seq) {
    if (seq == 1) {
      const std::string key = "order-" + std::to_string(run);
      sqlite3_bind_int64(start, 1, run);
      sqlite3_bind_text(start, 2, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
      base.run(start);
    }
    sqlite3_bind_int64(event, 1, run);
    sqlite3_bind_int(event, 2, seq);
    sqlite3_bind_blob(event, 3, bytes.data(), 180, SQLITE_STATIC);
    base.run(event);
    if (seq < events_per_run) return;
    sqlite3_bind_int64(end, 1, run);
    base.run(end);
  }
  plain_database base;
  const int events_per_run;
  std::string bytes = std::string(180, 'x');
  sqlite3_stmt *event, *start, *end;
};

}  // namespace

std::unique_ptr<raw_commits> sqlite_commits(const std::string& path) {
  return std::make_unique<commits>(path);
}

double raw_workflows(const std::string& path, int in_flight, double seconds, int events) {
  workflows to(path, events);
  struct running {
    std::int64_t run;
    int seq;
  };
  std::int64_t runs = 0;
  std::vector<running> all;
  for (int i = 0; i < in_flight; ++i) all.push_back({++runs, 0});
  std::int64_t ended = 0;
  const double began = now_s();
  for (int round = 0; now_s() - began < seconds; ++round) {
    to.base.script("BEGIN IMMEDIATE");
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (round<events&& static_cast<int>(i) % events> round) continue;
      to.append(all[i].run, ++all[i].seq);
      if (all[i].seq < events) continue;
      ++ended;
      all[i] = {++runs, 0};
    }
    to.base.script("COMMIT");
    to.base.checkpoint_if_due();
  }
  return static_cast<double>(ended) / (now_s() - began);
}

}  // namespace fermata::bench
