// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"
#include "engine/store/batch.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/connection.hpp"
#include "engine/store/sqlite/due_from.hpp"
#include "engine/store/sqlite/handed.hpp"
#include "engine/store/sqlite/heads.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The verbs of one write transaction, each in a file of its own: append, starts, messages, claim,
/// changes, marks. All run on the writer's connection, under its mutex and the lock file, and throw
/// store_failure, upon which everything is rolled back.
namespace fermata::engine::sqlite {

/// One transaction at work.
struct turn {
  connection& db;
  clock& time;
  random& chance;
  sqlite::heads& heads;
  handed_timers& handed;
  sqlite::due_from& due_from;
  time_us now = 0;
  std::int64_t worker = 0;  // who writes; 0: a client or operator

  // Found when asked for.
  std::optional<bool> worker_alive;
  std::string worker_build;
  bool lease_set = false;
  std::optional<run_id> newest;  // no run and no request has a larger id

  // Landed, and not inserted yet: `insert_pending` is called before anybody reads them.
  std::vector<event_of> pending;

  // What it leaves behind.
  bool woke = false;      // something concerns others
  bool ended = false;     // runs ended: only those of other processes don't know it
  time_us latest = 0;     // of all times stored
  std::int64_t mark = 0;  // the last ready mark: marks of one moment keep their order
};

// ---- workers ----

/// The fence: asked once per transaction.
bool alive(turn& turn);
/// A worker that owns something has a lease.
void set_lease(turn& turn);
/// Gives back what the worker owns: nobody's, ready, epoch + 1. Answers the runs. `at_most` -1: all.
std::vector<run_id> give_up_all(turn& turn, std::int64_t worker, std::int64_t at_most = -1);
void give_up(turn& turn, std::int64_t run);

// ---- marks ----

/// Makes the run ready work, if it isn't yet.
void mark_ready(turn& turn, std::int64_t run);
void unmark(turn& turn, std::int64_t run);
/// The mark follows the run's owner.
void move_mark(turn& turn, std::int64_t run, std::int64_t owner);

// ---- changes ----

/// Timers, tags and published values; `state`, `ended` and `error` are the caller's to write.
void apply_changes(turn& turn, std::int64_t run, std::int64_t space, const run_changes& changes);
void keep_logs(connection& db, std::int64_t run, const std::vector<log_line>& lines);

// ---- appends ----

append_result apply_append(turn& turn, append&& what);
/// What appends have left; `what` of theirs must still be there.
void insert_pending(turn& turn);

// ---- starts ----

std::vector<start_result> apply_starts(turn& turn, const std::vector<start_item>& all);
/// A child's start request, or the continuation of a run. One whose run exists is left alone.
void insert_child(turn& turn, start_request request);
/// Writes the row and events of a run that begins, and what they mean. Answers the row.
std::int64_t begin(turn& turn, const start_request& request, const encoded_event& first,
                   std::string_view build);
/// A run whose whole journal is given: nobody's.
std::int64_t insert_whole(turn& turn, const start_request& request,
                          const std::vector<encoded_event>& events, const run_changes& changes);
void remove_request(connection& db, const start_request& request);

// ---- chains and messages ----

/// The run of the chain that stands for it: the open one, else the request, else the last.
struct current_run {
  std::int64_t row = 0;  // 0: a request, or nothing
  run_id run;            // empty: the chain isn't known
  std::int64_t owner = 0;
  bool ended = false;
};
current_run find_current(connection& db, const chain_id& chain);

enum class bound { checked, ignored };
message_result put_message(turn& turn, const message& what, bound inbox_bound);

// ---- tasks ----

/// What an append does to the run's tasks; an end leaves none.
void write_tasks(turn& turn, std::int64_t run, std::int64_t space, append& what);
finish_result finish_task(turn& turn, const task_finish& what);
/// What a claim does beside runs.
void claim_tasks(turn& turn, const claim_request& what, batch_result& result);
/// A heartbeat of a task; false: it isn't there, or withdrawn.
bool beat_task(turn& turn, const heartbeat_row& beat);
/// The attempts that this worker holds have ended, and its runs' owners are told.
void end_held_tasks(turn& turn, std::int64_t worker, task_end how);

// ---- claims ----

void claim(turn& turn, const claim_request& what, batch_result& result);

}  // namespace fermata::engine::sqlite
