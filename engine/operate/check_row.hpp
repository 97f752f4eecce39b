// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/operate/check_run.hpp"
#include "engine/store/store.hpp"

#include <map>
#include <string>
#include <vector>

/// What a store keeps beside a run's journal, compared with the journal.
namespace fermata::engine {

/// The run's row, timers and published values. Errors only when the store can't be read.
absl::Status check_row(const store& where, const run_check& run, const run_row& row,
                       const report& found);

/// A message is in the journal or in the inbox.
absl::Status check_unread(const store& where, const run_check& run, const run_row& row,
                          const report& found);

/// Each child that the journal started exists; its end is in the journal or on its way.
absl::Status check_children(const store& where, const run_check& run, const run_row& row,
                            const report& found);

/// Whether `parent`'s journal has started `child` as `operation`; true in doubt: a parent that
/// retention removed, or that is damaged, says nothing. Remembers the parent asked last.
class parent_check {
 public:
  explicit parent_check(const store& where) : where_(where) {}
  absl::StatusOr<bool> has_started(const run_id& parent, const std::string& operation,
                                   const chain_id& child);

 private:
  absl::Status read(const run_id& parent);

  const store& where_;
  run_id parent_;
  std::map<std::string, chain_id> children_;
  bool readable_ = false;
};

/// Runs that nobody owns and nothing seems to wake; the contract tells how many are ready, not which.
class orphan_check {
 public:
  explicit orphan_check(const store& where) : where_(where) {}
  /// An open run.
  absl::Status look(const run_row& row, const report& found);
  /// At the end: those that can't all be ready work.
  absl::Status tell(const std::function<void(const run_id&, std::string)>& found);

 private:
  absl::StatusOr<bool> is_alive(std::int64_t worker);
  absl::StatusOr<bool> nothing_wakes(const run_row& row) const;
  bool has_moved(const run_row& row) const;

  const store& where_;
  std::map<std::int64_t, bool> alive_;
  std::map<std::string, std::vector<run_row>> unready_;  // by namespace
};

}  // namespace fermata::engine
