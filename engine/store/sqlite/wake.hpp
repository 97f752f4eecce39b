// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/sqlite/connection.hpp"
#include "engine/store/sqlite/file.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace fermata::engine::sqlite {

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

  /// Counts a commit of our own, of whatever process: what `PRAGMA data_version` shows beyond these
  /// is foreign. Called under the lock file, right before COMMIT.
  void count_commit();

 private:
  struct page;
  void watch();
  void watch_commits();
  bool foreign_commit(connection& db);

  // Set once.
  std::string journal_;
  file file_;
  shared_page mapping_;
  page* page_;

  std::atomic<std::uint32_t> for_ends_ = 0;

  std::once_flag watching_;
  std::thread watcher_;
  int stop_ = -1;  // eventfd: the watcher ends

  // Touched only by the watcher.
  std::int64_t seen_version_ = 0;
  std::uint32_t seen_commits_ = 0;
};

}  // namespace fermata::engine::sqlite
