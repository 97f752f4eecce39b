// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_sqlite.hpp"

#include "bench/plain_database.hpp"

#include <sqlite3.h>

#include <string>

namespace fermata::bench {

namespace {

constexpr const char* tables =
    "CREATE TABLE events(lsn INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, "
    "  seq INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE UNIQUE INDEX events_by_run ON events(run, seq);"
    "CREATE TRIGGER events_stay BEFORE DELETE ON events "
    "  BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
    "CREATE TABLE runs(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, "
    "  state INTEGER NOT NULL, updated INTEGER NOT NULL);"
    "CREATE TABLE requests(queue INTEGER NOT NULL, id INTEGER NOT NULL, bytes BLOB NOT NULL, "
    "  PRIMARY KEY (queue, id)) WITHOUT ROWID;"
    "CREATE TABLE timers(due INTEGER NOT NULL, run INTEGER NOT NULL, "
    "  PRIMARY KEY (due, run)) WITHOUT ROWID;";

class bare : public bare_rows {
 public:
  bare(const std::string& path, int runs, std::size_t payload_bytes)
      : bare_rows(runs), base_(path), event_(180, 'x'), payload_(payload_bytes, 'x') {
    base_.script(tables);
    put_event_ = base_.prepare("INSERT INTO events(run, seq, bytes) VALUES (?1, ?2, ?3)");
    put_run_ = base_.prepare("INSERT INTO runs(id, key, state, updated) VALUES (?1, ?2, 0, ?1)");
    end_run_ = base_.prepare("UPDATE runs SET state = 1, updated = ?1 WHERE id = ?1");
    put_request_ = base_.prepare("INSERT INTO requests(queue, id, bytes) VALUES (1, ?1, ?2)");
    take_request_ = base_.prepare("DELETE FROM requests WHERE queue = 1 AND id = ?1");
    put_timer_ = base_.prepare("INSERT INTO timers(due, run) VALUES (?1, ?2)");
    remove_timer_ = base_.prepare("DELETE FROM timers WHERE due = ?1 AND run = ?2");
  }
  ~bare() override {
    for (sqlite3_stmt* one :
         {put_event_, put_run_, end_run_, put_request_, take_request_, put_timer_, remove_timer_})
      sqlite3_finalize(one);
  }

 protected:
  void begin() override { base_.script("BEGIN IMMEDIATE"); }
  void event(std::int64_t run, std::int64_t position) override {
    bind_bytes(put_event_, 3, event_);
    with(put_event_, run, position);
  }
  void run_begun(std::int64_t run) override {
    const std::string key = "order-" + std::to_string(run);
    bind_bytes(put_run_, 2, key);
    with(put_run_, run);
  }
  void run_ended(std::int64_t run) override { with(end_run_, run); }
  void request(std::int64_t id) override {
    bind_bytes(put_request_, 2, payload_);
    with(put_request_, id);
  }
  void request_taken(std::int64_t id) override { with(take_request_, id); }
  void timer(std::int64_t due, std::int64_t run) override { with(put_timer_, due, run); }
  void timer_gone(std::int64_t due, std::int64_t run) override { with(remove_timer_, due, run); }
  void end() override {
    base_.script("COMMIT");
    base_.checkpoint_if_due();
  }

 private:
  static void bind_bytes(sqlite3_stmt* what, int at, const std::string& bytes) {
    sqlite3_bind_blob(what, at, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
  }
  void with(sqlite3_stmt* what, std::int64_t first) {
    sqlite3_bind_int64(what, 1, first);
    base_.run(what);
  }
  void with(sqlite3_stmt* what, std::int64_t first, std::int64_t second) {
    sqlite3_bind_int64(what, 2, second);
    with(what, first);
  }

  plain_database base_;
  const std::string event_, payload_;
  sqlite3_stmt *put_event_, *put_run_, *end_run_, *put_request_, *take_request_, *put_timer_,
      *remove_timer_;
};

}  // namespace

std::unique_ptr<bare_rows> bare_sqlite(const std::string& path, int runs,
                                       std::size_t payload_bytes) {
  return std::make_unique<bare>(path, runs, payload_bytes);
}

}  // namespace fermata::bench
