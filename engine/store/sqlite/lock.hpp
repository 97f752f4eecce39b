// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/host/file.hpp"

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

/// One process writes at a time. PROTOCOL §9.
namespace fermata::engine::sqlite {

/// Takes a warning that a person should read, one sentence.
using warn = std::function<void(std::string_view sentence)>;
void say_on_stderr(std::string_view sentence);

/// `<journal>-lock`: held around every write transaction and every checkpoint of our processes.
/// An open-file-description lock, so it is gone when its holder is; the file's page says who holds
/// it, and hands it over fairly: who has just let go waits for those who wait.
/// Threads: one at a time per object; each process needs one object per journal.
class lock_file {
 public:
  /// How long a waiter waits before it says who holds the lock, and before it gives up.
  struct patience {
    std::int64_t warn_ms;
    std::int64_t give_up_ms;
  };

  /// Throws store_failure when the file can't be made. `journal` is the path of the database.
  explicit lock_file(const std::string& journal, warn say = {});
  lock_file(const std::string& journal, warn say, patience how_long);
  ~lock_file();

  /// UNAVAILABLE (FER-2102) names the holder, when it gives up.
  absl::Status acquire();
  void release();

  /// "process 4711 (orders-worker), which is stopped (state T)": for messages.
  std::string holder() const;

 private:
  struct page;
  void let_others_first();
  bool take();
  absl::Status wait_for_turn();

  // Set once.
  std::string path_;
  warn say_;
  patience patience_;
  host::file file_;
  host::shared_page mapping_;
  page* page_;
  std::uint64_t my_start_ = 0;

  std::uint32_t my_turn_ = 0;  // of the last time that it was ours
  int idle_yields_ = 0;        // in a row, nobody took it
};

/// Holds the lock file for a scope: user transactions (`fermata::sqlite_transaction`) and probes
/// that write into a journal's database by a connection of their own take it first.
/// Example: `sqlite_lock turn("orders.db"); if (!turn.status().ok()) …; sqlite3_exec(db, "BEGIN…")`.
class sqlite_lock {
 public:
  explicit sqlite_lock(const std::string& journal);
  explicit sqlite_lock(lock_file& of);
  ~sqlite_lock();
  sqlite_lock(const sqlite_lock&) = delete;
  sqlite_lock& operator=(const sqlite_lock&) = delete;

  /// Whether it is held.
  const absl::Status& status() const noexcept { return status_; }

 private:
  std::unique_ptr<lock_file> own_;
  lock_file* of_ = nullptr;
  absl::Status status_;
};

}  // namespace fermata::engine::sqlite
