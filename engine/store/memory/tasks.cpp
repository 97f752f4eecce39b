// SPDX-License-Identifier: Apache-2.0
#include "engine/store/tasks.hpp"

#include "engine/store/memory/memory_store.hpp"
#include "engine/store/memory/turn.hpp"
#include "engine/store/memory/world.hpp"
#include "engine/store/status.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine::memory {
namespace {

task_row* find_task(tables& data, const task_name& name) {
  run_record* run = data.find(name.run);
  if (run == nullptr) return nullptr;
  const auto at = run->tasks.find(name.operation);
  return at != run->tasks.end() && at->second.epoch == name.epoch ? &at->second : nullptr;
}

/// Nobody's: it ends here and now. Else whoever has it is told.
void withdraw(turn& turn, run_record& run, const std::string& operation) {
  const auto at = run.tasks.find(operation);
  if (at == run.tasks.end()) return;
  turn.data.woke = true;
  if (at->second.owner != 0) {
    at->second.withdrawn = true;
    return;
  }
  const message told = outcome_of(at->second, task_end::cancelled);
  turn.data.remove_task(run, operation);
  put_message(turn, told, bound::ignored);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

/// True when the room is full.
bool fill(turn& turn, const claim_request& what, const task_room& room, batch_result& result) {
  int taken = 0;
  std::vector<task_place> places;
  for (const task_place& place : turn.data.waiting_tasks)
    if (has(room.queues, std::get<0>(place))) places.push_back(place);
  // By priority and age, whatever their queues.
  std::ranges::sort(places, {}, [](const task_place& place) {
    return std::tuple(std::get<1>(place), std::get<2>(place), std::get<3>(place),
                      std::get<4>(place));
  });
  for (const auto& [queue, priority, not_before, id, operation] : places) {
    run_record& run = *turn.data.find(id);
    const task_row& task = run.tasks.at(operation);
    if (run.row.space != what.space || run.row.attention != attention::none) continue;
    if (!has(what.steps, task.step)) continue;
    if (not_before > what.now) {
      if (result.next_not_before == 0 || not_before < result.next_not_before)
        result.next_not_before = not_before;
      continue;
    }
    if (taken == room.at_most) return true;
    ++taken;
    task_row mine = task;
    mine.owner = turn.worker;
    mine.taken = turn.now;
    result.tasks.push_back(mine);
    turn.data.woke = turn.data.woke || due_of(mine) != 0;
    turn.data.set_task(run, std::move(mine));
    set_lease(turn);
  }
  return false;
}

}  // namespace

void write_tasks(turn& turn, run_record& run, append& what) {
  const auto remove = [&](const std::string& operation) {
    if (turn.data.remove_task(run, operation)) turn.data.woke = true;  // whoever has it stops
  };
  for (const std::string& operation : what.tasks_gone) remove(operation);
  if (what.then == then::end) {
    while (!run.tasks.empty()) remove(std::string(run.tasks.begin()->first));
    return;
  }
  for (const std::string& operation : what.tasks_withdrawn) withdraw(turn, run, operation);
  for (task_row& task : what.tasks) {
    task.run = run.row.run;
    task.chain = run.row.chain;
    task.space = run.row.space;
    turn.data.set_task(run, std::move(task));
    turn.data.woke = true;
  }
}

finish_result finish_task(turn& turn, task_finish what) {
  const chain_record* chain = std::as_const(turn.data).find_chain(what.outcome.to);
  const message_id& id = what.outcome.id;
  if (chain != nullptr && (chain->pending.contains(id) || chain->ledger.contains(id)))
    return finish_result::repeated;
  const task_row* task = find_task(turn.data, what.task);
  if (task == nullptr) return finish_result::gone;
  if (turn.worker != 0 && (task->owner != turn.worker || !turn.data.alive(turn.worker)))
    return finish_result::gone;
  turn.data.remove_task(*turn.data.find(what.task.run), what.task.operation);
  put_message(turn, std::move(what.outcome), bound::ignored);
  return finish_result::accepted;
}

void claim_tasks(turn& turn, const claim_request& what, batch_result& result) {
  if (!turn.data.alive(turn.worker)) return;
  for (const task_name& name : what.holds) {
    const task_row* task = find_task(turn.data, name);
    if (task == nullptr || task->owner != turn.worker || task->withdrawn)
      result.stopped.push_back(name);
  }
  for (const task_room& room : what.rooms)
    if (fill(turn, what, room, result)) result.more_tasks = true;
}

void end_held_tasks(turn& turn, std::int64_t worker, task_end how) {
  const worker_record* known = std::as_const(turn.data).find_worker(worker);
  for (const auto& [id, operation] : std::exchange(turn.data.held_tasks[worker], {})) {
    run_record& run = *turn.data.find(id);
    const message told = outcome_of(run.tasks.at(operation), how, known->row.id.text());
    turn.data.remove_task(run, operation);
    put_message(turn, told, bound::ignored);
  }
}

}  // namespace fermata::engine::memory

namespace fermata::engine {

absl::Status memory_store::put_heartbeat(const heartbeat_row& beat) {
  memory::writing writing(*world_);
  memory::run_record* run = writing.data().find(beat.run);
  if (beat.epoch != 0) {
    const task_row* known =
        memory::find_task(writing.data(), {beat.run, beat.operation, beat.epoch});
    if (known == nullptr || known->owner == 0 || known->withdrawn)
      return coded(absl::StatusCode::kNotFound, "FER-2104",
                   "the task of operation " + beat.operation + " is withdrawn");
    task_row task = *known;
    task.beat = beat.at;
    writing.data().set_task(*run, std::move(task));
  }
  if (run == nullptr) return absl::OkStatus();
  heartbeat_row row = beat;
  row.epoch = 0;
  if (!row.details.present()) row.details = std::move(run->heartbeats[beat.operation].details);
  run->heartbeats[beat.operation] = std::move(row);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<task_row>> memory_store::tasks(const run_id& run) const {
  const std::lock_guard lock(world_->mutex);
  std::vector<task_row> rows;
  const memory::run_record* known = std::as_const(world_->data).find(run);
  if (known == nullptr) return rows;
  for (const auto& [operation, task] : known->tasks) rows.push_back(task);
  return rows;
}

absl::StatusOr<std::vector<task_row>> memory_store::held_tasks(std::int64_t worker) const {
  const std::lock_guard lock(world_->mutex);
  std::vector<task_row> rows;
  const auto held = world_->data.held_tasks.find(worker);
  if (held == world_->data.held_tasks.end()) return rows;
  for (const auto& [run, operation] : held->second)
    rows.push_back(world_->data.runs.at(run).tasks.at(operation));
  return rows;
}

absl::StatusOr<std::vector<queued_step>> memory_store::queued_steps(std::string_view space) const {
  const std::lock_guard lock(world_->mutex);
  std::map<std::pair<std::string, std::string>, queued_step> found;
  for (const auto& [id, run] : world_->data.runs) {
    if (run.row.space != space) continue;
    for (const auto& [operation, task] : run.tasks) {
      queued_step& one = found[{task.queue, task.step}];
      one.queue = task.queue;
      one.step = task.step;
      ++(task.owner == 0 ? one.waiting : one.executing);
      if (task.owner == 0 && (one.oldest == 0 || task.not_before < one.oldest))
        one.oldest = task.not_before;
    }
  }
  std::vector<queued_step> rows;
  for (auto& [name, one] : found) rows.push_back(std::move(one));
  return rows;
}

}  // namespace fermata::engine
