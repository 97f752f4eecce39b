// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/host/process.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/row_values.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace fermata::engine {

namespace {

using sqlite::connection;
using sqlite::turn;
using sqlite::use;

constexpr const char* worker_columns =
    "SELECT id, worker, host, pid, build, slot, boot_id, started, last_seen, lease_until, dead, "
    "gone, queues FROM workers ";

std::string as_lines(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, "\n"));
}

worker_row read_worker(use& row) {
  worker_row worker;
  worker.row = row.integer(0);
  worker.id = row.id<worker_id>(1);
  worker.host = row.text(2);
  worker.pid = row.integer(3);
  worker.build = row.text(4);
  worker.slot = static_cast<int>(row.integer(5));
  worker.boot_id = row.text(6);
  worker.started = row.integer(7);
  worker.last_seen = row.integer(8);
  worker.lease_until = row.integer(9);
  worker.dead = row.integer(10) != 0;
  worker.gone = row.integer(11) != 0;
  worker.queues = lines_of(row.text(12));
  return worker;
}

/// Workers whose end hasn't been dealt with: alive, or dead and still owning runs.
std::vector<worker_row> unsettled(connection& db) {
  static const std::string sql =
      std::string(worker_columns) + "WHERE released = 0 AND gone = 0 ORDER BY id";
  std::vector<worker_row> found;
  use rows = db.sql(sql.c_str());
  while (rows.next()) found.push_back(read_worker(rows));
  return found;
}

std::set<int> slots_in_use(connection& db) {
  std::set<int> used;
  for (const worker_row& worker : unsettled(db)) used.insert(worker.slot);
  return used;
}

std::int64_t insert_worker(connection& db, const worker_row& worker) {
  const std::string name = worker.id.text();
  use insert = db.sql(
      "INSERT INTO workers(worker, name, host, pid, build, slot, boot_id, started, last_seen, "
      "lease_until, queues) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id");
  const std::string queues = as_lines(worker.queues);
  insert.with(worker.id, name, worker.host, worker.pid, worker.build, worker.slot, worker.boot_id,
              worker.started, worker.last_seen, sqlite::integer_or_null{worker.lease_until},
              queues);
  insert.next();
  const std::int64_t id = insert.integer(0);
  insert.next();
  return id;
}

/// Why a worker is believed dead; null: it isn't.
const char* cause_of_death(sqlite::journal_file& file, const worker_row& worker,
                           const std::string& this_boot) {
  if (worker.dead) return "marked dead";
  if (!worker.boot_id.empty() && worker.boot_id != this_boot) return "before the last boot";
  if (file.slots.abandoned(worker.slot)) return "its lock is free";
  const std::int64_t now =
      planted("sqlite_lease_by_the_wall_clock") ? file.time->wall_now() : file.time->boot_now_us();
  const bool over = worker.lease_until < now || planted("sqlite_rescues_the_living");
  if (worker.lease_until != 0 && over && file.suspends.leases_count(*file.time))
    return "its lease ended";
  return nullptr;
}

/// What those left in use who died between a commit and this: as they left, or released another.
void free_left_slots(sqlite::journal_file& file) {
  file.slots.free_left([&file] {
    const auto db = file.read();
    return slots_in_use(*db);
  });
}

/// Looked at again under the lock: it may have renewed. From here on no append of it can land.
bool mark_dead(sqlite::journal_file& file, worker_row& worker, const std::string& this_boot) {
  return file.write(0, [&](turn& turn) {
    {
      static const std::string sql = std::string(worker_columns) + "WHERE id = ?1 AND released = 0";
      use row = turn.db.sql(sql.c_str());
      if (!row.with(worker.row).next()) return false;
      worker = read_worker(row);
    }
    if (worker.gone || cause_of_death(file, worker, this_boot) == nullptr) return false;
    turn.db.sql("UPDATE workers SET dead = 1, lease_until = NULL WHERE id = ?1")
        .with(worker.row)
        .run();
    worker.dead = true;
    worker.lease_until = 0;
    return true;
  });
}

}  // namespace

