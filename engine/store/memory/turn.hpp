// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/memory/tables.hpp"

/// The verbs of one commit, each in a file of its own. All run under the store's mutex.
namespace fermata::engine::memory {

/// One transaction at work.
struct turn {
  tables& data;
  clock& time;
  random& chance;
  time_us now = 0;
  std::int64_t worker = 0;  // who writes; 0: a client or operator
};

append_result apply_append(turn& turn, append&& what);

std::vector<start_result> apply_starts(turn& turn, const std::vector<start_item>& all);
/// A child's start request, or the continuation of a run. One whose run exists is left alone.
void insert_child(turn& turn, start_request request);
/// Writes event 1 of `request`; the writing worker owns the run.
run_record& begin(turn& turn, const start_request& request, const encoded_event& first,
                  std::string_view build);

enum class bound { checked, ignored };
message_result put_message(turn& turn, message what, bound inbox_bound);

void claim(turn& turn, const claim_request& what, batch_result& result);

/// What an append does to the run's tasks; an end leaves none.
void write_tasks(turn& turn, run_record& run, append& what);
finish_result finish_task(turn& turn, task_finish what);
/// What a claim does beside runs.
void claim_tasks(turn& turn, const claim_request& what, batch_result& result);
/// The attempts that this worker holds have ended, and its runs' owners are told.
void end_held_tasks(turn& turn, std::int64_t worker, task_end how);

/// A worker that owns something has a lease.
void set_lease(turn& turn);

/// The last `limits::logs_per_run` lines of a run are kept; a line that is there is left out.
void keep_log(run_record& run, const log_line& line);

}  // namespace fermata::engine::memory
