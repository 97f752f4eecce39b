// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/migration_0001.hpp"

namespace fermata::engine::postgres {

// Stable: columns may be added, never renamed. The same views as on SQLite.
const char* const migration_0001_views = R"sql(
CREATE FUNCTION fermata.ulid_text(id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ',
      1 + substring(b.bits FROM 5 * i + 1 FOR 5)::bit(5)::int4, 1), '' ORDER BY i)
  FROM (SELECT B'00' || ('x' || replace(id::text, '-', ''))::bit(128) AS bits) b,
    generate_series(0, 25) i
$$;
CREATE FUNCTION fermata.ulid_of(t text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT string_agg(lpad(to_hex(substring(b.bits FROM 8 * j + 3 FOR 8)::bit(8)::int4), 2, '0'), ''
      ORDER BY j)::uuid
  FROM (SELECT string_agg((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ',
      substr(upper(t), i, 1)) - 1)::bit(5)::text, '' ORDER BY i)::bit(130) AS bits
    FROM generate_series(1, 26) i) b, generate_series(0, 15) j
$$;
-- 'run_01J…' as it is shown, and back: `WHERE e.run = fermata.run_id('run_01J…')` uses the index.
CREATE FUNCTION fermata.run_text(run uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT 'run_' || fermata.ulid_text(run) $$;
CREATE FUNCTION fermata.run_id(t text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT fermata.ulid_of(substr(t, 5)) $$;
CREATE FUNCTION fermata.at_text(us int8) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
  SELECT to_char(to_timestamp(us / 1e6) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')
$$;
-- What people may see of a payload.
CREATE FUNCTION fermata.shown(value bytea, content_type text, sensitive bool, erased bool,
  compressed bool) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN content_type IS NULL OR content_type = '' THEN NULL
    WHEN sensitive THEN '‹sensitive›'
    WHEN erased THEN '‹erased›'
    WHEN compressed THEN '‹compressed›'
    WHEN content_type LIKE '%json%' OR content_type LIKE 'text/%' THEN convert_from(value, 'UTF8')
    ELSE '‹' || coalesce(length(value), 0) || ' B›' END
$$;

CREATE VIEW fermata.fermata_runs AS
SELECT fermata.run_text(r.run) AS run, n.text AS namespace, w.text AS workflow,
  coalesce(r.key, '') AS key, s.text AS state, a.text AS attention, coalesce(q.text, '') AS queue,
  -r.priority AS priority, fermata.run_text(coalesce(r.chain, r.run)) AS chain,
  coalesce(fermata.run_text(r.parent), '') AS parent, coalesce(b.text, '') AS build,
  fermata.at_text(r.requested) AS requested, fermata.at_text(r.started) AS started,
  fermata.at_text(nullif(r.ended, 0)) AS ended, r.error AS error, r.waits AS waits,
  r.status AS status, r.report AS report,
  coalesce((SELECT 'wrk_' || fermata.ulid_text(o.worker) FROM fermata.workers o
    WHERE o.id = r.owner), '') AS owner, r.epoch AS epoch
FROM fermata.runs r
  JOIN fermata.namespaces n ON n.id = r.space JOIN fermata.names w ON w.id = r.workflow
  LEFT JOIN fermata.names q ON q.id = r.queue LEFT JOIN fermata.names b ON b.id = r.build
  LEFT JOIN fermata.states s ON s.id = r.state
  LEFT JOIN fermata.attentions a ON a.id = r.attention
UNION ALL
SELECT fermata.run_text(r.run), n.text, r.workflow, coalesce(r.key, ''), 'waiting_to_start',
  'none', r.queue, -r.priority, fermata.run_text(coalesce(r.chain, r.run)),
  coalesce(fermata.run_text(r.parent), ''), '', fermata.at_text(r.requested), NULL, NULL, '', '',
  '', '', '', 0
FROM fermata.start_requests r JOIN fermata.namespaces n ON n.id = r.space;

CREATE VIEW fermata.fermata_events AS
SELECT fermata.run_text(e.run) AS run, e.position AS position, fermata.at_text(e.at) AS at,
  coalesce(k.text, e.kind::text) AS kind, e.operation AS operation, coalesce(n.text, '') AS name,
  coalesce(p.text, '') AS place, e.epoch AS epoch, coalesce(t.text, '') AS content_type,
  fermata.shown(e.value, t.text, e.flags & 1 <> 0, e.flags & 4 <> 0, e.codec & 15 <> 0) AS value,
  fermata.shown(e.input, i.text, e.flags & 2 <> 0, e.flags & 8 <> 0, e.codec >> 4 <> 0) AS input,
  e.xid AS xid
FROM fermata.events e
  LEFT JOIN fermata.event_kinds k ON k.id = e.kind
  LEFT JOIN fermata.names n ON n.id = e.name LEFT JOIN fermata.names p ON p.id = e.place
  LEFT JOIN fermata.names t ON t.id = e.content_type
  LEFT JOIN fermata.names i ON i.id = e.input_content_type;

CREATE VIEW fermata.fermata_timers AS
SELECT fermata.run_text(t.run) AS run, t.operation AS operation, fermata.at_text(t.due) AS due,
  coalesce(p.text, t.purpose::text) AS purpose
FROM fermata.timers t LEFT JOIN fermata.timer_purposes p ON p.id = t.purpose;

CREATE VIEW fermata.fermata_inbox AS
SELECT fermata.run_text(i.chain) AS chain, i.seq AS seq,
  replace(i.id::text, '-', '') AS message, coalesce(k.text, i.kind::text) AS kind,
  i.name AS name, i.operation AS operation, fermata.at_text(i.accepted) AS accepted,
  fermata.shown(i.value, i.content_type, i.flags & 1 <> 0, false, false) AS value
FROM fermata.inbox i LEFT JOIN fermata.message_kinds k ON k.id = i.kind;

CREATE VIEW fermata.fermata_workers AS
SELECT 'wrk_' || fermata.ulid_text(w.worker) AS worker, w.host AS host, w.pid AS pid,
  w.build AS build,
  CASE WHEN w.dead THEN 'dead' WHEN w.gone THEN 'gone' ELSE 'alive' END AS state,
  fermata.at_text(w.started) AS started, fermata.at_text(w.last_seen) AS last_seen,
  (SELECT count(*) FROM fermata.runs r WHERE r.owner = w.id AND r.owner <> 0) AS runs,
  replace(w.queues, E'\n', ' ') AS queues,
  (SELECT count(*) FROM fermata.tasks t WHERE t.owner = w.id AND t.owner <> 0) AS tasks
FROM fermata.workers w;

CREATE VIEW fermata.fermata_tasks AS
SELECT fermata.run_text(t.run) AS run, t.operation AS operation, t.step AS step, t.queue AS queue,
  -t.priority AS priority, t.attempt AS attempt,
  CASE WHEN t.withdrawn THEN 'withdrawn' WHEN t.owner = 0 THEN 'waiting' ELSE 'executing' END
    AS state,
  fermata.at_text(t.not_before) AS not_before, fermata.at_text(nullif(t.taken, 0)) AS taken,
  fermata.at_text(nullif(t.beat, 0)) AS heartbeat,
  coalesce((SELECT 'wrk_' || fermata.ulid_text(o.worker) FROM fermata.workers o
    WHERE o.id = t.owner), '') AS worker, t.epoch AS epoch
FROM fermata.tasks t;

CREATE VIEW fermata.fermata_tags AS
SELECT fermata.run_text(t.run) AS run, t.key AS key, t.value AS value FROM fermata.run_tags t;

CREATE VIEW fermata.fermata_published AS
SELECT fermata.run_text(p.run) AS run, p.name AS name, p.position AS position,
  fermata.shown(e.value, t.text, e.flags & 1 <> 0, e.flags & 4 <> 0, e.codec & 15 <> 0) AS value
FROM fermata.published p
  JOIN fermata.events e ON e.run = p.run AND e.position = p.position
  LEFT JOIN fermata.names t ON t.id = e.content_type;
)sql";

}  // namespace fermata::engine::postgres
