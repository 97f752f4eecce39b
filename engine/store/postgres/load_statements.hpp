// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/values.hpp"
#include "engine/store/postgres/writes.hpp"

/// How a batch locks and reads what it touches, and the insert of plain appends; load.cpp says when.
namespace fermata::engine::postgres {

// The fence of a worker: whoever marks it dead waits until we are through, or was faster.
inline constexpr const char* fence_sql =
    "SELECT build, lease_until IS NOT NULL FROM fermata.workers "
    "WHERE id = $1 AND NOT dead AND NOT gone FOR KEY SHARE";

inline constexpr const char* fence_and_time_sql =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8 FROM fermata.workers "
    "WHERE id = $1 AND NOT dead AND NOT gone FOR KEY SHARE";

// The order of locks, for all: requests by run, runs by run, keys by (space, key, workflow). Who locks
// waits for whoever was there before; what is read afterwards, by statements of their own, is what
// those have left.
inline constexpr const char* lock_requests_sql =
    "SELECT run FROM fermata.start_requests WHERE run = ANY($1) OR chain = ANY($1) "
    "ORDER BY run FOR NO KEY UPDATE";
// $1 are runs, $2 chains whose open run is meant, too; mostly that is the first one, which is in $1.
// "state + 0": an index of open runs is no way to a run whose id is known.
#define FERMATA_RUNS_MEANT                                                                \
  "ANY(array_cat($1, ARRAY(SELECT c.run FROM fermata.runs c WHERE c.chain = ANY($2) AND " \
  "c.state + 0 < 3)))"
inline constexpr const char* lock_runs_sql =
    "SELECT run FROM fermata.runs WHERE run = " FERMATA_RUNS_MEANT
    " AND state + 0 < 3 ORDER BY run FOR NO KEY UPDATE";
inline constexpr const char* put_keys_sql =
    "INSERT INTO fermata.keys(space, key, workflow, chain, input_type, input_digest) "
    "SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::uuid[], $5::int8[], $6::bytea[]) "
    "ON CONFLICT DO NOTHING RETURNING space, workflow, key";
inline constexpr const char* lock_keys_sql =
    "SELECT k.space, k.workflow, k.key, k.chain, k.input_type, k.input_digest "
    "FROM fermata.keys k JOIN unnest($1::int8[], $2::text[], $3::text[]) AS u(space, key, "
    "workflow) "
    "ON k.space = u.space AND k.key = u.key AND k.workflow = u.workflow "
    "ORDER BY k.space, k.key, k.workflow FOR NO KEY UPDATE OF k";

inline constexpr const char* read_runs_sql =
    "SELECT r.run, r.chain, r.space, r.queue, r.priority, r.owner, r.epoch, r.state, h.position, "
    "h.chain, m.since FROM fermata.runs r "
    "LEFT JOIN LATERAL (SELECT e.position, e.chain FROM fermata.events e WHERE e.run = r.run "
    "  ORDER BY e.position DESC LIMIT 1) h ON true "
    "LEFT JOIN fermata.ready m ON m.run = r.run "
    "WHERE r.run = " FERMATA_RUNS_MEANT;
// Counted as far as $2 says, unless the inbox may be full.
inline constexpr const char* read_chains_sql =
    "SELECT c.chain, r.run, r.state, q.run, i.last, CASE WHEN i.last IS NULL THEN 0 ELSE "
    "  (SELECT count(*) FROM (SELECT 1 FROM fermata.inbox x WHERE x.chain = c.chain LIMIT "
    "    CASE WHEN i.last - i.first + 1 >= $3 THEN $3 * 2 ELSE c.enough END) counted) END "
    "FROM unnest($1::uuid[], $2::int8[]) AS c(chain, enough) "
    "LEFT JOIN LATERAL (SELECT min(seq) AS first, max(seq) AS last FROM fermata.inbox x "
    "  WHERE x.chain = c.chain) i ON true "
    "LEFT JOIN LATERAL (SELECT a.run, a.state FROM ("
    "  SELECT run, state, next_run, started FROM fermata.runs WHERE run = c.chain AND chain IS "
    "NULL "
    "  UNION ALL SELECT run, state, next_run, started FROM fermata.runs WHERE chain = c.chain) a "
    "  ORDER BY a.state < 3 DESC, a.next_run IS NULL DESC, a.started DESC, a.run DESC LIMIT 1) r "
    "  ON true "
    "LEFT JOIN LATERAL (SELECT s.run FROM fermata.start_requests s "
    "  WHERE s.run = c.chain AND s.chain IS NULL "
    "  UNION ALL SELECT s.run FROM fermata.start_requests s WHERE s.chain = c.chain LIMIT 1) q "
    "  ON true";
// Of those that have any.
inline constexpr const char* read_inboxes_sql =
    "SELECT c.chain, i.unread FROM unnest($1::uuid[], $2::int8[]) AS c(chain, enough) "
    "CROSS JOIN LATERAL (SELECT count(*) AS unread FROM (SELECT 1 FROM fermata.inbox x "
    "  WHERE x.chain = c.chain LIMIT c.enough) counted) i WHERE i.unread > 0";
inline constexpr const char* read_ids_sql =
    "SELECT u.chain, u.id FROM unnest($1::uuid[], $2::uuid[]) AS u(chain, id) WHERE "
    "EXISTS(SELECT 1 FROM fermata.inbox i WHERE i.chain = u.chain AND i.id = u.id) OR "
    "EXISTS(SELECT 1 FROM fermata.ledger l WHERE l.chain = u.chain AND l.id = u.id)";
inline constexpr const char* read_consumed_sql =
    "SELECT i.chain, i.seq, i.id FROM unnest($1::uuid[], $2::int8[]) AS u(chain, seq) "
    "JOIN fermata.inbox i ON i.chain = u.chain AND i.seq = u.seq";
inline constexpr const char* read_existing_sql =
    "SELECT run, owner, chain, true FROM fermata.runs WHERE run = ANY($1) "
    "UNION ALL SELECT run, 0, chain, false FROM fermata.start_requests WHERE run = ANY($1)";
inline constexpr const char* read_parents_sql =
    "SELECT u.run FROM unnest($1::uuid[], $2::uuid[]) AS u(run, chain) WHERE "
    "EXISTS(SELECT 1 FROM fermata.runs c WHERE c.parent IS NOT NULL AND "
    "  coalesce(c.parent_chain, c.parent) IN (u.run, u.chain) AND c.state + 0 < 3 AND "
    "  c.close_policy <> 2) OR "
    "EXISTS(SELECT 1 FROM fermata.start_requests c WHERE c.parent IS NOT NULL AND "
    "  coalesce(c.parent_chain, c.parent) IN (u.run, u.chain) AND c.close_policy <> 2)";

// An event lands where its predecessor is the last. The
// predecessor and the owner are asked for by scalar subqueries, which never become a join over the
// whole table: without statistics that took four times as long (bench/README.md).
#define FERMATA_AFTER_PREDECESSOR                                                               \
  "(SELECT p.chain FROM fermata.events p WHERE p.run = a.run AND p.position = a.position - 1) " \
  "  = a.after AND "                                                                            \
  "(SELECT r.epoch FROM fermata.runs r WHERE r.run = a.run AND r.owner = $2 AND r.state + 0 < " \
  "3) "                                                                                         \
  "  = a.owned AND (SELECT true FROM fermata.workers w WHERE w.id = $2 AND NOT w.dead "         \
  "  AND NOT w.gone)"
#define FERMATA_PLAIN_APPEND FERMATA_INSERT_EVENTS " WHERE " FERMATA_AFTER_PREDECESSOR
inline constexpr const char* append_sql =
    FERMATA_PLAIN_APPEND " ON CONFLICT DO NOTHING RETURNING run";
// A quarter cheaper, and an error when one of them is there: nothing of it has landed then.
inline constexpr const char* append_new_sql = FERMATA_PLAIN_APPEND " RETURNING run";
inline constexpr const char* read_chain_hashes_sql =
    "SELECT position, chain FROM fermata.events WHERE run = $1 AND position > $2 "
    "ORDER BY position LIMIT $3";

}  // namespace fermata::engine::postgres
