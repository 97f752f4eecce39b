// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/limits.hpp"
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace fermata::engine {

namespace {

using sqlite::connection;
using sqlite::turn;
using sqlite::use;

absl::Status missing(std::string_view what) {
  return coded(absl::StatusCode::kNotFound, "FER-2104",
               fmt::format("{} isn't in this journal", what));
}

/// 0: it hasn't begun, or isn't there.
std::int64_t row_of(connection& db, const run_id& run) {
  use row = db.sql("SELECT id FROM runs WHERE run = ?1");
  return row.with(run).next() ? row.integer(0) : 0;
}

bool requested(connection& db, const run_id& run) {
  use row = db.sql("SELECT 1 FROM start_requests WHERE run = ?1");
  return row.with(run).next();
}

constexpr std::size_t reserved_at_most = 1'000;  // who reads long histories reads by pages

std::int64_t bounded(std::size_t at_most) {
  return static_cast<std::int64_t>(
      std::min<std::size_t>(at_most, std::numeric_limits<std::int32_t>::max()));
}

std::optional<run_row> find_row(connection& db, const run_id& run) {
  std::optional<run_row> found;
  {
    static const std::string sql =
        "SELECT " + sqlite::run_columns + " FROM runs r WHERE r.run = ?1";
    use row = db.sql(sql.c_str());
    if (row.with(run).next()) found = sqlite::read_run(db, row);
  }
  if (found) {
    sqlite::read_tags(db, *found);
    return found;
  }
  const start_request request = sqlite::find_request(db, run);
  if (!request.run.empty()) found = row_of_request(request);
  return found;
}

std::optional<run_row> find_chain_row(connection& db, const chain_id& chain) {
  const sqlite::current_run now = sqlite::find_current(db, chain);
  return now.run.empty() ? std::nullopt : find_row(db, now.run);
}

}  // namespace

absl::StatusOr<std::vector<encoded_event>> sqlite_store::read_events(const run_id& run,
                                                                     position_t from,
                                                                     std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<encoded_event>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<encoded_event> events;
    const std::int64_t row = row_of(*db, run);
    if (row == 0) {
      if (requested(*db, run)) return events;
      return missing("run " + run.text());
    }
    static const std::string sql = "SELECT " + sqlite::event_columns +
                                   " FROM events e WHERE e.run = ?1 AND e.position >= ?2 "
                                   "ORDER BY e.position LIMIT ?3";
    use rows = db->sql(sql.c_str());
    rows.with(row, from, bounded(at_most));
    events.reserve(std::min(at_most, reserved_at_most));
    while (rows.next()) events.push_back(sqlite::read_event(*db, rows, row));
    return events;
  });
}

absl::StatusOr<head> sqlite_store::read_head(const run_id& run) const {
  using result = absl::StatusOr<head>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    const std::int64_t row = row_of(*db, run);
    if (row == 0) {
      if (requested(*db, run)) return fermata::engine::head{};
      return missing("run " + run.text());
    }
    use last =
        db->sql("SELECT position, chain FROM events WHERE run = ?1 ORDER BY position DESC LIMIT 1");
    if (!last.with(row).next()) return fermata::engine::head{};
    return fermata::engine::head{static_cast<position_t>(last.integer(0)), last.hash(1)};
  });
}

absl::StatusOr<std::vector<run_place>> sqlite_store::whereabouts(
    std::int64_t worker, const std::vector<run_id>& runs) const {
  using result = absl::StatusOr<std::vector<run_place>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    if (worker != 0) {
      use known = db->sql("SELECT 1 FROM workers WHERE id = ?1");
      if (!known.with(worker).next()) return missing(fmt::format("worker {}", worker));
    }
    std::vector<run_place> all;
    auto add = [&](use& row) {
      use last = db->sql(
          "SELECT position, chain FROM events WHERE run = ?1 ORDER BY position DESC LIMIT 1");
      if (!last.with(row.integer(0)).next()) return;
      all.push_back({.run = row.id<run_id>(1),
                     .owner = row.integer(2),
                     .epoch = static_cast<epoch_t>(row.integer(3)),
                     .last = {static_cast<position_t>(last.integer(0)), last.hash(1)}});
    };
    for (const run_id& run : runs) {
      use row = db->sql("SELECT id, run, owner, epoch FROM runs WHERE run = ?1 AND owner <> ?2");
      if (row.with(run, worker == 0 ? -1 : worker).next()) add(row);
    }
    use owned = db->sql("SELECT id, run, owner, epoch FROM runs WHERE owner = ?1 AND owner <> 0");
    owned.with(worker);
    while (owned.next()) add(owned);
    return all;
  });
}

absl::StatusOr<run_row> sqlite_store::find_run(const run_id& run) const {
  using result = absl::StatusOr<run_row>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    if (auto row = find_row(*db, run)) return *std::move(row);
    return missing("run " + run.text());
  });
}

