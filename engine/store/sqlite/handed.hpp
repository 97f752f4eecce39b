// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace fermata::engine::sqlite {

/// Due timers that an owner has been handed: each once per epoch and setting, since they stay in
/// the table until the owner's append. In memory: who hands out is the owner's own process.
class handed_timers {
 public:
  bool has(std::int64_t run, const std::string& operation, epoch_t epoch, time_us due) const {
    const auto at = known_.find({run, operation});
    return at != known_.end() && at->second == std::pair(epoch, due);
  }
  void add(std::int64_t run, const std::string& operation, epoch_t epoch, time_us due) {
    known_[{run, operation}] = {epoch, due};
    added_.emplace_back(run, operation);
  }
  void remove(std::int64_t run, const std::string& operation) { known_.erase({run, operation}); }
  void remove_all(std::int64_t run) {
    auto at = known_.lower_bound({run, std::string()});
    while (at != known_.end() && at->first.first == run) at = known_.erase(at);
  }

  void committed() {
    added_.clear();
    // Runs that others took meanwhile are never taken out: forget all, and hand out again.
    if (known_.size() > known_max) known_.clear();
  }
  /// What a failed transaction handed out was never received. One removed too many is handed again.
  void rolled_back() {
    for (const auto& key : added_) known_.erase(key);
    added_.clear();
  }

 private:
  static constexpr std::size_t known_max = 65'536;
  using key = std::pair<std::int64_t, std::string>;
  std::map<key, std::pair<epoch_t, time_us>> known_;
  std::vector<key> added_;  // by the open transaction
};

}  // namespace fermata::engine::sqlite
