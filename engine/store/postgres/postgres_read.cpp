// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace fermata::engine {

namespace {

using postgres::connection;
using postgres::params;
using postgres::rows;

absl::Status missing(std::string_view what) {
  return coded(absl::StatusCode::kNotFound, "FER-2104",
               fmt::format("{} isn't in this journal", what));
}

constexpr std::size_t reserved_at_most = 1'000;  // who reads long histories reads by pages

std::int64_t bounded(std::size_t at_most) {
  return static_cast<std::int64_t>(
      std::min<std::size_t>(at_most, std::numeric_limits<std::int32_t>::max()));
}

constexpr const char* run_sql =
    "SELECT " FERMATA_RUN_COLUMNS " FROM fermata.runs r WHERE r.run = $1";
constexpr const char* request_sql =
    "SELECT " FERMATA_REQUEST_COLUMNS " FROM fermata.start_requests r WHERE r.run = $1";
constexpr const char* request_of_chain_sql =
    "SELECT " FERMATA_REQUEST_COLUMNS
    " FROM fermata.start_requests r WHERE r.chain = $1 OR (r.run = $1 AND r.chain IS NULL) LIMIT 1";
constexpr const char* run_of_chain_sql =
    "SELECT " FERMATA_RUN_COLUMNS
    " FROM (SELECT * FROM fermata.runs WHERE run = $1 AND chain IS NULL "
    "UNION ALL SELECT * FROM fermata.runs WHERE chain = $1) r "
    "ORDER BY r.state < 3 DESC, r.next_run IS NULL DESC, r.started DESC, r.run DESC LIMIT 1";
constexpr const char* known_sql =
    "SELECT 1 FROM fermata.runs WHERE run = $1 "
    "UNION ALL SELECT 2 FROM fermata.start_requests WHERE run = $1";

/// One transaction for what must fit together: a run that begins between two looks is in neither.
template <class Work>
auto at_one_time(connection& db, Work&& work) {
  db.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  auto answer = work();
  db.script("COMMIT");
  return answer;
}

std::optional<run_row> row_of_run(const postgres::dictionary& in, const run_id& run) {
  return at_one_time(in.db, [&]() -> std::optional<run_row> {
    rows found = in.db.run(run_sql, params(run));
    if (found.next()) return read_run(in, found);
    rows request = in.db.run(request_sql, params(run));
    if (request.next()) return row_of_request(read_request(in, request));
    return std::nullopt;
  });
}

/// The open run of the chain, else its request, else its last.
std::optional<run_row> row_of_chain(const postgres::dictionary& in, const chain_id& chain) {
  return at_one_time(in.db, [&]() -> std::optional<run_row> {
    std::optional<run_row> last;
    rows found = in.db.run(run_of_chain_sql, params(chain));
    if (found.next()) last = read_run(in, found);
    if (last && !ended(last->state)) return last;
    rows request = in.db.run(request_of_chain_sql, params(chain));
    if (request.next()) return row_of_request(read_request(in, request));
    return last;
  });
}

/// 0: unknown, 1: begun, 2: a request.
std::int64_t how_known(connection& db, const run_id& run) {
  rows found = db.run(known_sql, params(run));
  return found.next() ? found.integer(0) : 0;
}

}  // namespace

absl::StatusOr<std::vector<encoded_event>> postgres_store::read_events(const run_id& run,
                                                                       position_t from,
                                                                       std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<encoded_event>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows found = db.run("SELECT " FERMATA_EVENT_COLUMNS
                          " FROM fermata.events e WHERE e.run = $1 AND e.position >= $2 "
                          "ORDER BY e.position LIMIT $3",
                          params(run, from, bounded(at_most)));
      std::vector<encoded_event> events;
      if (found.count() == 0 && how_known(db, run) == 0) return missing("run " + run.text());
      events.reserve(std::min(at_most, reserved_at_most));
      while (found.next()) events.push_back(read_event(parts_->names(db), found));
      return events;
    });
  });
}

absl::StatusOr<std::vector<std::vector<encoded_event>>> postgres_store::read_beginnings(
    const std::vector<run_id>& runs, std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<std::vector<encoded_event>>>;
  postgres::column ids(postgres::type::uuid);
  for (const run_id& run : runs) ids.add(run);
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows found = db.run("SELECT " FERMATA_EVENT_COLUMNS
                          ", u.number FROM unnest($1::uuid[]) WITH ORDINALITY AS u(run, number) "
                          "CROSS JOIN LATERAL (SELECT * FROM fermata.events e WHERE e.run = u.run "
                          "  AND e.position <= $2 ORDER BY e.position LIMIT $2) e",
                          params(ids, bounded(at_most)));
      std::vector<std::vector<encoded_event>> beginnings(runs.size());
      while (found.next())
        beginnings[static_cast<std::size_t>(found.integer(postgres::event_column_count) - 1)]
            .push_back(read_event(parts_->names(db), found));
      return beginnings;
    });
  });
}

