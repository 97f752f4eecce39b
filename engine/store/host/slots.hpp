// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/host/file.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace fermata::engine::host {

/// `<journal>-workers`: a byte per worker. Its worker holds a lock on it for life, so whoever finds
/// it unlocked knows that the process is gone; a frozen one keeps it. The byte itself is 1 while the
/// slot is in use: so that a look needs no statement.
/// Threads: any.
class worker_slots {
 public:
  explicit worker_slots(const std::string& journal);

  /// Takes the lowest slot that is free and not in `used`, for the worker of the next `keep`.
  int take(const std::set<int>& used);
  /// The slot is this worker's from now on.
  void keep(int slot, std::int64_t worker);
  /// Lets go of the lock; the slot may be taken again.
  void give_back(int slot);

  /// Is the lock of a slot in nobody's hands?
  bool abandoned(int slot) const;
  /// Is any slot in use whose lock nobody holds, but this worker's?
  bool any_abandoned(std::int64_t but_of_worker) const;
  /// Does any worker, of whatever process, hold a slot?
  bool any_held() const;
  /// Frees the slots in use whose lock nobody holds, but those that `needed` answers: of workers whose
  /// death hasn't been dealt with.
  void free_left(const std::function<std::set<int>()>& needed);

 private:
  void write(int slot, char value) const;
  std::set<int> abandoned_in_use() const;

  // Set once.
  std::string path_;
  file look_;  // holds no lock, so that locks of this process are seen too

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<int, file> held_;
  std::map<int, std::int64_t> worker_of_;
};

}  // namespace fermata::engine::host
