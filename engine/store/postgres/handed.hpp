// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace fermata::engine::postgres {

/// Due timers that an owner has been handed: each once per epoch and setting, since they stay in the
/// table until the owner's append. In memory: who hands out is the owner's own process.
/// Threads: any.
class handed_timers {
 public:
  using key = std::pair<run_id, std::string>;
  struct setting {
    epoch_t epoch = 0;
    time_us due = 0;
    friend bool operator==(const setting&, const setting&) = default;
  };

  bool has(const key& timer, const setting& how) const {
    const std::lock_guard guard(mutex_);
    const auto at = known_.find(timer);
    return at != known_.end() && at->second == how;
  }
  /// When the transaction is committed: what a failed one handed out was never received.
  void add(const std::vector<std::pair<key, setting>>& handed) {
    const std::lock_guard guard(mutex_);
    // Runs that others took meanwhile are never taken out: forget all, and hand out again.
    if (known_.size() > known_max) known_.clear();
    for (const auto& [timer, how] : handed) known_[timer] = how;
  }
  void remove(const run_id& run, const std::string& operation) {
    const std::lock_guard guard(mutex_);
    known_.erase({run, operation});
  }
  void remove_all(const run_id& run) {
    const std::lock_guard guard(mutex_);
    auto at = known_.lower_bound({run, std::string()});
    while (at != known_.end() && at->first.first == run) at = known_.erase(at);
  }

 private:
  static constexpr std::size_t known_max = 65'536;
  mutable std::mutex mutex_;
  std::map<key, setting> known_;
};

}  // namespace fermata::engine::postgres