absl::StatusOr<run_row> sqlite_store::find_chain(const chain_id& chain) const {
  using result = absl::StatusOr<run_row>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    if (auto row = find_chain_row(*db, chain)) return *std::move(row);
    return missing("chain " + chain.text());
  });
}

absl::StatusOr<std::vector<run_row>> sqlite_store::find_key(std::string_view space,
                                                            std::string_view workflow,
                                                            std::string_view key) const {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<chain_id> chains;
    {
      use rows = db->sql(
          "SELECT k.chain FROM keys k JOIN namespaces n ON n.id = k.space "
          "JOIN names w ON w.id = k.workflow "
          "WHERE n.text = ?1 AND k.key = ?3 AND (?2 = '' OR w.text = ?2) ORDER BY w.text");
      rows.with(space, workflow, key);
      while (rows.next()) chains.push_back(rows.id<chain_id>(0));
    }
    std::vector<run_row> found;
    for (const chain_id& chain : chains) {
      if (auto row = find_chain_row(*db, chain)) found.push_back(*std::move(row));
    }
    return found;
  });
}

absl::StatusOr<std::vector<message>> sqlite_store::inbox(const chain_id& chain) const {
  using result = absl::StatusOr<std::vector<message>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    return sqlite::read_inbox(*db, chain);
  });
}

absl::StatusOr<std::vector<timer_row>> sqlite_store::timers(const run_id& run) const {
  using result = absl::StatusOr<std::vector<timer_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<timer_row> found;
    use rows = db->sql(
        "SELECT operation, due, purpose FROM timers WHERE run = ?1 ORDER BY due, operation");
    rows.with(row_of(*db, run));
    while (rows.next()) {
      found.push_back({run, std::string(rows.text(0)), rows.integer(1),
                       static_cast<timer_purpose>(rows.integer(2))});
    }
    return found;
  });
}

absl::StatusOr<std::optional<start_request>> sqlite_store::find_request(const run_id& run) const {
  using result = absl::StatusOr<std::optional<start_request>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    start_request found = sqlite::find_request(*db, run);
    if (found.run.empty()) return std::optional<start_request>{};
    return std::optional<start_request>(std::move(found));
  });
}

absl::StatusOr<payload> sqlite_store::published(const run_id& run, std::string_view name) const {
  using result = absl::StatusOr<payload>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    const std::int64_t row = row_of(*db, run);
    if (row == 0) return missing("run " + run.text());
    static const std::string sql =
        "SELECT " + sqlite::event_columns +
        " FROM published p JOIN events e ON e.run = p.run AND e.position = p.position "
        "WHERE p.run = ?1 AND p.name = ?2";
    use found = db->sql(sql.c_str());
    if (!found.with(row, name).next())
      return missing(fmt::format("run {}: a published value '{}'", run.text(), name));
    absl::StatusOr<event> event = decode(run, sqlite::read_event(*db, found, row));
    if (!event.ok()) return event.status();
    return std::move(event->value);
  });
}

absl::StatusOr<std::vector<stored_event>> sqlite_store::changes(const std::string& after,
                                                                std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<stored_event>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    static const std::string sql = "SELECT " + sqlite::event_columns +
                                   ", e.lsn, e.run, r.run FROM events e "
                                   "LEFT JOIN runs r ON r.id = e.run WHERE e.lsn > ?1 "
                                   "ORDER BY e.lsn LIMIT ?2";
    std::vector<stored_event> found;
    use rows = db->sql(sql.c_str());
    std::int64_t last = after.empty() ? 0 : std::stoll(after);
    rows.with(last, bounded(at_most));
    while (rows.next()) {
      last = sqlite::next_key(last, rows.integer(19), "the log's places");
      found.push_back({.run = rows.id<run_id>(21),
                       .what = sqlite::read_event(*db, rows, rows.integer(20)),
                       .cursor = std::to_string(rows.integer(19))});
    }
    return found;
  });
}

// ---- heartbeats and logs: no truth, no events ----

absl::Status sqlite_store::put_heartbeat(const heartbeat_row& beat) {
  return guarded<absl::Status>([&]() -> absl::Status {
    return file_->write(0, [&](turn& turn) -> absl::Status {
      if (beat.epoch != 0 && !beat_task(turn, beat))
        return coded(absl::StatusCode::kNotFound, "FER-2104",
                     "the task of operation " + beat.operation + " is withdrawn");
      turn.db
          .sql(
              "INSERT INTO heartbeats(run, operation, attempt, at, content_type, type, flags, "
              "details) SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM runs WHERE run = ?1 "
              "ON CONFLICT DO UPDATE SET attempt = ?3, at = ?4, "
              "type = CASE ?5 WHEN '' THEN type ELSE ?6 END, "
              "flags = CASE ?5 WHEN '' THEN flags ELSE ?7 END, "
              "details = CASE ?5 WHEN '' THEN details ELSE ?8 END, "
              "content_type = CASE ?5 WHEN '' THEN content_type ELSE ?5 END")
          .with(beat.run, beat.operation, beat.attempt, beat.at, beat.details.content_type,
                static_cast<std::int64_t>(beat.details.type), payload_flags(beat.details),
                sqlite::blob{beat.details.bytes})
          .run();
      return absl::OkStatus();
    });
  });
}