absl::StatusOr<worker_row> sqlite_store::register_worker(const worker_row& who) {
  using result = absl::StatusOr<worker_row>;
  return guarded<result>([&]() -> result {
    int slot = -1;
    try {
      worker_row made = file_->write(0, [&](turn& turn) {
        worker_row row = who;
        row.slot = slot = file_->slots.take(slots_in_use(turn.db));
        if (row.id.empty()) row.id = new_worker_id(*file_->time, *file_->chance);
        row.boot_id = host::boot_id();
        if (row.pid == 0) row.pid = getpid();
        if (row.started == 0) row.started = turn.now;
        row.last_seen = turn.now;
        row.dead = row.gone = false;
        row.owned = 0;
        row.row = insert_worker(turn.db, row);
        return row;
      });
      file_->slots.keep(made.slot, made.row);
      return made;
    } catch (...) {
      if (slot >= 0) file_->slots.give_back(slot);
      throw;
    }
  });
}

absl::Status sqlite_store::renew(std::int64_t worker, std::int64_t until) {
  return guarded<absl::Status>([&]() -> absl::Status {
    return file_->write(0, [&](turn& turn) -> absl::Status {
      const int changed = turn.db
                              .sql(
                                  "UPDATE workers SET last_seen = ?3, lease_until = CASE "
                                  "WHEN ?2 IS NULL AND EXISTS "
                                  "(SELECT 1 FROM runs WHERE owner = ?1 "  // claimed meanwhile
                                  "UNION ALL SELECT 1 FROM tasks WHERE owner = ?1) "
                                  "THEN lease_until ELSE ?2 END "
                                  "WHERE id = ?1 AND dead = 0 AND gone = 0")
                              .with(worker, sqlite::integer_or_null{until}, turn.now)
                              .run();
      return changed != 0 ? absl::OkStatus()
                          : no_worker(worker, "isn't registered, was marked dead, or left");
    });
  });
}

absl::StatusOr<std::vector<worker_row>> sqlite_store::rescue(std::int64_t me) {
  using result = absl::StatusOr<std::vector<worker_row>>;
  return guarded<result>([&]() -> result {
    std::vector<worker_row> found;
    const std::string this_boot = host::boot_id();
    {
      const auto db = file_->read();
      for (worker_row& worker : unsettled(*db)) {
        if (worker.row != me && cause_of_death(*file_, worker, this_boot) != nullptr)
          found.push_back(std::move(worker));
      }
    }
    std::erase_if(found, [&](worker_row& worker) { return !mark_dead(*file_, worker, this_boot); });
    free_left_slots(*file_);
    return found;
  });
}

absl::StatusOr<std::vector<run_id>> sqlite_store::release_dead(std::int64_t worker) {
  using result = absl::StatusOr<std::vector<run_id>>;
  return guarded<result>([&]() -> result {
    auto released = file_->write(0, [&](turn& turn) -> result {
      {
        use known =
            turn.db.sql("SELECT 1 FROM workers WHERE id = ?1 AND dead = 1 AND released = 0");
        if (!known.with(worker).next()) return no_worker(worker, "isn't dead, or was released");
      }
      end_held_tasks(turn, worker, task_end::lost);
      auto runs = give_up_all(turn, worker, std::int64_t{limits::released_at_once});
      turn.db
          .sql(
              "UPDATE workers SET released = 1 WHERE id = ?1 AND NOT EXISTS "
              "(SELECT 1 FROM runs WHERE owner = ?1 AND owner <> 0)")
          .with(worker)
          .run();
      return runs;
    });
    // Not before its runs are released: whoever finds the slot in use looks after them.
    free_left_slots(*file_);
    return released;
  });
}

bool sqlite_store::somebody_died(std::int64_t me) { return file_->slots.any_abandoned(me); }

absl::Status sqlite_store::release(std::int64_t worker, const std::vector<run_id>& runs) {
  return guarded<absl::Status>([&]() -> absl::Status {
    return file_->write(0, [&](turn& turn) -> absl::Status {
      {
        use known = turn.db.sql("SELECT 1 FROM workers WHERE id = ?1");
        if (!known.with(worker).next()) return no_worker(worker, "isn't registered");
      }
      if (runs.empty()) {
        end_held_tasks(turn, worker, task_end::given_back);
        give_up_all(turn, worker);
      }
      for (const run_id& run : runs) {
        std::int64_t row = 0;
        {
          use found = turn.db.sql("SELECT id FROM runs WHERE run = ?1 AND owner = ?2");
          if (found.with(run, worker).next()) row = found.integer(0);
        }
        if (row != 0) give_up(turn, row);
      }
      return absl::OkStatus();
    });
  });
}

