// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace fermata::simulation {

/// What isn't as promised. A seed's failure is known by the kind of its first one.
struct complaint {
  std::string kind;
  std::string text;
};

/// What happened, kept beside the journal: what bodies of steps did, and what commits said. It complains
/// of what can be seen at once.
class record {
 public:
  // ---- bodies of steps ----
  void body_begins(std::string_view key, int attempt);
  /// A body had an effect under this key that is to be undone if its run fails.
  void charged(std::string_view key);
  void refunded(std::string_view key_of_charge) { refunded_.emplace(key_of_charge); }
  bool began(const std::string& key) const { return began_.contains(key); }
  /// Charges of this run that nobody has undone.
  std::size_t open_charges(const std::string& run) const;
  bool refunds_of(const std::string& run) const;

  // ---- the store, behind the faults ----
  /// After the commit: `what` has the events still.
  void committed(const engine::batch& what, const engine::batch_result& answer);
  void marked_dead(std::int64_t worker) { dead_.insert(worker); }

  void complain(std::string kind, std::string text);
  const std::vector<complaint>& complaints() const noexcept { return complaints_; }

  struct counts {
    std::uint64_t events = 0;
    std::uint64_t attempts = 0;
    std::uint64_t late = 0;  // began after an outcome that came after their taking
    std::uint64_t faults = 0;
    std::uint64_t acked = 0;
  };
  counts total;
  bool a_clock_was_wrong = false;  // a wall clock, once

 private:
  struct last_of_run {
    engine::position_t position = 0;
    engine::epoch_t epoch = 0;
    std::int64_t owner = 0;
  };
  void appended(std::int64_t worker, const engine::append& what);
  void owned(const engine::run_id& run, engine::epoch_t epoch, std::int64_t worker);

  std::unordered_set<std::string> began_;
  // Keys whose outcome is in a committed event, and of which attempt it is.
  std::unordered_map<std::string, int> finished_;
  std::unordered_map<std::string, std::set<int>> taken_;  // attempts of tasks, by key
  std::set<std::string, std::less<>> charged_;
  std::set<std::string, std::less<>> refunded_;
  std::set<std::string, std::less<>>
      registered_;  // run/operation whose undoing is in a committed event
  std::unordered_map<engine::run_id, last_of_run> runs_;
  std::set<std::int64_t> dead_;
  std::vector<complaint> complaints_;
};

}  // namespace fermata::simulation
