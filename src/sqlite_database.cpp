// SPDX-License-Identifier: Apache-2.0
#include "src/sqlite_connection.hpp"

#include <fermata/error.hpp>
#include <fermata/sqlite.hpp>

#include <sqlite3.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace fermata {

namespace {

using detail::sqlite_connection;
using detail::sqlite_query;

constexpr const char* make_table =
    "CREATE TABLE IF NOT EXISTS fermata_receipts(origin TEXT NOT NULL, operation TEXT NOT NULL, "
    "outcome BLOB NOT NULL, PRIMARY KEY (origin, operation))";
constexpr const char* has_table =
    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'fermata_receipts'";
constexpr const char* find_receipt =
    "SELECT outcome FROM fermata_receipts WHERE origin = ?1 AND operation = ?2";
constexpr const char* add_receipt =
    "INSERT INTO fermata_receipts(origin, operation, outcome) VALUES (?1, ?2, ?3)";

/// What one attempt is about.
struct receipt_key {
  std::string_view origin, operation;
};

std::optional<std::string> outcome_of(sqlite_connection& in, const receipt_key& key) {
  if (!sqlite_query(in, has_table).next()) return std::nullopt;
  sqlite_query found(in, find_receipt);
  found.text(1, key.origin);
  found.text(2, key.operation);
  if (!found.next()) return std::nullopt;
  return found.bytes(0);
}

/// The write transaction that `effects` come into; rolls back unless it is committed.
class transaction {
 public:
  explicit transaction(sqlite_connection& in) : in_(in) { in_.execute("BEGIN IMMEDIATE"); }
  ~transaction() {
    if (in_.in_transaction()) in_.try_execute("ROLLBACK");
  }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  void commit() { in_.execute("COMMIT"); }

 private:
  sqlite_connection& in_;
};

class sqlite_file final : public transactor<sqlite3> {
 public:
  explicit sqlite_file(std::string path) : path_(std::move(path)) {
    if (path_.empty() || path_.starts_with(":memory:"))
      throw error(codes::worker_misuse,
                  "sqlite_database needs a file: a database in memory would be another one for "
                  "each thread");
  }

  std::string commit(std::string_view origin, std::string_view operation,
                     const std::function<std::string(sqlite3&)>& body) override {
    const receipt_key key{origin, operation};
    std::unique_ptr<sqlite_connection> mine = take();
    std::optional<std::string> outcome = outcome_of(*mine, key);
    if (!outcome) outcome = in_turn(*mine, key, body);
    give_back(std::move(mine));  // not after an exception: what a body did to it is unknown
    return *std::move(outcome);
  }

 private:
  /// One thread of ours at a time: SQLite would let the others poll for their turn.
  std::string in_turn(sqlite_connection& on, const receipt_key& key,
                      const std::function<std::string(sqlite3&)>& body) {
    if (writer_.load() == std::this_thread::get_id())
      throw error(codes::worker_misuse, "a transaction of " + path_ +
                                            " can't begin inside another one: the step must use "
                                            "the handle that it was given");
    const std::lock_guard turn(turn_);
    writer_ = std::this_thread::get_id();
    const struct ending {
      std::atomic<std::thread::id>& writer;
      ~ending() { writer = std::thread::id(); }
    } at_the_end{writer_};
    on.begin_waiting();
    transaction work(on);
    // Who overlapped with us and lost, loses here: it was kept waiting until the winner's commit.
    if (std::optional<std::string> theirs = outcome_of(on, key)) return *std::move(theirs);
    std::string outcome = body(*on.handle());
    check_still_open(on);
    on.execute(make_table);
    sqlite_query receipt(on, add_receipt);
    receipt.text(1, key.origin);
    receipt.text(2, key.operation);
    receipt.blob(3, outcome);
    receipt.run();
    on.begin_waiting();
    work.commit();
    return outcome;
  }

  void check_still_open(const sqlite_connection& on) const {
    if (!on.in_transaction())
      throw error(codes::worker_misuse,
                  "the step ended its transaction of " + path_ +
                      " itself: its effects and its outcome must be one transaction, so it must "
                      "leave COMMIT and ROLLBACK to the worker");
  }

  std::unique_ptr<sqlite_connection> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<sqlite_connection> found = std::move(idle_.back());
        idle_.pop_back();
        found->begin_waiting();
        return found;
      }
    }
    auto made = std::make_unique<sqlite_connection>(path_);
    made->make_durable();
    return made;
  }

  void give_back(std::unique_ptr<sqlite_connection> used) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(used));
  }

  // Set once.
  const std::string path_;

  std::mutex turn_;  // of our threads, to write
  std::atomic<std::thread::id> writer_;

  // Guarded by mutex_. As many as threads were in `commit` at once.
  std::mutex mutex_;
  std::vector<std::unique_ptr<sqlite_connection>> idle_;
};

}  // namespace

std::unique_ptr<transactor<sqlite3>> sqlite_database(std::string path) {
  return std::make_unique<sqlite_file>(std::move(path));
}

}  // namespace fermata
