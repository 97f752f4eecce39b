// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/migration_0001.hpp"

namespace fermata::engine::sqlite {

// Stable: columns may be added, never renamed. Plain SQL, so that any SQLite shell can read them.
const char* const migration_0001_views = R"sql(
CREATE VIEW fermata_runs AS
SELECT r.name AS run, n.text AS namespace, w.text AS workflow, coalesce(r.key, '') AS key,
  s.text AS state, a.text AS attention, coalesce(q.text, '') AS queue, -r.priority AS priority,
  CASE WHEN r.chain IS NULL THEN r.name
    ELSE coalesce((SELECT c.name FROM runs c WHERE c.run = r.chain), hex(r.chain)) END AS chain,
  CASE WHEN r.parent IS NULL THEN ''
    ELSE coalesce((SELECT p.name FROM runs p WHERE p.run = r.parent), hex(r.parent)) END AS parent,
  coalesce(b.text, '') AS build,
  strftime('%Y-%m-%d %H:%M:%f', r.requested / 1e6, 'unixepoch') AS requested,
  strftime('%Y-%m-%d %H:%M:%f', r.started / 1e6, 'unixepoch') AS started,
  CASE WHEN r.ended <> 0 THEN strftime('%Y-%m-%d %H:%M:%f', r.ended / 1e6, 'unixepoch') END
    AS ended,
  r.error AS error, r.waits AS waits, r.status AS status, r.report AS report,
  coalesce((SELECT o.name FROM workers o WHERE o.id = r.owner), '') AS owner, r.epoch AS epoch
FROM runs r
  JOIN namespaces n ON n.id = r.space JOIN names w ON w.id = r.workflow
  LEFT JOIN names q ON q.id = r.queue LEFT JOIN names b ON b.id = r.build
  LEFT JOIN states s ON s.id = r.state LEFT JOIN attentions a ON a.id = r.attention
UNION ALL
SELECT r.name, n.text, w.text, coalesce(r.key, ''), 'waiting_to_start', 'none',
  coalesce(q.text, ''), -r.priority,
  CASE WHEN r.chain IS NULL THEN r.name
    ELSE coalesce((SELECT c.name FROM runs c WHERE c.run = r.chain), hex(r.chain)) END,
  CASE WHEN r.parent IS NULL THEN ''
    ELSE coalesce((SELECT p.name FROM runs p WHERE p.run = r.parent), hex(r.parent)) END,
  '', strftime('%Y-%m-%d %H:%M:%f', r.requested / 1e6, 'unixepoch'), NULL, NULL, '', '', '', '',
  '', 0
FROM start_requests r
  JOIN namespaces n ON n.id = r.space JOIN names w ON w.id = r.workflow
  LEFT JOIN names q ON q.id = r.queue;

CREATE VIEW fermata_events AS
SELECT r.name AS run, e.position AS position,
  strftime('%Y-%m-%d %H:%M:%f', e.at / 1e6, 'unixepoch') AS at,
  coalesce(k.text, e.kind) AS kind, e.operation AS operation, coalesce(n.text, '') AS name,
  coalesce(p.text, '') AS place, e.epoch AS epoch, coalesce(t.text, '') AS content_type,
  CASE
    WHEN e.content_type = 0 THEN NULL
    WHEN e.flags & 1 THEN '‹sensitive›'
    WHEN e.flags & 4 THEN '‹erased›'
    WHEN e.codec & 15 THEN '‹compressed›'
    WHEN e.flags & 16 THEN '‹blob, ' || (SELECT length(bytes) FROM blobs
      WHERE run = e.run AND position = e.position AND part = 0) || ' B›'
    WHEN t.text LIKE '%json%' OR t.text LIKE 'text/%' THEN CAST(e.value AS TEXT)
    ELSE '‹' || length(e.value) || ' B›' END AS value,
  CASE
    WHEN e.input_content_type = 0 THEN NULL
    WHEN e.flags & 2 THEN '‹sensitive›'
    WHEN e.flags & 8 THEN '‹erased›'
    WHEN e.codec >> 4 THEN '‹compressed›'
    WHEN e.flags & 32 THEN '‹blob, ' || (SELECT length(bytes) FROM blobs
      WHERE run = e.run AND position = e.position AND part = 1) || ' B›'
    WHEN i.text LIKE '%json%' OR i.text LIKE 'text/%' THEN CAST(e.input AS TEXT)
    ELSE '‹' || length(e.input) || ' B›' END AS input,
  e.lsn AS lsn
FROM events e
  JOIN runs r ON r.id = e.run
  LEFT JOIN event_kinds k ON k.id = e.kind
  LEFT JOIN names n ON n.id = e.name LEFT JOIN places p ON p.id = e.place
  LEFT JOIN names t ON t.id = e.content_type LEFT JOIN names i ON i.id = e.input_content_type;

CREATE VIEW fermata_timers AS
SELECT r.name AS run, t.operation AS operation,
  strftime('%Y-%m-%d %H:%M:%f', t.due / 1e6, 'unixepoch') AS due, coalesce(p.text, t.purpose) AS purpose
FROM timers t JOIN runs r ON r.id = t.run LEFT JOIN timer_purposes p ON p.id = t.purpose;

CREATE VIEW fermata_inbox AS
SELECT coalesce(r.name, q.name, hex(i.chain)) AS chain, i.seq AS seq, hex(i.id) AS message,
  coalesce(k.text, i.kind) AS kind, coalesce(n.text, '') AS name, i.operation AS operation,
  strftime('%Y-%m-%d %H:%M:%f', i.accepted / 1e6, 'unixepoch') AS accepted,
  CASE
    WHEN i.content_type = 0 THEN NULL
    WHEN i.flags & 1 THEN '‹sensitive›'
    WHEN t.text LIKE '%json%' OR t.text LIKE 'text/%' THEN CAST(i.value AS TEXT)
    ELSE '‹' || length(i.value) || ' B›' END AS value
FROM inbox i
  LEFT JOIN runs r ON r.run = i.chain LEFT JOIN start_requests q ON q.run = i.chain
  LEFT JOIN message_kinds k ON k.id = i.kind
  LEFT JOIN names n ON n.id = i.name LEFT JOIN names t ON t.id = i.content_type;

CREATE VIEW fermata_workers AS
SELECT w.name AS worker, w.host AS host, w.pid AS pid, w.build AS build,
  CASE WHEN w.dead THEN 'dead' WHEN w.gone THEN 'gone' ELSE 'alive' END AS state,
  strftime('%Y-%m-%d %H:%M:%f', w.started / 1e6, 'unixepoch') AS started,
  strftime('%Y-%m-%d %H:%M:%f', w.last_seen / 1e6, 'unixepoch') AS last_seen,
  (SELECT count(*) FROM runs r WHERE r.owner = w.id AND r.owner <> 0) AS runs
FROM workers w;

CREATE VIEW fermata_tags AS
SELECT r.name AS run, t.key AS key, t.value AS value FROM run_tags t JOIN runs r ON r.id = t.run;

CREATE VIEW fermata_published AS
SELECT r.name AS run, p.name AS name, p.position AS position,
  CASE
    WHEN e.flags & 1 THEN '‹sensitive›'
    WHEN e.flags & 4 THEN '‹erased›'
    WHEN e.codec & 15 THEN '‹compressed›'
    WHEN e.flags & 16 THEN '‹blob›'
    WHEN t.text LIKE '%json%' OR t.text LIKE 'text/%' THEN CAST(e.value AS TEXT)
    ELSE '‹' || length(e.value) || ' B›' END AS value
FROM published p JOIN runs r ON r.id = p.run
  JOIN events e ON e.run = p.run AND e.position = p.position
  LEFT JOIN names t ON t.id = e.content_type;
)sql";

}  // namespace fermata::engine::sqlite
