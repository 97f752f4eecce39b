// SPDX-License-Identifier: Apache-2.0
// What a worker had goes back: when it is released after its death, gives runs back, or leaves.
#include "engine/limits.hpp"
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/status.hpp"
#include "engine/store/tasks.hpp"

#include <optional>
#include <utility>

namespace fermata::engine {

namespace {

using postgres::column;
using postgres::journal_parts;
using postgres::params;
using postgres::rows;
using postgres::transaction;
using postgres::type;

/// Gives back what the worker owns: nobody's, ready, epoch + 1. Rows are locked in order of their ids.
/// `at_most` 0: all.
std::vector<run_id> give_up(journal_parts& parts, transaction& in, std::int64_t worker,
                            const std::vector<run_id>& only, std::size_t at_most = 0) {
  column runs(type::uuid);
  for (const run_id& run : only) runs.add(run);
  const time_us now = parts.at.clock.now();
  rows locked = in.run(
      "SELECT run FROM fermata.runs WHERE owner = $1 AND run IN (SELECT run FROM fermata.runs "
      "  WHERE owner = $1 AND owner <> 0 AND ($2::int8 = 0 OR run = ANY($3)) "
      "  LIMIT NULLIF($4::int8, 0)) ORDER BY run FOR NO KEY UPDATE",
      params(worker, only.size(), runs, at_most));
  column mine(type::uuid);
  std::vector<run_id> given;
  while (locked.next()) {
    given.push_back(locked.id<run_id>(0));
    mine.add(given.back());
  }
  if (given.empty()) return given;
  in.run(
      "WITH given AS (UPDATE fermata.runs SET owner = 0, epoch = epoch + 1, updated = $2 "
      "  WHERE run = ANY($1) RETURNING run, space, queue, priority) "
      "INSERT INTO fermata.ready(space, owner, queue, priority, since, run) "
      "  SELECT space, 0, queue, priority, $3, run FROM given "
      "  ON CONFLICT (run) DO UPDATE SET owner = 0",
      params(mine, now, parts.at.next_mark(now)));
  return given;
}

/// The tasks that a worker holds end for it: the owners of their runs are told. First in its transaction.
void end_held_tasks(journal_parts& parts, transaction& in, std::int64_t worker, task_end how,
                    std::optional<postgres::turn>& left) {
  left.emplace(parts.at, in, parts.handed, 0);
  batch all;
  rows held = in.run("SELECT " FERMATA_TASK_COLUMNS ", o.worker" FERMATA_TASK_TABLES
                     "JOIN fermata.workers o ON o.id = t.owner WHERE t.owner = $1 AND t.owner <> 0 "
                     "ORDER BY t.run, t.operation",
                     params(worker));
  while (held.next()) {
    const task_row task = read_task(left->names(), held);
    all.finish.push_back({name_of(task), outcome_of(task, how, held.id<worker_id>(24).text())});
  }
  if (all.finish.empty()) return;
  load(*left, all);
  for (const task_finish& one : all.finish) {
    // It may have been finished, or another one put, before our lock.
    const auto known = left->tasks.find({one.task.run, one.task.operation});
    if (known != left->tasks.end() && known->second.owner == worker) finish_task(*left, one);
  }
  left->write.send(in, left->now);
}

bool is_registered(transaction& in, std::int64_t worker) {
  return in.run("SELECT 1 FROM fermata.workers WHERE id = $1", params(worker)).count() != 0;
}

}  // namespace

absl::StatusOr<std::vector<run_id>> postgres_store::release_dead(std::int64_t worker) {
  using result = absl::StatusOr<std::vector<run_id>>;
  return guarded<result>([&]() -> result {
    journal_parts& parts = *parts_;
    std::optional<postgres::turn> left;
    const auto runs = parts.at.write([&](transaction& in) -> std::optional<std::vector<run_id>> {
      const rows dead =
          in.run("SELECT 1 FROM fermata.workers WHERE id = $1 AND dead AND NOT released FOR UPDATE",
                 params(worker));
      if (dead.count() == 0) return std::nullopt;
      end_held_tasks(parts, in, worker, task_end::lost, left);
      auto given = give_up(parts, in, worker, {}, limits::released_at_once);
      in.run(
          "UPDATE fermata.workers SET released = true WHERE id = $1 AND NOT EXISTS "
          "(SELECT FROM fermata.runs WHERE owner = $1 AND owner <> 0)",
          params(worker));
      return given;
    });
    if (!runs) return no_worker(worker, "isn't dead, or was released");
    parts.places.released(worker);
    parts.free_left_slots();
    if (!runs->empty() || left->woke) parts.wake.committed(false);
    return *runs;
  });
}

absl::Status postgres_store::release(std::int64_t worker, const std::vector<run_id>& runs) {
  return guarded<absl::Status>([&]() -> absl::Status {
    journal_parts& parts = *parts_;
    std::vector<run_id> given;
    std::optional<postgres::turn> left;
    const bool known = parts.at.write([&](transaction& in) {
      if (!is_registered(in, worker)) return false;
      if (runs.empty()) end_held_tasks(parts, in, worker, task_end::given_back, left);
      given = give_up(parts, in, worker, runs);
      return true;
    });
    if (!known) return no_worker(worker, "isn't registered");
    if (!given.empty() || (left && left->woke)) parts.wake.committed(false);
    return absl::OkStatus();
  });
}

absl::Status postgres_store::leave(std::int64_t worker) {
  return guarded<absl::Status>([&]() -> absl::Status {
    journal_parts& parts = *parts_;
    std::optional<int> slot;
    std::vector<run_id> given;
    std::optional<postgres::turn> left;
    const bool known = parts.at.write([&](transaction& in) {
      slot.reset();
      given.clear();
      // As a rescuer it waits for appends of this worker under way: none lands when others have its runs.
      rows row =
          in.run("SELECT slot, NOT dead AND NOT gone FROM fermata.workers WHERE id = $1 FOR UPDATE",
                 params(worker));
      if (!row.next()) return false;
      if (row.integer(1) == 0) return true;
      slot = static_cast<int>(row.integer(0));
      end_held_tasks(parts, in, worker, task_end::given_back, left);
      given = give_up(parts, in, worker, {});
      in.send("UPDATE fermata.workers SET gone = true, lease_until = NULL WHERE id = $1",
              params(worker));
      return true;
    });
    if (!known) return no_worker(worker, "isn't registered");
    if (slot) parts.slots().give_back(*slot);
    if (!given.empty() || (left && left->woke)) parts.wake.committed(false);
    return absl::OkStatus();
  });
}

}  // namespace fermata::engine
