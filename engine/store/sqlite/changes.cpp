// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/store/sqlite/turn.hpp"

#include <algorithm>

namespace fermata::engine::sqlite {

namespace {

void remove_timer(turn& turn, std::int64_t run, const std::string& operation) {
  turn.db.sql("DELETE FROM timers WHERE run = ?1 AND operation = ?2").with(run, operation).run();
  turn.handed.remove(run, operation);
}

void set_timer(turn& turn, std::int64_t run, std::int64_t space, const timer_row& timer) {
  remove_timer(turn, run, timer.operation);
  turn.db.sql("INSERT INTO timers(space, due, run, operation, purpose) VALUES (?1, ?2, ?3, ?4, ?5)")
      .with(space, timer.due, run, timer.operation, static_cast<int>(timer.purpose))
      .run();
  turn.due_from.set(timer.due);
}

}  // namespace

void apply_changes(turn& turn, std::int64_t run, std::int64_t space, const run_changes& changes) {
  if (changes.all_timers_removed) {
    turn.db.sql("DELETE FROM timers WHERE run = ?1").with(run).run();
    turn.handed.remove_all(run);
  }
  for (const std::string& operation : changes.timers_removed) remove_timer(turn, run, operation);
  for (const timer_row& timer : changes.timers_set) set_timer(turn, run, space, timer);
  for (const auto& [key, value] : changes.tags) {
    turn.db
        .sql(
            "INSERT INTO run_tags(run, key, value) VALUES (?1, ?2, ?3) "
            "ON CONFLICT DO UPDATE SET value = excluded.value")
        .with(run, key, value)
        .run();
  }
  for (const auto& [name, position] : changes.published) {
    turn.db
        .sql(
            "INSERT INTO published(run, name, position) VALUES (?1, ?2, ?3) "
            "ON CONFLICT DO UPDATE SET position = excluded.position")
        .with(run, name, position)
        .run();
  }
}

void keep_logs(connection& db, std::int64_t run, const std::vector<log_line>& lines) {
  constexpr auto kept = static_cast<std::int64_t>(limits::logs_per_run);
  std::int64_t seq = 0;
  std::pair<std::int64_t, std::int64_t> oldest{0, 0};
  {
    use ring = db.sql(
        "SELECT position, ordinal, seq, (SELECT max(seq) FROM run_logs WHERE run = ?1) "
        "FROM run_logs WHERE run = ?1 ORDER BY seq LIMIT 1");
    if (ring.with(run).next()) {
      seq = ring.integer(3);
      // Only a full ring has lost lines that a replay may say again.
      if (seq - ring.integer(2) + 1 >= kept) oldest = {ring.integer(0), ring.integer(1)};
    }
  }
  for (const log_line& line : lines) {
    const std::pair place(static_cast<std::int64_t>(line.position), std::int64_t{line.ordinal});
    if (line.position != 0 && place < oldest) continue;
    seq += db.sql(
                 "INSERT OR IGNORE INTO run_logs(run, seq, position, ordinal, at, level, text, "
                 "place) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
               .with(run, seq + 1, line.position, line.ordinal, line.at, line.level, line.text,
                     line.place)
               .run();
  }
  if (seq > kept)
    db.sql("DELETE FROM run_logs WHERE run = ?1 AND seq <= ?2").with(run, seq - kept).run();
}

void mark_ready(turn& turn, std::int64_t run) {
  turn.woke = true;
  turn.mark = std::max(turn.now, turn.mark + 1);
  turn.db
      .sql(
          "INSERT OR IGNORE INTO ready(space, owner, queue, priority, since, run) "
          "SELECT space, owner, queue, priority, ?2, id FROM runs WHERE id = ?1")
      .with(run, turn.mark)
      .run();
}

void unmark(turn& turn, std::int64_t run) {
  turn.db.sql("DELETE FROM ready WHERE run = ?1").with(run).run();
}

void move_mark(turn& turn, std::int64_t run, std::int64_t owner) {
  turn.db.sql("UPDATE ready SET owner = ?2 WHERE run = ?1").with(run, owner).run();
}

bool alive(turn& turn) {
  if (!turn.worker_alive) {
    use row = turn.db.sql("SELECT dead = 0 AND gone = 0, build FROM workers WHERE id = ?1");
    const bool known = row.with(turn.worker).next();
    turn.worker_alive = known && row.integer(0) != 0;
    if (known) turn.worker_build = row.text(1);
  }
  return *turn.worker_alive;
}

void set_lease(turn& turn) {
  if (turn.lease_set) return;
  turn.lease_set = true;
  turn.db.sql("UPDATE workers SET lease_until = ?2 WHERE id = ?1 AND lease_until IS NULL")
      .with(turn.worker, turn.time.boot_now_us() + limits::lease_ms * 1'000)
      .run();
}

void give_up(turn& turn, std::int64_t run) {
  turn.db.sql("UPDATE runs SET owner = 0, epoch = epoch + 1, updated = ?2 WHERE id = ?1")
      .with(run, turn.now)
      .run();
  move_mark(turn, run, 0);
  turn.heads.erase(run);
  mark_ready(turn, run);
}

/// In bulk: three statements, whatever the number of runs.
std::vector<run_id> give_up_all(turn& turn, std::int64_t worker, std::int64_t at_most) {
  std::vector<run_id> runs;
  if (worker == 0) return runs;
  turn.mark = std::max(turn.now, turn.mark + 1);
  turn.db
      .sql(
          "INSERT OR IGNORE INTO ready(space, owner, queue, priority, since, run) "
          "SELECT space, owner, queue, priority, ?2, id FROM runs WHERE owner = ?1 AND owner <> 0 "
          "ORDER BY id LIMIT ?3")
      .with(worker, turn.mark, at_most)
      .run();
  turn.db
      .sql(
          "UPDATE ready SET owner = 0 WHERE run IN "
          "(SELECT id FROM runs WHERE owner = ?1 AND owner <> 0 ORDER BY id LIMIT ?2)")
      .with(worker, at_most)
      .run();
  use given = turn.db.sql(
      "UPDATE runs SET owner = 0, epoch = epoch + 1, updated = ?2 WHERE id IN "
      "(SELECT id FROM runs WHERE owner = ?1 AND owner <> 0 ORDER BY id LIMIT ?3) RETURNING run");
  given.with(worker, turn.now, at_most);
  while (given.next()) runs.push_back(given.id<run_id>(0));
  if (!runs.empty()) {
    turn.heads.clear();
    turn.woke = true;
  }
  return runs;
}

}  // namespace fermata::engine::sqlite
