// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/records.hpp"

#include <vector>

/// Projections are folds of events: one function for live appends, rebuild and verify.
namespace fermata::engine {

/// Adds to `changes` what `what` means for the run's row, timers, tags and published values.
void fold_changes(const run_id& run, const event& what, run_changes& changes);

/// Event 1 of a run that begins now.
event make_start_event(const start_request& request, time_us now, epoch_t epoch,
                       std::string_view build);

/// The run's row as event 1 makes it.
run_row row_of_start(const start_request& request, const event& start);

/// How a start request looks among runs.
run_row row_of_request(const start_request& request);

/// Merges `more` into `changes`, later wins.
void merge_changes(run_changes& changes, const run_changes& more);

}  // namespace fermata::engine