absl::StatusOr<head> postgres_store::read_head(const run_id& run) const {
  using result = absl::StatusOr<head>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows last = db.run(
          "SELECT position, chain FROM fermata.events WHERE run = $1 ORDER BY position DESC LIMIT "
          "1",
          params(run));
      if (last.next())
        return fermata::engine::head{static_cast<position_t>(last.integer(0)), last.hash(1)};
      if (how_known(db, run) == 0) return missing("run " + run.text());
      return fermata::engine::head{};
    });
  });
}

std::uint32_t postgres_store::lineage() const { return parts_->at.lineage(); }

std::int64_t postgres_store::away_since() const { return parts_->at.away_since(); }

absl::StatusOr<std::vector<run_place>> postgres_store::whereabouts(
    std::int64_t worker, const std::vector<run_id>& runs) const {
  using result = absl::StatusOr<std::vector<run_place>>;
  return guarded<result>([&]() -> result {
    parts_->acked.compare(parts_->at);
    postgres::column ids(postgres::type::uuid);
    for (const run_id& run : runs) ids.add(run);
    const postgres::column id = parts_->id_of(worker);
    return parts_->at.read([&](connection& db) -> result {
      rows known = db.run(
          "SELECT 1 FROM fermata.workers WHERE id = $1 AND "
          "(cardinality($2::uuid[]) = 0 OR worker = ANY($2))",
          params(worker, id));
      if (worker != 0 && known.count() == 0)
        return missing(fmt::format("worker {}, with the id that it registered with,", worker));
      rows found = db.run(
          "SELECT r.run, r.owner, r.epoch, h.position, h.chain FROM "
          "(SELECT * FROM fermata.runs WHERE run = ANY($2) UNION "
          " SELECT * FROM fermata.runs WHERE owner = $1 AND owner <> 0) r "
          "JOIN LATERAL (SELECT e.position, e.chain FROM fermata.events e WHERE e.run = r.run "
          "  ORDER BY e.position DESC LIMIT 1) h ON true",
          params(worker, ids));
      std::vector<run_place> all;
      while (found.next())
        all.push_back({.run = found.id<run_id>(0),
                       .owner = found.integer(1),
                       .epoch = static_cast<epoch_t>(found.integer(2)),
                       .last = {static_cast<position_t>(found.integer(3)), found.hash(4)}});
      return all;
    });
  });
}

absl::StatusOr<run_row> postgres_store::find_run(const run_id& run) const {
  using result = absl::StatusOr<run_row>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      if (auto row = row_of_run(parts_->names(db), run)) return *std::move(row);
      return missing("run " + run.text());
    });
  });
}

absl::StatusOr<run_row> postgres_store::find_chain(const chain_id& chain) const {
  using result = absl::StatusOr<run_row>;
  return guarded<result>([&]() -> result {
    parts_->acked.compare(parts_->at);  // who waits for a result asks this
    return parts_->at.read([&](connection& db) -> result {
      if (auto row = row_of_chain(parts_->names(db), chain)) return *std::move(row);
      return missing("chain " + chain.text());
    });
  });
}

absl::StatusOr<std::vector<run_row>> postgres_store::find_key(std::string_view space,
                                                              std::string_view workflow,
                                                              std::string_view key) const {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows chains = db.run(
          "SELECT k.chain FROM fermata.keys k JOIN fermata.namespaces n ON n.id = k.space "
          "WHERE n.text = $1 AND k.key = $3 AND ($2 = '' OR k.workflow = $2) ORDER BY k.workflow",
          params(space, workflow, key));
      std::vector<run_row> found;
      while (chains.next())
        if (auto row = row_of_chain(parts_->names(db), chains.id<chain_id>(0)))
          found.push_back(*std::move(row));
      return found;
    });
  });
}

absl::StatusOr<std::vector<message>> postgres_store::inbox(const chain_id& chain) const {
  using result = absl::StatusOr<std::vector<message>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows found = db.run("SELECT " FERMATA_MESSAGE_COLUMNS
                          " FROM fermata.inbox i WHERE i.chain = $1 ORDER BY i.seq",
                          params(chain));
      std::vector<message> all;
      while (found.next()) all.push_back(postgres::read_message(found));
      return all;
    });
  });
}

absl::StatusOr<std::vector<timer_row>> postgres_store::timers(const run_id& run) const {
  using result = absl::StatusOr<std::vector<timer_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows found = db.run(
          "SELECT operation, due, purpose FROM fermata.timers WHERE run = $1 "
          "ORDER BY due, operation",
          params(run));
      std::vector<timer_row> all;
      while (found.next())
        all.push_back({run, std::string(found.text(0)), found.integer(1),
                       static_cast<timer_purpose>(found.integer(2))});
      return all;
    });
  });
}