absl::Status sqlite_store::leave(std::int64_t worker) {
  return guarded<absl::Status>([&]() -> absl::Status {
    int slot = -1;
    const absl::Status left = file_->write(0, [&](turn& turn) -> absl::Status {
      bool alive = false;
      {
        use row = turn.db.sql("SELECT slot, dead = 0 AND gone = 0 FROM workers WHERE id = ?1");
        if (!row.with(worker).next()) return no_worker(worker, "isn't registered");
        slot = static_cast<int>(row.integer(0));
        alive = row.integer(1) != 0;
      }
      if (!alive) return absl::OkStatus();
      end_held_tasks(turn, worker, task_end::given_back);
      give_up_all(turn, worker);
      turn.db.sql("UPDATE workers SET gone = 1, lease_until = NULL WHERE id = ?1")
          .with(worker)
          .run();
      return absl::OkStatus();
    });
    if (left.ok()) file_->slots.give_back(slot);
    return left;
  });
}

absl::Status sqlite_store::put_serving(std::int64_t worker, const std::vector<serving_row>& rows) {
  return guarded<absl::Status>([&]() -> absl::Status {
    return file_->write(0, [&](turn& turn) -> absl::Status {
      std::string build;
      {
        use known = turn.db.sql("SELECT build FROM workers WHERE id = ?1");
        if (!known.with(worker).next()) return no_worker(worker, "isn't registered");
        build = known.text(0);
      }
      for (const serving_row& row : rows) {
        // What those served who are gone; from now on this row is the last one of its name.
        turn.db
            .sql(
                "DELETE FROM serving WHERE kind = ?1 AND name = ?2 AND worker NOT IN "
                "(SELECT id FROM workers WHERE dead = 0 AND gone = 0)")
            .with(row.kind, row.name)
            .run();
        turn.db
            .sql(
                "INSERT OR REPLACE INTO serving(kind, name, input_type, input_shape, "
                "result_shape, build, worker) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .with(row.kind, row.name, static_cast<std::int64_t>(row.input_type), row.input_shape,
                  row.result_shape, row.build.empty() ? build : row.build, worker)
            .run();
      }
      return absl::OkStatus();
    });
  });
}

absl::StatusOr<std::vector<worker_row>> sqlite_store::workers() const {
  using result = absl::StatusOr<std::vector<worker_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    static const std::string sql = std::string(worker_columns) + "ORDER BY id";
    std::vector<worker_row> found;
    {
      use rows = db->sql(sql.c_str());
      while (rows.next()) found.push_back(read_worker(rows));
    }
    for (worker_row& worker : found) {
      use count = db->sql("SELECT count(*) FROM runs WHERE owner = ?1 AND owner <> 0");
      count.with(worker.row).next();
      worker.owned = count.integer(0);
      use held = db->sql("SELECT count(*) FROM tasks WHERE owner = ?1 AND owner <> 0");
      held.with(worker.row).next();
      worker.tasks = held.integer(0);
    }
    return found;
  });
}

absl::StatusOr<std::vector<serving_row>> sqlite_store::serving() const {
  using result = absl::StatusOr<std::vector<serving_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<serving_row> found;
    use rows = db->sql(
        "SELECT s.kind, s.name, s.input_type, s.input_shape, s.result_shape, s.build, w.worker, "
        "w.dead = 0 AND w.gone = 0 AS alive FROM serving s JOIN workers w ON w.id = s.worker "
        "WHERE alive OR NOT EXISTS (SELECT 1 FROM serving o JOIN workers v ON v.id = o.worker "
        "  WHERE o.kind = s.kind AND o.name = s.name AND o.worker <> s.worker "
        "  AND (o.worker > s.worker OR (v.dead = 0 AND v.gone = 0))) "
        "ORDER BY s.kind, s.name, s.worker");
    while (rows.next()) {
      found.push_back({.kind = std::string(rows.text(0)),
                       .name = std::string(rows.text(1)),
                       .input_type = static_cast<std::uint64_t>(rows.integer(2)),
                       .input_shape = std::string(rows.text(3)),
                       .result_shape = std::string(rows.text(4)),
                       .build = std::string(rows.text(5)),
                       .worker = rows.id<worker_id>(6),
                       .alive = rows.integer(7) != 0});
    }
    return found;
  });
}

}  // namespace fermata::engine
