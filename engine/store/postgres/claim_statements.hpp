// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"
#include "engine/store/postgres/values.hpp"

/// What a claim asks; claim.cpp says when.
namespace fermata::engine::postgres {

// $1 … $9 of all that look for work: the namespace, the worker's workflows (names.id), its build, whether
// only runs of that build (0: all), runs it doesn't want now, the highest format level it reads, the
// worker, now, its workflows by name.
params claim_filter(const interner& names, std::int64_t space, std::int64_t worker,
                    const claim_request& what);

// What a run must be so that this worker goes on with it, and so that it takes nobody's.
#define FERMATA_MAY_TAKE                                                                   \
  "r.state + 0 < 3 AND r.format_level <= $6 AND r.run <> ALL($5) AND (r.attention = 0 OR " \
  "(r.attention = 1 AND strpos(E'\\n' || r.blocked_builds, E'\\n' || $3 || E'\\n') = 0))"
#define FERMATA_MAY_TAKE_OVER \
  FERMATA_MAY_TAKE            \
  " AND r.owner = 0 AND r.workflow = ANY($2) AND ($4 = 0 OR r.build = $4)"

// Where work lies. Timers of before `from` are none any more.
#define FERMATA_OWN_MARKS                                                             \
  "FROM fermata.ready m JOIN fermata.runs r ON r.run = m.run WHERE m.space = $1 AND " \
  "m.owner = $7 AND r.owner = $7 AND " FERMATA_MAY_TAKE
// First in a transaction that looks for timers: in their order, or all that are due would be read and sorted.
// (That a new table looks small to the planner is why it would.)
inline constexpr const char* in_order_sql = "SELECT set_config('enable_bitmapscan', 'off', true)";
// The first that are due, whoever's. Where they are all that are, its own are among them; else any number
// of others' may lie before its own, and those are looked for by its runs. Each subquery with OFFSET and each
// "+ 0" keeps the planner to one way, whatever its statistics say.
#define FERMATA_LOOKED_AT "1000"
#define FERMATA_NEAR(from)                                                                   \
  "near AS MATERIALIZED (SELECT t.run, t.operation, t.due FROM fermata.timers t "            \
  "  WHERE t.space = $1 AND t.due >= " from                                                  \
  " AND t.due <= $8 "                                                                        \
  "  ORDER BY t.due, t.run, t.operation LIMIT " FERMATA_LOOKED_AT                            \
  "), "                                                                                      \
  "own_timers AS (SELECT * FROM near WHERE (SELECT count(*) FROM near) < " FERMATA_LOOKED_AT \
  "  UNION ALL SELECT t.* FROM "                                                             \
  "    (SELECT run FROM fermata.runs WHERE owner = $7 AND owner <> 0 OFFSET 0) w "           \
  "    CROSS JOIN LATERAL (SELECT t.run, t.operation, t.due FROM fermata.timers t "          \
  "      WHERE t.run = w.run AND t.space + 0 = $1 AND t.due + 0 <= $8 OFFSET 0) t "          \
  "    WHERE (SELECT count(*) FROM near) >= " FERMATA_LOOKED_AT ") "
#define FERMATA_OWN_TIMERS(lock)                                                        \
  "FROM (SELECT * FROM own_timers ORDER BY due, run, operation) t CROSS JOIN LATERAL (" \
  "  SELECT r.run, r.epoch FROM fermata.runs r WHERE r.run = t.run AND r.owner = $7 "   \
  "AND " FERMATA_MAY_TAKE " LIMIT 1 " lock ") r"
#define FERMATA_TIMERS(from, queues)                                                   \
  "FROM fermata.timers t JOIN fermata.runs r ON r.run = t.run WHERE t.space = $1 AND " \
  "t.due >= " from " AND t.due <= $8 AND r.queue = ANY(" queues ") AND " FERMATA_MAY_TAKE_OVER
#define FERMATA_MARKS(stretch)                                                        \
  "FROM fermata.ready m JOIN fermata.runs r ON r.run = m.run WHERE m.space = $1 AND " \
  "m.owner = 0 AND m.queue = " stretch ".queue AND m.priority = " stretch             \
  ".priority AND "                                                                    \
  "(m.since, m.run) >= (" stretch ".since, " stretch ".run) AND " FERMATA_MAY_TAKE_OVER
#define FERMATA_REQUESTS(stretch)                                           \
  "FROM fermata.start_requests s WHERE s.space = $1 AND s.queue = " stretch \
  ".queue AND "                                                             \
  "s.priority = " stretch                                                   \
  ".priority AND (s.not_after = 0 OR s.not_after >= $8) AND "               \
  "s.format_level <= $6 AND s.workflow = ANY($9) AND s.run <> ALL($5)"

// Rows that somebody else has locked just now are passed over (`locked_again_us`).
inline constexpr const char* own_marks_sql =
    "SELECT r.run " FERMATA_OWN_MARKS
    " ORDER BY m.priority, m.since, m.run LIMIT $10 FOR NO KEY UPDATE OF r SKIP LOCKED";
inline constexpr const char* own_timers_sql =
    "WITH " FERMATA_NEAR("$11") "SELECT r.run, r.epoch, t.operation, t.due " FERMATA_OWN_TIMERS(
        "FOR NO KEY UPDATE SKIP LOCKED") " ORDER BY t.due, t.run, t.operation LIMIT $10";
inline constexpr const char* timers_sql = "SELECT r.run " FERMATA_TIMERS(
    "$11",
    "$12") " ORDER BY t.due, t.run, t.operation LIMIT $10 FOR NO KEY UPDATE OF r SKIP LOCKED";
#define FERMATA_LOOK_AT_MARKS(lock)                                                               \
  "SELECT f.run, f.queue, f.priority, f.since FROM "                                              \
  "unnest($11::int8[], $12::int8[], $13::int8[], $14::uuid[]) AS l(queue, priority, since, run) " \
  "CROSS JOIN LATERAL (SELECT r.run, m.queue, m.priority, m.since " FERMATA_MARKS(                \
      "l") "  ORDER BY m.since, m.run LIMIT $10 " lock                                            \
           ") f "                                                                                 \
           "ORDER BY f.priority, f.since, f.run LIMIT $10"
inline constexpr const char* marks_sql =
    FERMATA_LOOK_AT_MARKS("FOR NO KEY UPDATE OF r SKIP LOCKED");
inline constexpr const char* marks_unlocked_sql = FERMATA_LOOK_AT_MARKS("");  // a planted bug
inline constexpr const char* requests_sql =
    "SELECT " FERMATA_REQUEST_COLUMNS
    " FROM unnest($11::text[], $12::int8[], $13::int8[], $14::uuid[], $15::int8[]) "
    "AS l(queue, priority, not_before, run, until) "
    "CROSS JOIN LATERAL (SELECT * " FERMATA_REQUESTS("l")
    "  AND (s.not_before, s.run) >= (l.not_before, l.run) AND s.not_before <= l.until "
    "  ORDER BY s.not_before, s.run LIMIT $10 FOR UPDATE SKIP LOCKED) r "
    "ORDER BY r.priority, r.not_before, r.run LIMIT $10";

inline constexpr const char* next_timer_sql =
    "SELECT due FROM fermata.timers WHERE space = $1 AND due > $2 ORDER BY due LIMIT 1";
inline constexpr const char* next_start_sql =
    "SELECT not_before FROM fermata.start_requests WHERE space = $1 AND not_before <> 0 AND "
    "not_before > $2 ORDER BY not_before LIMIT 1";

// Of the runs that were locked.
inline constexpr const char* runs_sql =
    "SELECT " FERMATA_RUN_COLUMNS
    ", h.position, h.chain, m.since, r.space, r.queue FROM fermata.runs r "
    "LEFT JOIN LATERAL (SELECT e.position, e.chain FROM fermata.events e WHERE e.run = r.run "
    "  ORDER BY e.position DESC LIMIT 1) h ON true "
    "LEFT JOIN fermata.ready m ON m.run = r.run WHERE r.run = ANY($1)";
// $1 chains of requests, $2 the runs.
inline constexpr const char* inbox_sql =
    "SELECT " FERMATA_MESSAGE_COLUMNS
    " FROM fermata.inbox i WHERE i.chain = ANY(array_cat($1, ARRAY("
    "  SELECT coalesce(r.chain, r.run) FROM fermata.runs r WHERE r.run = ANY($2)))) "
    "ORDER BY i.chain, i.seq";
inline constexpr const char* due_sql =
    "SELECT run, operation, due, purpose FROM fermata.timers WHERE run = ANY($1) AND due <= $2 "
    "ORDER BY run, due, operation";
inline constexpr const char* tasks_sql =
    "SELECT run, operation, epoch FROM fermata.tasks WHERE run = ANY($1) ORDER BY run, operation";

// Tasks that this worker executes ($1 … $3) and that aren't wanted any more; $4 is the worker.
inline constexpr const char* stopped_sql =
    "SELECT u.run, u.operation, u.epoch FROM unnest($1::uuid[], $2::text[], $3::int8[]) "
    "AS u(run, operation, epoch) WHERE NOT EXISTS(SELECT 1 FROM fermata.tasks t WHERE "
    "t.run = u.run AND t.operation = u.operation AND t.epoch = u.epoch AND t.owner = $4 AND "
    "NOT t.withdrawn)";
params asked_of(const std::vector<task_name>& holds, std::int64_t worker);
std::vector<task_name> stopped_of(rows& row);

}  // namespace fermata::engine::postgres
