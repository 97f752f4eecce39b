// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <string>
#include <string_view>

/// What an operator does to a run: by the command, the client or a rescuer. Each act is events with
/// who and why; it takes the run by `owner_changed` and needs only its last event, never a replay:
/// so it works on blocked and huge runs. Races with the run's owner are settled by the predecessor,
/// and tried again a few times.
namespace fermata::engine {

struct act {
  std::string who;  // "ada@host (fermata)"
  std::string why;
};

/// No user code and no compensation runs; what was left is listed in the end event. Also ends a
/// start request that hasn't begun. Errors: FER-1302 unknown, FER-1303 ended already.
absl::Status terminate(store& where, const run_id& run, const act& by);

/// Claims skip it until `resume`. Errors as above.
absl::Status pause(store& where, const run_id& run, const act& by);
absl::Status resume(store& where, const run_id& run, const act& by);

/// PROTOCOL §6. An open run with attention blocked, quarantined or needs_attention goes on: attention
/// and crash counts are cleared. A healthy open run is refused. An ended run that failed, was
/// cancelled or terminated starts a new run of the same chain: copied is everything before the
/// failed outcome, then later outcomes of operations in flight there, never compensation.
/// `from_start` copies nothing. Gives the run that goes on.
absl::StatusOr<run_id> retry(store& where, const run_id& run, const act& by, bool from_start);

/// What a rescuer found in the black box of a dead worker.
struct blame {
  std::string operation;  // empty: the workflow's own code
  std::string step;
  int attempt = 0;
  int signal = 0;  // 0: no attribution, a suspicion
  std::string backtrace;
  bool alone = false;
};
/// Journals an `attempt_crashed` or a `suspicion` for each, in one append that takes the run from
/// `dead` and makes it ready: once for each death, whoever else tries or tried it. NOT_FOUND and
/// ended runs are no error.
absl::Status journal_blame(store& where, const run_id& run, const worker_row& dead,
                           const std::vector<blame>& found);

/// Ended parents: tells their children, a batch at a time. True when there may be more.
absl::StatusOr<bool> close_children(store& where, std::size_t at_most);

/// Start requests whose `not_after` has passed end as `expired`.
absl::Status expire_requests(store& where, std::size_t at_most);

}  // namespace fermata::engine
