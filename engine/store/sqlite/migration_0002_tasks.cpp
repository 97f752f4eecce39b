// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/migration_0002.hpp"

namespace fermata::engine::sqlite {

// Steps with a queue of their own. A version that doesn't know tasks would drop their outcomes, so it
// may not write any more.
const char* const migration_0002_tasks = R"sql(
CREATE TABLE tasks(                  -- truth: attempts at remote steps that haven't ended
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,              -- runs.id
  operation TEXT NOT NULL,
  epoch INTEGER NOT NULL,            -- position of its attempt_started
  attempt INTEGER NOT NULL,
  space INTEGER NOT NULL,
  queue INTEGER NOT NULL,            -- names.id
  priority INTEGER NOT NULL,         -- negated
  not_before INTEGER NOT NULL,
  step INTEGER NOT NULL,             -- names.id
  key TEXT NOT NULL,
  undoes TEXT NOT NULL,
  timeout_ms INTEGER NOT NULL,
  heartbeat_timeout_ms INTEGER NOT NULL,
  give_up_at INTEGER NOT NULL,
  alone INTEGER NOT NULL,
  owner INTEGER NOT NULL DEFAULT 0,  -- workers.id; 0: nobody has taken it
  taken INTEGER NOT NULL DEFAULT 0,
  beat INTEGER NOT NULL DEFAULT 0,
  withdrawn INTEGER NOT NULL DEFAULT 0,
  content_type INTEGER NOT NULL,     -- names.id
  input_type INTEGER NOT NULL,
  input_flags INTEGER NOT NULL,      -- 1 sensitive, 2 not canonical
  input BLOB
);
CREATE UNIQUE INDEX tasks_by_run ON tasks(run, operation);
CREATE INDEX tasks_waiting ON tasks(space, queue, priority, not_before, run, operation)
  WHERE owner = 0;
CREATE INDEX tasks_by_owner ON tasks(owner) WHERE owner <> 0;

ALTER TABLE workers ADD COLUMN queues TEXT NOT NULL DEFAULT '';  -- that it serves, one a line
INSERT INTO message_kinds VALUES (4, 'step_outcome');

CREATE VIEW fermata_tasks AS
SELECT r.name AS run, t.operation AS operation, s.text AS step, q.text AS queue,
  -t.priority AS priority, t.attempt AS attempt,
  CASE WHEN t.withdrawn THEN 'withdrawn' WHEN t.owner = 0 THEN 'waiting' ELSE 'executing' END
    AS state,
  strftime('%Y-%m-%d %H:%M:%f', t.not_before / 1e6, 'unixepoch') AS not_before,
  CASE WHEN t.taken <> 0 THEN strftime('%Y-%m-%d %H:%M:%f', t.taken / 1e6, 'unixepoch') END
    AS taken,
  CASE WHEN t.beat <> 0 THEN strftime('%Y-%m-%d %H:%M:%f', t.beat / 1e6, 'unixepoch') END
    AS heartbeat,
  coalesce((SELECT o.name FROM workers o WHERE o.id = t.owner), '') AS worker, t.epoch AS epoch
FROM tasks t
  JOIN runs r ON r.id = t.run JOIN names s ON s.id = t.step JOIN names q ON q.id = t.queue;

DROP VIEW fermata_workers;
CREATE VIEW fermata_workers AS
SELECT w.name AS worker, w.host AS host, w.pid AS pid, w.build AS build,
  CASE WHEN w.dead THEN 'dead' WHEN w.gone THEN 'gone' ELSE 'alive' END AS state,
  strftime('%Y-%m-%d %H:%M:%f', w.started / 1e6, 'unixepoch') AS started,
  strftime('%Y-%m-%d %H:%M:%f', w.last_seen / 1e6, 'unixepoch') AS last_seen,
  (SELECT count(*) FROM runs r WHERE r.owner = w.id AND r.owner <> 0) AS runs,
  replace(w.queues, char(10), ' ') AS queues,
  (SELECT count(*) FROM tasks t WHERE t.owner = w.id AND t.owner <> 0) AS tasks
FROM workers w;
)sql";

}  // namespace fermata::engine::sqlite
