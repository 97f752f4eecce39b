// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/values.hpp"

/// What a claim asks; claim.cpp says when.
namespace fermata::engine::postgres {

// What nobody's run must be so that this worker takes it: $2 its workflows, $3 its build, $4 whether
// only that build's, $5 runs it doesn't want now, $6 the highest format level it reads.
#define FERMATA_MAY_TAKE                                                                   \
  "r.state + 0 < 3 AND r.format_level <= $6 AND r.run <> ALL($5) AND (r.attention = 0 OR " \
  "(r.attention = 1 AND strpos(E'\\n' || r.blocked_builds, E'\\n' || $3 || E'\\n') = 0))"
#define FERMATA_MAY_TAKE_OVER \
  FERMATA_MAY_TAKE            \
  " AND r.owner = 0 AND r.workflow = ANY($2) AND ($4 = 0 OR r.build = $4)"

// Rows that somebody else has locked just now are passed over: who has them tells when it is done.
inline constexpr const char* own_marks_sql =
    "SELECT r.run FROM fermata.ready m JOIN fermata.runs r ON r.run = m.run "
    "WHERE m.space = $1 AND m.owner = $7 AND r.owner = $7 AND " FERMATA_MAY_TAKE
    " ORDER BY m.priority, m.since, m.run LIMIT $8 FOR NO KEY UPDATE OF r SKIP LOCKED";
inline constexpr const char* own_timers_sql =
    "SELECT r.run, r.epoch, t.operation, t.due FROM fermata.timers t "
    "JOIN fermata.runs r ON r.run = t.run "
    "WHERE t.space = $1 AND t.due <= $9 AND r.owner = $7 AND " FERMATA_MAY_TAKE
    " ORDER BY t.due, t.run, t.operation LIMIT $8 FOR NO KEY UPDATE OF r SKIP LOCKED";
inline constexpr const char* timers_sql =
    "SELECT r.run FROM fermata.timers t JOIN fermata.runs r ON r.run = t.run "
    "WHERE t.space = $1 AND t.due <= $8 AND r.queue = ANY($9) AND " FERMATA_MAY_TAKE_OVER
    " ORDER BY t.due, t.run, t.operation LIMIT $7 FOR NO KEY UPDATE OF r SKIP LOCKED";
inline constexpr const char* marks_sql =
    "SELECT f.run, f.queue, f.priority, f.since FROM "
    "unnest($8::int8[], $9::int8[], $10::int8[], $11::uuid[]) AS l(queue, priority, since, run) "
    "CROSS JOIN LATERAL (SELECT r.run, m.queue, m.priority, m.since "
    "  FROM fermata.ready m JOIN fermata.runs r ON r.run = m.run "
    "  WHERE m.space = $1 AND m.owner = 0 AND m.queue = l.queue AND m.priority = l.priority AND "
    "  (m.since, m.run) >= (l.since, l.run) AND " FERMATA_MAY_TAKE_OVER
    "  ORDER BY m.since, m.run LIMIT $7 FOR NO KEY UPDATE OF r SKIP LOCKED) f "
    "ORDER BY f.priority, f.since, f.run LIMIT $7";
inline constexpr const char* requests_sql =
    "SELECT " FERMATA_REQUEST_COLUMNS
    " FROM unnest($1::text[], $2::int8[], $3::int8[], $4::uuid[], $5::int8[]) "
    "AS l(queue, priority, not_before, run, until) "
    "CROSS JOIN LATERAL (SELECT * FROM fermata.start_requests s "
    "  WHERE s.space = $6 AND s.queue = l.queue AND s.priority = l.priority AND "
    "  (s.not_before, s.run) >= (l.not_before, l.run) AND s.not_before <= l.until AND "
    "  (s.not_after = 0 OR s.not_after >= $7) AND s.format_level <= $8 AND "
    "  s.workflow = ANY($9) AND s.run <> ALL($10) "
    "  ORDER BY s.not_before, s.run LIMIT $11 FOR UPDATE SKIP LOCKED) r "
    "ORDER BY r.priority, r.not_before, r.run LIMIT $11";

inline constexpr const char* request_stretches_sql =
    "WITH RECURSIVE p(queue, priority) AS ("
    "  SELECT q, (SELECT min(s.priority) FROM fermata.start_requests s "
    "    WHERE s.space = $1 AND s.queue = q) FROM unnest($2::text[]) q "
    "  UNION ALL SELECT p.queue, (SELECT min(s.priority) FROM fermata.start_requests s "
    "    WHERE s.space = $1 AND s.queue = p.queue AND s.priority > p.priority) "
    "  FROM p WHERE p.priority IS NOT NULL) "
    "SELECT queue, priority FROM p WHERE priority IS NOT NULL";
inline constexpr const char* mark_stretches_sql =
    "WITH RECURSIVE p(queue, priority) AS ("
    "  SELECT q, (SELECT min(m.priority) FROM fermata.ready m "
    "    WHERE m.space = $1 AND m.owner = 0 AND m.queue = q) FROM unnest($2::int8[]) q "
    "  UNION ALL SELECT p.queue, (SELECT min(m.priority) FROM fermata.ready m "
    "    WHERE m.space = $1 AND m.owner = 0 AND m.queue = p.queue AND m.priority > p.priority) "
    "  FROM p WHERE p.priority IS NOT NULL) "
    "SELECT queue, priority FROM p WHERE priority IS NOT NULL";

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
inline constexpr const char* inbox_sql =
    "SELECT " FERMATA_MESSAGE_COLUMNS
    " FROM fermata.inbox i WHERE i.chain = ANY($1) ORDER BY i.chain, i.seq";
inline constexpr const char* due_sql =
    "SELECT run, operation, due, purpose FROM fermata.timers WHERE run = ANY($1) AND due <= $2 "
    "ORDER BY run, due, operation";

inline constexpr const char* tasks_sql =
    "SELECT run, operation, epoch FROM fermata.tasks WHERE run = ANY($1) ORDER BY run, operation";

}  // namespace fermata::engine::postgres
