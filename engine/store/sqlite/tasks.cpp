// SPDX-License-Identifier: Apache-2.0
#include "engine/planted.hpp"
#include "engine/store/tasks.hpp"

#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/turn.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

namespace fermata::engine::sqlite {

namespace {

/// Tasks of steps that this worker doesn't serve, or of runs that nobody may work on: so many of a
/// queue are passed over before a claim goes on.
constexpr std::size_t tasks_looked_at_most = 4'096;

struct known_task {
  std::int64_t id = 0;  // 0: there is none
  std::int64_t owner = 0;
};

known_task find_task(connection& db, std::int64_t run, const std::string& operation) {
  use row = db.sql("SELECT id, owner FROM tasks WHERE run = ?1 AND operation = ?2");
  return row.with(run, operation).next() ? known_task{row.integer(0), row.integer(1)}
                                         : known_task{};
}

task_row read_whole(connection& db, std::int64_t task) {
  static const std::string sql = "SELECT " + task_columns + task_tables + "WHERE t.id = ?1";
  use row = db.sql(sql.c_str());
  row.with(task).next();
  return read_task(db, row);
}

void remove_watch(turn& turn, std::int64_t run, const std::string& operation) {
  turn.db.sql("DELETE FROM timers WHERE run = ?1 AND operation = ?2 AND purpose = ?3")
      .with(run, operation, static_cast<int>(timer_purpose::give_up))
      .run();
  turn.handed.remove(run, operation);
}

/// The timer at which the owner of its run looks after it.
void watch(turn& turn, std::int64_t run, const task_row& task) {
  if (const time_us due = due_of(task); due != 0)
    apply_changes(turn, run, turn.db.spaces.id_of(task.space),
                  {.timers_set = {{task.run, task.operation, due, timer_purpose::give_up}}});
}

/// False: there was none.
bool remove_task(turn& turn, std::int64_t run, const std::string& operation) {
  const int removed =
      turn.db.sql("DELETE FROM tasks WHERE run = ?1 AND operation = ?2").with(run, operation).run();
  if (removed == 0) return false;
  remove_watch(turn, run, operation);
  turn.woke = true;  // whoever has it stops
  return true;
}

/// Nobody's: it ends here and now. Else whoever has it is told.
void withdraw(turn& turn, std::int64_t run, const std::string& operation) {
  const known_task known = find_task(turn.db, run, operation);
  if (known.id == 0) return;
  turn.woke = true;
  if (known.owner != 0) {
    turn.db.sql("UPDATE tasks SET withdrawn = 1 WHERE id = ?1").with(known.id).run();
    return;
  }
  const message told = outcome_of(read_whole(turn.db, known.id), task_end::cancelled);
  remove_task(turn, run, operation);
  put_message(turn, told, bound::ignored);
}

void put(turn& turn, std::int64_t run, const task_row& task) {
  connection& db = turn.db;
  remove_task(turn, run, task.operation);
  db.sql(
        "INSERT INTO tasks(run, operation, epoch, attempt, space, queue, priority, not_before, "
        "step, key, undoes, timeout_ms, heartbeat_timeout_ms, give_up_at, alone, content_type, "
        "input_type, input_flags, input) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
        "?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)")
      .with(run, task.operation, task.epoch, task.attempt, db.spaces.id_of(task.space),
            db.names.id_of(task.queue), -task.priority, task.not_before, db.names.id_of(task.step),
            task.key, task.undoes, task.timeout_ms, task.heartbeat_timeout_ms, task.give_up_at,
            task.alone ? 1 : 0, db.names.id_of(task.input.content_type.str()),
            static_cast<std::int64_t>(task.input.type), payload_flags(task.input),
            blob{task.input.bytes})
      .run();
  turn.woke = true;
}

bool was_told(connection& db, const message& what) {
  use known = db.sql(
      "SELECT EXISTS(SELECT 1 FROM inbox WHERE chain = ?1 AND id = ?2) "
      "OR EXISTS(SELECT 1 FROM ledger WHERE chain = ?1 AND id = ?2)");
  known.with(what.to, what.id).next();
  return known.integer(0) != 0;
}

/// The tasks of one claim.
class task_claimer {
 public:
  task_claimer(turn& turn, const claim_request& what, batch_result& result)
      : turn_(turn), db_(turn.db), what_(what), result_(result) {
    for (const std::string& step : what.steps) steps_.insert(db_.names.id_of(step));
  }

  void look() {
    for (const task_name& name : what_.holds)
      if (!holds(name)) result_.stopped.push_back(name);
    for (const task_room& room : what_.rooms) fill(room);
  }

 private:
  bool holds(const task_name& name) {
    use row = db_.sql(
        "SELECT 1 FROM tasks t JOIN runs r ON r.id = t.run WHERE r.run = ?1 AND t.operation = ?2 "
        "AND t.epoch = ?3 AND t.owner = ?4 AND t.withdrawn = 0");
    return row.with(name.run, name.operation, name.epoch, turn_.worker).next();
  }

  using candidate = std::tuple<std::int64_t, time_us, std::int64_t, std::string, std::int64_t>;

  /// Each queue has its own order; taken together they go by priority, then age.
  void fill(const task_room& room) {
    std::vector<candidate> found;
    for (const std::string& queue : room.queues) look_in(queue, room.at_most, found);
    std::ranges::sort(found);
    int taken = 0;
    for (const auto& [priority, not_before, run, operation, id] : found) {
      if (taken++ == room.at_most) {
        result_.more_tasks = true;
        return;
      }
      take(run, id);
    }
  }

