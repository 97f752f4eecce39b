// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/sqlite/connection.hpp"
#include "engine/store/host/file.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace fermata::engine::sqlite {

/// Where a database's log stands: a counter that each commit raises, whoever made it (iChange in the
/// header of SQLite's wal-index, walformat.html §2.1.1), and what this connection has changed so far.
/// Costs no statement. The database must keep a log, and the connection must have read something.
struct log_state {
  std::uint32_t counter = 0;
  int changes = 0;
};
log_state log_of(sqlite3* db);

/// `<journal>-wake`: a counter that all processes of a journal map, and sleep on. Correctness never
/// needs it: who missed a wake-up polls.
/// Threads: any.
class wake_file {
 public:
  /// Throws store_failure.
  explicit wake_file(const std::string& journal);
  ~wake_file();

  std::uint32_t count() const;
  /// After a commit that concerns others returned: never before, or they'd look too early.
  void bump();
  /// The same, where this process knows already: runs ended, and nothing else.
  void bump_for_ends();
  std::uint32_t bumps_for_ends() const { return for_ends_.load(); }
  /// Sleeps until the count isn't `seen` any more, or the time is over. From the first wait on, a
  /// thread watches for commits of programs that don't know this file.
  void wait(std::uint32_t seen, std::int64_t timeout_us);

  /// In a write transaction of ours, at its beginning: did a foreign commit come before it, of which
  /// nobody has told the others yet? Who is told so bumps after its own commit.
  bool follows_foreign(const log_state& begun) const;
  /// Right after COMMIT, under the lock file: this one was ours, what comes behind it may be foreign.
  void committed(const log_state& begun, sqlite3* by);

 private:
  struct page;
  void watch();
  void watch_commits();
  bool foreign_commit(sqlite3* db);

  // Set once.
  std::string journal_;
  host::file file_;
  host::shared_page mapping_;
  page* page_;

  std::atomic<std::uint32_t> for_ends_ = 0;

  std::once_flag watching_;
  std::thread watcher_;
  int stop_ = -1;  // eventfd: the watcher ends
};

}  // namespace fermata::engine::sqlite
