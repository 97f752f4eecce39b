// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/store/sqlite/address.hpp"
#include "engine/store/sqlite/errors.hpp"
#include "engine/store/sqlite/lock.hpp"
#include "engine/store/sqlite/readers.hpp"
#include "engine/store/host/slots.hpp"
#include "engine/store/sqlite/sqlite_store.hpp"
#include "engine/store/host/suspend.hpp"
#include "engine/store/sqlite/turn.hpp"
#include "engine/store/sqlite/wake.hpp"

#include <atomic>
#include <concepts>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace fermata::engine::sqlite {

/// Whether the guards of the events table look at what a transaction does. Appends go without: they
/// are plain inserts, which the unique index alone keeps from replacing anything, and a trigger
/// would cost a fifth of a commit. Whatever else writes, users' statements first of all, has them.
enum class guards { on, off };

/// A journal's files and connections: what every method of the store stands on. Two verbs: `write`
/// runs a transaction under the mutex and the lock file, `read` gives a connection of its own.
class journal_file {
 public:
  /// Opens, checks, creates and migrates. Throws store_failure. opening.cpp
  journal_file(sqlite::address where, const open_options& options, const surroundings& around);
  ~journal_file();

  /// One write transaction: durable when this returns. Throws store_failure; then nothing of it is
  /// there, unless the disk failed in the very commit: then it may be there after a crash.
  template <class Work>
  auto write(std::int64_t worker, Work&& work, guards guarded_by = guards::on)
      -> decltype(work(std::declval<turn&>())) {
    const std::lock_guard guard(mutex_);
    // No thread of this process holds the lock here.
    if (failpoint("sqlite.before_lock"))
      fail(absl::StatusCode::kUnavailable, "FER-2102", "a failpoint keeps the lock away");
    const sqlite_lock lock(lock_);
    if (!lock.status().ok()) throw store_failure{lock.status()};
    begin(guarded_by);
    try {
      turn turn = make_turn(worker);
      if constexpr (std::same_as<decltype(work(turn)), void>) {
        work(turn);
        end(turn);
      } else {
        auto result = work(turn);
        end(turn);
        return result;
      }
    } catch (...) {
      roll_back();
      throw;
    }
  }

  readers::lease read() { return readers_.take(); }

  time_us now() const;

  const address where;
  const std::shared_ptr<clock> time;
  const std::shared_ptr<random> chance;
  const bool virtual_time;  // it stands still while somebody waits

 private:
  // Opened first: a file that isn't ours gets no files beside it.
  std::unique_ptr<connection> db_;  // guarded by mutex_
  lock_file lock_;                  // guarded by mutex_

 public:
  host::worker_slots slots;
  wake_file wake;
  host::suspend_watch suspends;

 private:
  friend struct opening;

  void begin(guards guarded_by);
  void end(turn& turn);
  void roll_back() noexcept;
  turn make_turn(std::int64_t worker);
  void refresh_after_others();
  void refuse_newer_schema();
  void checkpoint_if_due();
  void warn_of_readers(int wal_pages);
  void warn_of_clock();

  // Set once.
  warn say_;
  bool read_only_ = false;
  const int checkpoint_step_ =
      static_cast<int>(engine::bound("checkpoint_pages", limits::checkpoint_pages));

  std::mutex mutex_;
  // Guarded by mutex_.
  heads heads_;
  handed_timers handed_;
  sqlite::due_from due_from_;
  std::int64_t seen_version_ = 0;  // PRAGMA data_version
  log_state begun_;                // of the open transaction
  bool follows_foreign_ = false;
  std::int64_t last_mark_ = 0;
  int wal_pages_ = 0;                     // in the log after the last commit
  int checkpoint_at_ = checkpoint_step_;  // pages at which the next one is due
  bool warned_of_readers_ = false;
  bool warned_of_clock_ = false;

  std::atomic<time_us> latest_{0};  // of all times stored
  readers readers_;
};

}  // namespace fermata::engine::sqlite