  void look_in(const std::string& queue, int room, std::vector<candidate>& found) {
    use rows = db_.sql(
        "SELECT t.priority, t.not_before, t.run, t.operation, t.id, t.step, r.attention "
        "FROM tasks t CROSS JOIN runs r ON r.id = t.run WHERE t.space = ?1 AND t.queue = ?2 AND "
        "t.owner = 0 ORDER BY t.priority, t.not_before, t.run, t.operation");
    rows.with(db_.spaces.id_of(what_.space), db_.names.id_of(queue));
    const std::size_t enough = found.size() + static_cast<std::size_t>(room) + 1;
    std::size_t looked = 0;
    while (found.size() < enough && looked < tasks_looked_at_most && rows.next()) {
      const bool mine = steps_.contains(rows.integer(5)) && rows.integer(6) == 0;
      if (mine && rows.integer(1) <= what_.now) {
        found.emplace_back(rows.integer(0), rows.integer(1), rows.integer(2),
                           std::string(rows.text(3)), rows.integer(4));
        continue;
      }
      ++looked;
      if (mine && (result_.next_not_before == 0 || rows.integer(1) < result_.next_not_before))
        result_.next_not_before = rows.integer(1);
    }
  }

  void take(std::int64_t run, std::int64_t id) {
    db_.sql("UPDATE tasks SET owner = ?2, taken = ?3 WHERE id = ?1")
        .with(id, turn_.worker, turn_.now)
        .run();
    result_.tasks.push_back(read_whole(db_, id));
    watch(turn_, run, result_.tasks.back());
    turn_.woke = turn_.woke || due_of(result_.tasks.back()) != 0;
    set_lease(turn_);
  }

  turn& turn_;
  connection& db_;
  const claim_request& what_;
  batch_result& result_;
  std::unordered_set<std::int64_t> steps_;
};

}  // namespace

void write_tasks(turn& turn, std::int64_t run, std::int64_t space, append& what) {
  if (what.then == then::end) {
    if (!what.may_have_tasks) return;
    // Its timers are gone with it.
    if (turn.db.sql("DELETE FROM tasks WHERE run = ?1").with(run).run() != 0) turn.woke = true;
    return;
  }
  for (const std::string& operation : what.tasks_gone) remove_task(turn, run, operation);
  for (const std::string& operation : what.tasks_withdrawn) withdraw(turn, run, operation);
  for (task_row& task : what.tasks) {
    task.run = what.run;
    task.space = turn.db.spaces.text(space);
    put(turn, run, task);
    watch(turn, run, task);
  }
}

finish_result finish_task(turn& turn, const task_finish& what) {
  if (was_told(turn.db, what.outcome)) return finish_result::repeated;
  std::int64_t run = 0;
  std::int64_t owner = 0;
  {
    use row = turn.db.sql(
        "SELECT t.run, t.owner FROM tasks t JOIN runs r ON r.id = t.run WHERE r.run = ?1 AND "
        "t.operation = ?2 AND t.epoch = ?3");
    if (!row.with(what.task.run, what.task.operation, what.task.epoch).next())
      return finish_result::gone;
    run = row.integer(0);
    owner = row.integer(1);
  }
  const bool holds =
      (owner == turn.worker && alive(turn)) || planted("sqlite_late_outcome_accepted");
  if (turn.worker != 0 && !holds) return finish_result::gone;
  remove_task(turn, run, what.task.operation);
  put_message(turn, what.outcome, bound::ignored);
  return finish_result::accepted;
}

void claim_tasks(turn& turn, const claim_request& what, batch_result& result) {
  if (alive(turn) && !(what.rooms.empty() && what.holds.empty()))
    task_claimer(turn, what, result).look();
}

bool beat_task(turn& turn, const heartbeat_row& beat) {
  std::int64_t id = 0;
  std::int64_t run = 0;
  {
    use row = turn.db.sql(
        "SELECT t.id, t.run FROM tasks t JOIN runs r ON r.id = t.run WHERE r.run = ?1 AND "
        "t.operation = ?2 AND t.epoch = ?3 AND t.owner <> 0 AND t.withdrawn = 0");
    if (!row.with(beat.run, beat.operation, beat.epoch).next()) return false;
    id = row.integer(0);
    run = row.integer(1);
  }
  turn.db.sql("UPDATE tasks SET beat = ?2 WHERE id = ?1").with(id, beat.at).run();
  watch(turn, run, read_whole(turn.db, id));
  return true;
}

void end_held_tasks(turn& turn, std::int64_t worker, task_end how) {
  std::vector<std::pair<std::int64_t, task_row>> held;
  std::string name;
  {
    static const std::string sql = "SELECT " + task_columns + ", t.run, o.name" + task_tables +
                                   "JOIN workers o ON o.id = t.owner WHERE t.owner = ?1 AND "
                                   "t.owner <> 0 ORDER BY t.run, t.operation";
    use rows = turn.db.sql(sql.c_str());
    rows.with(worker);
    while (rows.next()) {
      held.emplace_back(rows.integer(task_columns_count), read_task(turn.db, rows));
      name = rows.text(task_columns_count + 1);
    }
  }
  for (const auto& [run, task] : held) {
    remove_task(turn, run, task.operation);
    put_message(turn, outcome_of(task, how, name), bound::ignored);
  }
}

}  // namespace fermata::engine::sqlite
