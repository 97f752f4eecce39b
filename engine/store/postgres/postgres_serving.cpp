// SPDX-License-Identifier: Apache-2.0
// What workers say of themselves and of their attempts: no truth, no events.
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace fermata::engine {

namespace {

using postgres::column;
using postgres::connection;
using postgres::journal_parts;
using postgres::params;
using postgres::rows;
using postgres::transaction;
using postgres::type;

}  // namespace

absl::Status postgres_store::put_serving(std::int64_t worker,
                                         const std::vector<serving_row>& rows_given) {
  return guarded<absl::Status>([&]() -> absl::Status {
    const bool known = parts_->at.write([&](transaction& in) {
      rows row = in.run("SELECT build FROM fermata.workers WHERE id = $1", params(worker));
      if (!row.next()) return false;
      const std::string build(row.text(0));
      column kind(type::text), name(type::text), input_type(type::int8), input_shape(type::text),
          result_shape(type::text), of_build(type::text);
      // In the order of their keys: two that register at once wait for each other in one way only.
      std::map<std::pair<std::string_view, std::string_view>, const serving_row*> all;
      for (const serving_row& one : rows_given) all[{one.kind, one.name}] = &one;
      for (const auto& [key, one] : all) {
        kind.add(std::string_view(one->kind));
        name.add(std::string_view(one->name));
        input_type.add(static_cast<std::int64_t>(one->input_type));
        input_shape.add(std::string_view(one->input_shape));
        result_shape.add(std::string_view(one->result_shape));
        of_build.add(std::string_view(one->build.empty() ? build : one->build));
      }
      // What those served who are gone; from now on this row is the last one of its name.
      in.send(
          "DELETE FROM fermata.serving s USING unnest($1::text[], $2::text[]) AS u(kind, name) "
          "WHERE s.kind = u.kind AND s.name = u.name AND s.worker NOT IN "
          "(SELECT id FROM fermata.workers WHERE NOT dead AND NOT gone)",
          params(kind, name));
      in.send(
          "INSERT INTO fermata.serving(worker, kind, name, input_type, input_shape, result_shape, "
          "build) SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::int8[], $5::text[], "
          "$6::text[], $7::text[]) u "
          "ON CONFLICT (kind, name, worker) DO UPDATE SET input_type = excluded.input_type, "
          "input_shape = excluded.input_shape, result_shape = excluded.result_shape, "
          "build = excluded.build",
          params(worker, kind, name, input_type, input_shape, result_shape, of_build));
      return true;
    });
    return known ? absl::OkStatus() : no_worker(worker, "isn't registered");
  });
}

namespace {

/// False: the task isn't there, or is withdrawn.
bool beat_task(journal_parts& parts, transaction& in, const heartbeat_row& beat) {
  in.run("SELECT 1 FROM fermata.runs WHERE run = $1 FOR NO KEY UPDATE", params(beat.run));
  rows found = in.run(
      "SELECT " FERMATA_TASK_COLUMNS FERMATA_TASK_TABLES
      "WHERE t.run = $1 AND t.operation = $2 AND t.epoch = $3 AND t.owner <> 0 AND "
      "NOT t.withdrawn",
      params(beat.run, std::string_view(beat.operation), static_cast<std::int64_t>(beat.epoch)));
  if (!found.next()) return false;
  postgres::turn turn(parts.at, in, parts.handed, 0);
  task_row task = read_task(turn.names(), found);
  task.beat = beat.at;
  turn.write.change_task(task);
  watch(turn, task);
  turn.write.send(in, parts.at.clock.now());
  return true;
}

}  // namespace

absl::Status postgres_store::put_heartbeat(const heartbeat_row& beat) {
  return guarded<absl::Status>([&]() -> absl::Status {
    const bool written = parts_->at.write([&](transaction& in) {
      if (beat.epoch != 0 && !beat_task(*parts_, in, beat)) return false;
      params given(beat.run, std::string_view(beat.operation), beat.attempt, beat.at,
                   std::string_view(beat.details.content_type.str()),
                   static_cast<std::int64_t>(beat.details.type), payload_flags(beat.details));
      given.add_bytes(beat.details.bytes);
      in.send(
          "INSERT INTO fermata.heartbeats AS h (run, operation, attempt, at, content_type, type, "
          "flags, details) SELECT r.run, $2, $3, $4, $5, $6, $7, $8 FROM fermata.runs r "
          "WHERE r.run = $1 "
          // Without a value, what was said before stays.
          "ON CONFLICT (run, operation) DO UPDATE SET attempt = excluded.attempt, "
          "at = excluded.at, "
          "type = CASE excluded.content_type WHEN '' THEN h.type ELSE excluded.type END, "
          "flags = CASE excluded.content_type WHEN '' THEN h.flags ELSE excluded.flags END, "
          "details = CASE excluded.content_type WHEN '' THEN h.details ELSE excluded.details END, "
          "content_type = CASE excluded.content_type WHEN '' THEN h.content_type "
          "  ELSE excluded.content_type END",
          std::move(given));
      return true;
    });
    return written ? absl::OkStatus()
                   : coded(absl::StatusCode::kNotFound, "FER-2104",
                           "the task of operation " + beat.operation + " is withdrawn");
  });
}

absl::Status postgres_store::put_logs(const std::vector<log_line>& lines) {
  return guarded<absl::Status>([&]() -> absl::Status {
    parts_->at.write([&](transaction& in) {
      postgres::writes all(parts_->at);
      for (const log_line& line : lines) all.log(line);
      all.send(in, parts_->at.clock.now());
    });
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<serving_row>> postgres_store::serving() const {
  using result = absl::StatusOr<std::vector<serving_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) {
      rows found = db.run(
          "WITH known AS (SELECT s.kind, s.name, s.input_type, s.input_shape, s.result_shape, "
          "  s.build, s.worker AS id, w.worker, NOT w.dead AND NOT w.gone AS alive "
          "  FROM fermata.serving s JOIN fermata.workers w ON w.id = s.worker) "
          "SELECT kind, name, input_type, input_shape, result_shape, build, worker, alive FROM "
          "known k "
          "WHERE alive OR NOT EXISTS (SELECT 1 FROM known o WHERE o.kind = k.kind AND "
          "  o.name = k.name AND o.id <> k.id AND (o.id > k.id OR o.alive)) "
          "ORDER BY kind, name, id");
      std::vector<serving_row> all;
      while (found.next()) {
        all.push_back({.kind = std::string(found.text(0)),
                       .name = std::string(found.text(1)),
                       .input_type = static_cast<std::uint64_t>(found.integer(2)),
                       .input_shape = std::string(found.text(3)),
                       .result_shape = std::string(found.text(4)),
                       .build = std::string(found.text(5)),
                       .worker = found.id<worker_id>(6),
                       .alive = found.integer(7) != 0});
      }
      return all;
    });
  });
}

}  // namespace fermata::engine