absl::StatusOr<std::optional<heartbeat_row>> sqlite_store::heartbeat(
    const run_id& run, std::string_view operation) const {
  using result = absl::StatusOr<std::optional<heartbeat_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    use row = db->sql(
        "SELECT attempt, at, content_type, type, flags, details FROM heartbeats "
        "WHERE run = ?1 AND operation = ?2");
    if (!row.with(row_of(*db, run), operation).next()) return std::optional<heartbeat_row>{};
    return std::optional<heartbeat_row>(heartbeat_row{
        .run = run,
        .operation = std::string(operation),
        .attempt = static_cast<int>(row.integer(0)),
        .at = row.integer(1),
        .details = make_payload(row.text(2), row.integer(3), row.integer(4), row.bytes(5))});
  });
}

// ---- tasks ----

namespace {
std::vector<task_row> read_tasks(sqlite::connection& db, use& rows) {
  std::vector<task_row> found;
  while (rows.next()) found.push_back(sqlite::read_task(db, rows));
  return found;
}
}  // namespace

absl::StatusOr<std::vector<task_row>> sqlite_store::tasks(const run_id& run) const {
  using result = absl::StatusOr<std::vector<task_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    static const std::string sql = "SELECT " + sqlite::task_columns + sqlite::task_tables +
                                   "WHERE r.run = ?1 ORDER BY t.operation";
    use rows = db->sql(sql.c_str());
    rows.with(run);
    return read_tasks(*db, rows);
  });
}

absl::StatusOr<std::vector<task_row>> sqlite_store::held_tasks(std::int64_t worker) const {
  using result = absl::StatusOr<std::vector<task_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    static const std::string sql = "SELECT " + sqlite::task_columns + sqlite::task_tables +
                                   "WHERE t.owner = ?1 AND t.owner <> 0 ORDER BY r.run, "
                                   "t.operation";
    use rows = db->sql(sql.c_str());
    rows.with(worker);
    return read_tasks(*db, rows);
  });
}

absl::StatusOr<std::vector<queued_step>> sqlite_store::queued_steps(std::string_view space) const {
  using result = absl::StatusOr<std::vector<queued_step>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<queued_step> found;
    use rows = db->sql(
        "SELECT q.text, s.text, sum(t.owner = 0), sum(t.owner <> 0), "
        "coalesce(min(CASE WHEN t.owner = 0 THEN t.not_before END), 0) FROM tasks t "
        "JOIN names q ON q.id = t.queue JOIN names s ON s.id = t.step "
        "JOIN namespaces n ON n.id = t.space WHERE n.text = ?1 GROUP BY 1, 2 ORDER BY 1, 2");
    rows.with(space);
    while (rows.next())
      found.push_back({.queue = std::string(rows.text(0)),
                       .step = std::string(rows.text(1)),
                       .waiting = rows.integer(2),
                       .executing = rows.integer(3),
                       .oldest = rows.integer(4)});
    return found;
  });
}

absl::Status sqlite_store::put_logs(const std::vector<log_line>& lines) {
  return guarded<absl::Status>([&]() -> absl::Status {
    file_->write(0, [&](turn& turn) {
      for (const log_line& line : lines) {
        const std::int64_t row = row_of(turn.db, line.run);
        if (row != 0) keep_logs(turn.db, row, {line});
      }
    });
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<log_line>> sqlite_store::logs(const run_id& run,
                                                         std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<log_line>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<log_line> found;
    use rows = db->sql(
        "SELECT at, level, text, place, position, ordinal FROM run_logs WHERE run = ?1 ORDER BY "
        "seq DESC LIMIT ?2");
    rows.with(row_of(*db, run), bounded(at_most));
    while (rows.next()) {
      found.push_back({.run = run,
                       .position = static_cast<position_t>(rows.integer(4)),
                       .ordinal = static_cast<int>(rows.integer(5)),
                       .at = rows.integer(0),
                       .level = static_cast<int>(rows.integer(1)),
                       .text = std::string(rows.text(2)),
                       .place = std::string(rows.text(3))});
    }
    std::ranges::reverse(found);
    return found;
  });
}

}  // namespace fermata::engine
