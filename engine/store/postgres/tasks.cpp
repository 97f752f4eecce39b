// SPDX-License-Identifier: Apache-2.0
#include "engine/store/tasks.hpp"

#include "engine/store/postgres/claim_statements.hpp"
#include "engine/store/postgres/turn.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine::postgres {

namespace {

/// False: there was none.
bool remove_task(turn& turn, const run_id& run, const std::string& operation) {
  if (turn.tasks.erase({run, operation}) == 0) return false;
  turn.write.remove_task(run, operation);
  turn.write.remove_watch(run, operation);
  turn.handed.remove(run, operation);
  turn.woke = true;  // whoever has it stops
  return true;
}

/// Nobody's: it ends here and now. Else whoever has it is told.
void withdraw(turn& turn, const run_id& run, const std::string& operation) {
  const auto known = turn.tasks.find({run, operation});
  if (known == turn.tasks.end()) return;
  turn.woke = true;
  if (known->second.owner != 0) {
    known->second.withdrawn = true;
    turn.write.change_task(known->second);
    return;
  }
  const message told = outcome_of(known->second, task_end::cancelled);
  remove_task(turn, run, operation);
  put_message(turn, told, bound::ignored);
}

// Its run's lock keeps a task as it is; the task's own lock, that two claims don't both see it waiting.
constexpr const char* waiting_sql =
    "SELECT " FERMATA_TASK_COLUMNS FERMATA_TASK_TABLES
    "WHERE t.space = $1 AND t.queue = ANY($2) AND t.owner = 0 AND t.step = ANY($3) AND "
    "t.not_before <= $4 AND r.attention = 0 "
    "ORDER BY t.priority, t.not_before, t.run, t.operation LIMIT $5 "
    "FOR NO KEY UPDATE OF r, t SKIP LOCKED";
constexpr const char* next_task_sql =
    "SELECT min(t.not_before), (SELECT count(*) FROM (SELECT 1 FROM fermata.tasks t "
    "  JOIN fermata.runs r ON r.run = t.run WHERE t.space = $1 AND t.queue = ANY($2) AND "
    "  t.owner = 0 AND t.step = ANY($3) AND t.not_before <= $4 AND r.attention = 0 LIMIT $5) w) "
    "FROM fermata.tasks t WHERE t.space = $1 AND t.queue = ANY($2) AND "
    "t.owner = 0 AND t.step = ANY($3) AND t.not_before > $4";

column texts(const std::vector<std::string>& all) {
  column made(type::text);
  for (const std::string& one : all) made.add(std::string_view(one));
  return made;
}

void take(turn& turn, task_row task, batch_result& result) {
  task.owner = turn.worker;
  task.taken = turn.now;
  turn.write.change_task(task);
  watch(turn, task);
  turn.woke = turn.woke || due_of(task) != 0;
  set_lease(turn);
  result.tasks.push_back(std::move(task));
}

void fill(turn& turn, const claim_request& what, const task_room& room, batch_result& result) {
  const std::int64_t space = turn.at.spaces.id_of(what.space);
  const column queues = texts(room.queues);
  const column steps = texts(what.steps);
  turn.in.send(waiting_sql, params(space, queues, steps, what.now, std::max(0, room.at_most) + 1));
  turn.in.send(next_task_sql,
               params(space, queues, steps, what.now, std::max(0, room.at_most) + 1));
  std::vector<rows> found = turn.in.finish();
  rows& waiting = found[found.size() - 2];
  for (int taken = 0; waiting.next(); ++taken) {
    if (taken == room.at_most) {
      result.more_tasks = true;
      break;
    }
    take(turn, read_task(turn.names(), waiting), result);
  }
  rows& next = found.back();
  if (!next.next()) return;
  if (!next.null(0)) look_again(result, next.integer(0));
  if (next.integer(1) > waiting.count()) look_again(result, what.now + locked_again_us);
}

}  // namespace

params asked_of(const std::vector<task_name>& holds, std::int64_t worker) {
  column run(type::uuid), operation(type::text), epoch(type::int8);
  for (const task_name& name : holds) {
    run.add(name.run);
    operation.add(std::string_view(name.operation));
    epoch.add(static_cast<std::int64_t>(name.epoch));
  }
  return params(run, operation, epoch, worker);
}

std::vector<task_name> stopped_of(rows& row) {
  std::vector<task_name> all;
  while (row.next())
    all.push_back(
        {row.id<run_id>(0), std::string(row.text(1)), static_cast<std::uint64_t>(row.integer(2))});
  return all;
}

void watch(turn& turn, const task_row& task) {
  if (const time_us due = due_of(task); due != 0)
    apply_changes(turn, task.run, turn.at.spaces.id_of(task.space),
                  {.timers_set = {{task.run, task.operation, due, timer_purpose::give_up}}});
}

void write_tasks(turn& turn, const known_run& run, const append& what) {
  for (const std::string& operation : what.tasks_gone) remove_task(turn, run.run, operation);
  if (what.then == then::end) {
    if (!what.may_have_tasks) return;
    std::vector<std::string> all;
    for (auto at = turn.tasks.lower_bound({run.run, std::string()});
         at != turn.tasks.end() && at->first.first == run.run; ++at)
      all.push_back(at->first.second);
    for (const std::string& operation : all) remove_task(turn, run.run, operation);
    return;
  }
  for (const std::string& operation : what.tasks_withdrawn) withdraw(turn, run.run, operation);
  for (task_row task : what.tasks) {
    task.run = run.run;
    task.chain = run.chain;
    task.space = turn.at.spaces.text(turn.in.db(), run.space);
    task.owner = 0;
    task.taken = task.beat = 0;
    task.withdrawn = false;
    remove_task(turn, run.run, task.operation);
    turn.write.put_task(run.space, task);
    watch(turn, task);
    turn.tasks[{run.run, task.operation}] = task;
    turn.woke = true;
  }
}

finish_result finish_task(turn& turn, const task_finish& what) {
  const auto chain = turn.chains.find(what.outcome.to);
  if (chain != turn.chains.end() && chain->second.ids.contains(what.outcome.id))
    return finish_result::repeated;
  const auto task = turn.tasks.find({what.task.run, what.task.operation});
  if (task == turn.tasks.end() || task->second.epoch != what.task.epoch) return finish_result::gone;
  if (turn.worker != 0 && (task->second.owner != turn.worker || !turn.alive))
    return finish_result::gone;
  remove_task(turn, what.task.run, what.task.operation);
  put_message(turn, what.outcome, bound::ignored);
  return finish_result::accepted;
}

void claim_tasks(turn& turn, const claim_request& what, batch_result& result) {
  if (!turn.alive) return;
  if (!what.holds.empty() || !what.rooms.empty()) turn.write.send(turn.in, turn.now);
  if (!what.holds.empty()) {
    rows gone = turn.in.run(stopped_sql, asked_of(what.holds, turn.worker));
    result.stopped = stopped_of(gone);
  }
  for (const task_room& room : what.rooms) fill(turn, what, room, result);
}

}  // namespace fermata::engine::postgres
