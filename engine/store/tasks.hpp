// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/records.hpp"

/// What every store does alike with tasks of remote steps.
namespace fermata::engine {

/// When the owner of its run has to look after the task, as its row stands; 0: never. A store keeps a
/// timer of the operation, purpose `give_up`, at this time. Attempts are timed by whoever executes them:
/// the owner comes `limits::late_task_ms` later, for those whose worker is frozen.
time_us due_of(const task_row& task) noexcept;

/// The message that says how this attempt ended has this id, whoever makes it: so there is one.
message_id outcome_id(const task_name& task);
task_name name_of(const task_row& task);

/// How an attempt ended that nobody else speaks for: `lost`, `given_back`, or `cancelled` before it
/// was taken. `worker`: wrk_…, whose task it was.
message outcome_of(const task_row& task, task_end how, std::string_view worker = {});

}  // namespace fermata::engine
