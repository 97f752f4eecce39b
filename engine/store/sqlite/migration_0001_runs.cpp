// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/migration_0001.hpp"

namespace fermata::engine::sqlite {

// `space` is the namespace. Priorities are stored negated, so that ascending order is claim order.
// A run that is its chain's first has chain NULL, one that is its own origin has origin NULL: most.
const char* const migration_0001_runs = R"sql(
CREATE TABLE names(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE places(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE namespaces(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
INSERT INTO namespaces(id, text) VALUES (1, 'default');

CREATE TABLE runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run BLOB NOT NULL,                 -- 16 bytes
  name TEXT NOT NULL,                -- run_…: for people
  space INTEGER NOT NULL,
  workflow INTEGER NOT NULL,         -- names.id
  queue INTEGER NOT NULL,            -- names.id
  priority INTEGER NOT NULL,
  fairness_key TEXT,
  concurrency_key TEXT,
  not_before INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  requested INTEGER NOT NULL,
  started INTEGER NOT NULL,
  chain BLOB,
  origin BLOB,
  parent BLOB,
  parent_chain BLOB,
  parent_operation TEXT,
  close_policy INTEGER NOT NULL,
  told INTEGER NOT NULL DEFAULT 0,   -- a child that was told that its parent ended
  key TEXT,
  traceparent TEXT,
  retention_class TEXT,
  legal_hold INTEGER NOT NULL DEFAULT 0,
  build INTEGER NOT NULL,            -- names.id
  format_level INTEGER NOT NULL,
  state INTEGER NOT NULL,            -- folded, with ended and error
  ended INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  owner INTEGER NOT NULL,            -- workers.id; from here on the operational part
  epoch INTEGER NOT NULL,
  attention INTEGER NOT NULL DEFAULT 0,
  report TEXT NOT NULL DEFAULT '',
  blocked_builds TEXT NOT NULL DEFAULT '',  -- one a line
  waits TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT '',
  updated INTEGER NOT NULL,
  next_run BLOB
);
CREATE UNIQUE INDEX runs_by_run ON runs(run);
CREATE INDEX runs_by_name ON runs(name);
CREATE INDEX runs_by_owner ON runs(owner) WHERE owner <> 0;
CREATE INDEX runs_open ON runs(space, state, run) WHERE state < 3;
CREATE INDEX runs_not_completed ON runs(space, state, run) WHERE state > 3;
CREATE INDEX runs_by_workflow ON runs(space, workflow, run);
CREATE INDEX runs_by_chain ON runs(chain, id) WHERE chain IS NOT NULL;
CREATE INDEX runs_by_parent ON runs(coalesce(parent_chain, parent)) WHERE parent IS NOT NULL;
CREATE INDEX runs_with_attention ON runs(space, attention, run) WHERE attention <> 0;

CREATE TABLE keys(                   -- truth: which chain a caller's name is bound to
  space INTEGER NOT NULL,
  workflow INTEGER NOT NULL,
  key TEXT NOT NULL,
  chain BLOB NOT NULL,
  input_type INTEGER NOT NULL,
  input_digest BLOB NOT NULL,        -- 16 bytes
  PRIMARY KEY (space, workflow, key)
) WITHOUT ROWID;
CREATE INDEX keys_by_key ON keys(space, key);

CREATE TABLE start_requests(         -- truth: starts that no worker has claimed; in claim order
  space INTEGER NOT NULL,
  queue INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  run BLOB NOT NULL,
  name TEXT NOT NULL,
  workflow INTEGER NOT NULL,
  fairness_key TEXT,
  concurrency_key TEXT,
  chain BLOB,
  origin BLOB,
  seed BLOB NOT NULL,
  requested INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  key TEXT,
  tags TEXT,                         -- a JSON object
  parent BLOB,
  parent_chain BLOB,
  parent_operation TEXT,
  close_policy INTEGER NOT NULL,
  told INTEGER NOT NULL DEFAULT 0,
  traceparent TEXT,
  retention_class TEXT,
  previous_run BLOB,
  previous_hash BLOB,
  format_level INTEGER NOT NULL DEFAULT 1,
  content_type INTEGER NOT NULL,     -- names.id
  input_type INTEGER NOT NULL,
  input_flags INTEGER NOT NULL,      -- 1 sensitive, 2 not canonical
  input BLOB,
  PRIMARY KEY (space, queue, priority, not_before, run)
) WITHOUT ROWID;
CREATE UNIQUE INDEX start_requests_by_run ON start_requests(run);
CREATE INDEX start_requests_by_chain ON start_requests(chain) WHERE chain IS NOT NULL;
CREATE INDEX start_requests_by_parent ON start_requests(coalesce(parent_chain, parent))
  WHERE parent IS NOT NULL;
CREATE INDEX start_requests_not_after ON start_requests(not_after) WHERE not_after <> 0;
CREATE INDEX start_requests_not_before ON start_requests(space, not_before) WHERE not_before <> 0;

CREATE TABLE ready(                  -- runs with something to do; one mark each at most
  space INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  queue INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  since INTEGER NOT NULL,
  run INTEGER NOT NULL,              -- runs.id
  PRIMARY KEY (space, owner, queue, priority, since, run)
) WITHOUT ROWID;
CREATE UNIQUE INDEX ready_by_run ON ready(run);

CREATE TABLE timers(
  space INTEGER NOT NULL,
  due INTEGER NOT NULL,
  run INTEGER NOT NULL,              -- runs.id
  operation TEXT NOT NULL,
  purpose INTEGER NOT NULL,
  PRIMARY KEY (space, due, run, operation)
) WITHOUT ROWID;
CREATE INDEX timers_by_run ON timers(run, operation);

CREATE TABLE inbox(                  -- truth: messages accepted and not yet in a journal
  chain BLOB NOT NULL,
  seq INTEGER NOT NULL,
  id BLOB NOT NULL,
  kind INTEGER NOT NULL,
  name INTEGER NOT NULL,             -- names.id
  operation TEXT NOT NULL,
  accepted INTEGER NOT NULL,
  sender BLOB,
  content_type INTEGER NOT NULL,     -- names.id
  type INTEGER NOT NULL,
  flags INTEGER NOT NULL,            -- 1 sensitive, 2 not canonical
  value BLOB,
  details BLOB,
  PRIMARY KEY (chain, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX inbox_by_id ON inbox(chain, id);

CREATE TABLE ledger(                 -- truth: messages moved into a journal, until retention
  chain BLOB NOT NULL,
  id BLOB NOT NULL,
  PRIMARY KEY (chain, id)
) WITHOUT ROWID;

CREATE TABLE published(
  run INTEGER NOT NULL,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (run, name)
) WITHOUT ROWID;

CREATE TABLE run_tags(
  run INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE INDEX run_tags_by_value ON run_tags(key, value, run);

CREATE TABLE closing(parent INTEGER PRIMARY KEY);  -- runs.id: ended, its children must be told
)sql";

}  // namespace fermata::engine::sqlite