absl::StatusOr<std::optional<start_request>> postgres_store::find_request(const run_id& run) const {
  using result = absl::StatusOr<std::optional<start_request>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows found = db.run(request_sql, params(run));
      if (!found.next()) return std::optional<start_request>{};
      return std::optional<start_request>(read_request(parts_->names(db), found));
    });
  });
}

absl::StatusOr<payload> postgres_store::published(const run_id& run, std::string_view name) const {
  using result = absl::StatusOr<payload>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      if (how_known(db, run) != 1) return missing("run " + run.text());
      rows found = db.run("SELECT " FERMATA_EVENT_COLUMNS
                          " FROM fermata.published p JOIN fermata.events e ON e.run = p.run AND "
                          "e.position = p.position WHERE p.run = $1 AND p.name = $2",
                          params(run, name));
      if (!found.next())
        return missing(fmt::format("run {}: a published value '{}'", run.text(), name));
      absl::StatusOr<event> event = decode(run, read_event(parts_->names(db), found));
      if (!event.ok()) return event.status();
      return std::move(event->value);
    });
  });
}

absl::StatusOr<std::optional<heartbeat_row>> postgres_store::heartbeat(
    const run_id& run, std::string_view operation) const {
  using result = absl::StatusOr<std::optional<heartbeat_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows row = db.run(
          "SELECT attempt, at, content_type, type, flags, details FROM fermata.heartbeats "
          "WHERE run = $1 AND operation = $2",
          params(run, operation));
      if (!row.next()) return std::optional<heartbeat_row>{};
      return std::optional<heartbeat_row>(heartbeat_row{
          .run = run,
          .operation = std::string(operation),
          .attempt = static_cast<int>(row.integer(0)),
          .at = row.integer(1),
          .details = make_payload(row.text(2), row.integer(3), row.integer(4), row.bytes(5))});
    });
  });
}

absl::StatusOr<std::vector<log_line>> postgres_store::logs(const run_id& run,
                                                           std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<log_line>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows found = db.run(
          "SELECT at, level, text, place, position, ordinal FROM fermata.run_logs WHERE run = $1 "
          "ORDER BY seq DESC LIMIT $2",
          params(run, bounded(at_most)));
      std::vector<log_line> all;
      while (found.next())
        all.push_back({.run = run,
                       .position = static_cast<position_t>(found.integer(4)),
                       .ordinal = static_cast<int>(found.integer(5)),
                       .at = found.integer(0),
                       .level = static_cast<int>(found.integer(1)),
                       .text = std::string(found.text(2)),
                       .place = std::string(found.text(3))});
      std::ranges::reverse(all);
      return all;
    });
  });
}

// ---- tasks ----

namespace {
std::vector<task_row> tasks_in(const postgres::dictionary& in, rows found) {
  std::vector<task_row> all;
  while (found.next()) all.push_back(read_task(in, found));
  return all;
}
}  // namespace

absl::StatusOr<std::vector<task_row>> postgres_store::tasks(const run_id& run) const {
  using result = absl::StatusOr<std::vector<task_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      return tasks_in(parts_->names(db), db.run("SELECT " FERMATA_TASK_COLUMNS FERMATA_TASK_TABLES
                                                "WHERE t.run = $1 ORDER BY t.operation",
                                                params(run)));
    });
  });
}

absl::StatusOr<std::vector<task_row>> postgres_store::held_tasks(std::int64_t worker) const {
  using result = absl::StatusOr<std::vector<task_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      return tasks_in(parts_->names(db),
                      db.run("SELECT " FERMATA_TASK_COLUMNS FERMATA_TASK_TABLES
                             "WHERE t.owner = $1 AND t.owner <> 0 ORDER BY t.run, t.operation",
                             params(worker)));
    });
  });
}

absl::StatusOr<std::vector<queued_step>> postgres_store::queued_steps(
    std::string_view space) const {
  using result = absl::StatusOr<std::vector<queued_step>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows found = db.run(
          "SELECT t.queue, t.step, count(*) FILTER (WHERE t.owner = 0), "
          "count(*) FILTER (WHERE t.owner <> 0), "
          "coalesce(min(t.not_before) FILTER (WHERE t.owner = 0), 0) FROM fermata.tasks t "
          "JOIN fermata.namespaces n ON n.id = t.space WHERE n.text = $1 "
          "GROUP BY 1, 2 ORDER BY 1, 2",
          params(space));
      std::vector<queued_step> all;
      while (found.next())
        all.push_back({.queue = std::string(found.text(0)),
                       .step = std::string(found.text(1)),
                       .waiting = found.integer(2),
                       .executing = found.integer(3),
                       .oldest = found.integer(4)});
      return all;
    });
  });
}

}  // namespace fermata::engine
