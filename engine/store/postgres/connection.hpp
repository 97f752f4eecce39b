// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"
#include "engine/store/postgres/address.hpp"
#include "engine/store/postgres/errors.hpp"
#include "engine/store/postgres/params.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fermata::engine::postgres {

/// The answer to one statement; `next` goes to its first row, then its second …
class rows {
 public:
  explicit rows(pg_result* owned);

  bool next() noexcept { return ++row_ < count_; }
  int count() const noexcept { return count_; }
  /// Rows that an INSERT, UPDATE or DELETE concerned.
  std::int64_t affected() const;

  // Of the current row. Of NULL: 0, empty.
  bool null(int column) const noexcept;
  std::int64_t integer(int column) const noexcept;  // int2, int4, int8, bool, xid8
  std::string_view text(int column) const noexcept;
  std::string_view bytes(int column) const noexcept { return text(column); }
  chain_hash hash(int column) const noexcept;
  template <class Id>
  Id id(int column) const noexcept {
    return null(column) ? Id{} : Id::of(ulid::from_view(text(column)));
  }

 private:
  struct free_result {
    void operator()(pg_result* result) const noexcept;
  };
  std::unique_ptr<pg_result, free_result> result_;
  int row_ = -1;
  int count_ = 0;
};

/// What a server says of itself when we connect.
struct identity {
  std::string system;    // of the cluster, the same on its replicas
  std::string timeline;  // rises with a promotion; empty in recovery
  std::string database;  // its object id
  bool in_recovery = false;
  bool read_only = false;
  bool pooled = false;  // a pgbouncer stands before it: no session state, no LISTEN
  int version = 0;      // 150004
  std::string synchronous_commit;
  bool fsync = true;

  friend bool operator==(const identity& a, const identity& b) {
    return a.system == b.system && a.timeline == b.timeline && a.database == b.database;
  }
};

/// One connection. Statements are prepared when they are first sent, and known by their address: give
/// literals. `fermata.` in them becomes the journal's schema. Several sent together are one round trip
/// (libpq's pipeline mode). Throws store_failure.
/// Threads: one at a time.
class connection {
 public:
  /// Connects, and asks who is there. Of several hosts this one is tried first (modulo their number).
  explicit connection(const address& where, std::size_t first_host = 0);
  ~connection();
  connection(const connection&) = delete;

  /// Queues a statement; nothing is known of it before `finish`.
  void send(const char* sql, params&& given = params());
  /// Sends what is queued and waits for all answers, in order. The first failure is thrown when all
  /// have come in.
  std::vector<rows> finish();
  /// One statement, its answer.
  rows run(const char* sql, params&& given = params());
  /// One that is made for this call, not prepared.
  rows run_once(const std::string& sql, params&& given = params());
  /// Any number of statements without parameters, as one transaction if they don't say otherwise.
  void script(std::string_view sql);

  /// Whether it was prepared, and so has a plan, perhaps.
  bool knows(const char* sql) const;

  /// Called when an answer is long in coming (`limits::lock_warning_ms`), and every minute from then on,
  /// with the process of the server that works for us; not behind a pool, where nobody knows it.
  void on_long_wait(std::function<void(int process)> call) { long_wait_ = std::move(call); }

  bool alive() const noexcept;
  /// Within an open or failed transaction.
  bool in_transaction() const noexcept;
  /// Gives the transaction up; false when the connection is gone.
  bool roll_back() noexcept;

  const identity& server() const noexcept { return server_; }
  /// The session's own settings make each commit durable; else a transaction must ask for it.
  bool durable() const noexcept {
    const std::string& how = server_.synchronous_commit;
    return !server_.pooled && (how == "on" || how == "remote_apply");
  }
  pg_conn* handle() const noexcept { return db_.get(); }

 private:
  struct statement {
    std::string text;
    std::string name;
    bool prepared = false;
  };
  struct queued {
    statement* what = nullptr;
    bool prepares = false;
  };
  struct close {
    void operator()(pg_conn* db) const noexcept;
  };

  void connect(const address& where, std::size_t first_host);
  void ask_who_is_there();
  statement& known(const char* sql);
  void enter_pipeline();
  void leave_pipeline();
  void await_answer();
  [[noreturn]] void broken(std::string_view what);

  const std::string schema_;
  std::unique_ptr<pg_conn, close> db_;
  identity server_;
  std::function<void(int process)> long_wait_;
  std::unordered_map<const char*, std::unique_ptr<statement>> statements_;
  std::deque<queued> queue_;
};

}  // namespace fermata::engine::postgres
