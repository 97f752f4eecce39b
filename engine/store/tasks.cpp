// SPDX-License-Identifier: Apache-2.0
#include "engine/store/tasks.hpp"

#include "engine/limits.hpp"

#include <algorithm>

namespace fermata::engine {

namespace {

/// Saturating: a user's "for ever" is a duration, too.
time_us later(time_us from, std::int64_t ms) noexcept {
  constexpr std::int64_t century_ms = 100LL * 366 * 24 * 3600 * 1000;
  return from + std::min(ms, century_ms) * 1000;
}

}  // namespace

time_us due_of(const task_row& task) noexcept {
  time_us due = task.give_up_at;
  const auto sooner = [&due](time_us at) {
    if (due == 0 || at < due) due = at;
  };
  if (task.taken == 0) return due;
  if (task.timeout_ms > 0) sooner(later(task.taken, task.timeout_ms + limits::late_task_ms));
  if (task.heartbeat_timeout_ms > 0)
    sooner(
        later(std::max(task.taken, task.beat), task.heartbeat_timeout_ms + limits::late_task_ms));
  return due;
}

message_id outcome_id(const task_name& task) {
  const std::string name = task.operation + "/task/" + std::to_string(task.epoch);
  return message_id::of(child_run_id(task.run, name, 0));
}

task_name name_of(const task_row& task) { return {task.run, task.operation, task.epoch}; }

message outcome_of(const task_row& task, task_end how, std::string_view worker) {
  message told;
  told.id = outcome_id(name_of(task));
  told.to = task.chain;
  told.kind = message_kind::step_outcome;
  told.name = task.step;
  told.operation = task.operation;
  pb::task_ended& end = *told.details.mutable_task_end();
  end.set_how(static_cast<int>(how));
  end.set_attempt(task.attempt);
  end.set_epoch(task.epoch);
  end.set_started_us(task.taken);
  end.set_worker(std::string(worker));
  end.set_alone(task.alone);
  return told;
}

}  // namespace fermata::engine
