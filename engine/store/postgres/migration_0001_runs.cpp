// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/migration_0001.hpp"

namespace fermata::engine::postgres {

// `space` is the namespace. Priorities are stored negated, so that ascending order is claim order.
// A run that is its chain's first has chain NULL, one that is its own origin has origin NULL: most.
// Texts that other programs may write in transactions of their own (start_requests, keys, inbox) are
// kept as text: a name that is new there would keep everybody waiting who needs it, too.
const char* const migration_0001_runs = R"sql(
CREATE TABLE fermata.names(
  id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text text COLLATE "C" NOT NULL UNIQUE
);
CREATE TABLE fermata.namespaces(
  id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text text COLLATE "C" NOT NULL UNIQUE
);
INSERT INTO fermata.namespaces(text) VALUES ('default');

CREATE TABLE fermata.runs(
  run uuid PRIMARY KEY,
  requested int8 NOT NULL,
  started int8 NOT NULL,
  not_before int8 NOT NULL,
  deadline int8 NOT NULL,
  ended int8 NOT NULL DEFAULT 0,
  updated int8 NOT NULL,
  owner int8 NOT NULL,               -- workers.id; 0: nobody
  epoch int8 NOT NULL,
  space int4 NOT NULL,
  workflow int4 NOT NULL,            -- names.id
  queue int4 NOT NULL,               -- names.id
  build int4 NOT NULL,               -- names.id
  priority int4 NOT NULL,
  format_level int2 NOT NULL,
  close_policy int2 NOT NULL,
  state int2 NOT NULL,               -- folded, with ended and error
  attention int2 NOT NULL DEFAULT 0,
  told bool NOT NULL DEFAULT false,  -- a child that was told that its parent ended
  legal_hold bool NOT NULL DEFAULT false,
  chain uuid,
  origin uuid,
  parent uuid,
  parent_chain uuid,
  next_run uuid,
  parent_operation text,
  key text COLLATE "C",
  traceparent text,
  fairness_key text,
  concurrency_key text,
  retention_class text,
  error text NOT NULL DEFAULT '',
  report text NOT NULL DEFAULT '',
  blocked_builds text NOT NULL DEFAULT '',  -- one a line
  waits text NOT NULL DEFAULT '',
  status text NOT NULL DEFAULT ''
) WITH (fillfactor = 80);
CREATE INDEX runs_by_owner ON fermata.runs(owner) WHERE owner <> 0;
CREATE INDEX runs_open ON fermata.runs(space, state, run) WHERE state < 3;
CREATE INDEX runs_not_completed ON fermata.runs(space, state, run) WHERE state > 3;
CREATE INDEX runs_by_workflow ON fermata.runs(space, workflow, run);
CREATE INDEX runs_by_chain ON fermata.runs(chain) WHERE chain IS NOT NULL;
CREATE INDEX runs_by_parent ON fermata.runs((coalesce(parent_chain, parent)))
  WHERE parent IS NOT NULL;
CREATE INDEX runs_with_attention ON fermata.runs(space, attention, run) WHERE attention <> 0;

CREATE TABLE fermata.keys(           -- truth: which chain a caller's name is bound to
  space int4 NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  chain uuid NOT NULL,
  input_type int8 NOT NULL,
  input_digest bytea NOT NULL,       -- 16 bytes
  PRIMARY KEY (space, key, workflow)
);

CREATE TABLE fermata.start_requests( -- truth: starts that no worker has claimed; in claim order
  space int4 NOT NULL,
  queue text COLLATE "C" NOT NULL,
  priority int4 NOT NULL,
  not_before int8 NOT NULL,
  run uuid NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  chain uuid,
  origin uuid,
  seed bytea NOT NULL,
  requested int8 NOT NULL,
  not_after int8 NOT NULL,
  deadline int8 NOT NULL,
  key text COLLATE "C",
  tags jsonb,                        -- an object of texts
  parent uuid,
  parent_chain uuid,
  parent_operation text,
  close_policy int2 NOT NULL,
  told bool NOT NULL DEFAULT false,
  traceparent text,
  fairness_key text,
  concurrency_key text,
  retention_class text,
  previous_run uuid,
  previous_hash bytea,
  format_level int2 NOT NULL DEFAULT 1,
  content_type text COLLATE "C" NOT NULL,
  input_type int8 NOT NULL,
  input_flags int2 NOT NULL,         -- 1 sensitive, 2 not canonical
  input bytea,
  PRIMARY KEY (space, queue, priority, not_before, run)
);
CREATE UNIQUE INDEX start_requests_by_run ON fermata.start_requests(run);
CREATE INDEX start_requests_by_chain ON fermata.start_requests(chain) WHERE chain IS NOT NULL;
CREATE INDEX start_requests_by_parent ON fermata.start_requests((coalesce(parent_chain, parent)))
  WHERE parent IS NOT NULL;
CREATE INDEX start_requests_not_after ON fermata.start_requests(not_after) WHERE not_after <> 0;
CREATE INDEX start_requests_not_before ON fermata.start_requests(space, not_before)
  WHERE not_before <> 0;

CREATE TABLE fermata.ready(          -- runs with something to do; one mark each at most
  space int4 NOT NULL,
  owner int8 NOT NULL,
  queue int4 NOT NULL,
  priority int4 NOT NULL,
  since int8 NOT NULL,
  run uuid NOT NULL,
  PRIMARY KEY (space, owner, queue, priority, since, run)
);
CREATE UNIQUE INDEX ready_by_run ON fermata.ready(run);

CREATE TABLE fermata.timers(
  space int4 NOT NULL,
  due int8 NOT NULL,
  run uuid NOT NULL,
  operation text COLLATE "C" NOT NULL,
  purpose int2 NOT NULL,
  PRIMARY KEY (space, due, run, operation)
);
CREATE INDEX timers_by_run ON fermata.timers(run, operation);

CREATE TABLE fermata.inbox(          -- truth: messages accepted and not yet in a journal
  chain uuid NOT NULL,
  seq int8 NOT NULL,
  id uuid NOT NULL,
  kind int2 NOT NULL,
  name text NOT NULL,
  operation text COLLATE "C" NOT NULL,
  accepted int8 NOT NULL,
  sender uuid,
  content_type text COLLATE "C" NOT NULL,
  type int8 NOT NULL,
  flags int2 NOT NULL,               -- 1 sensitive, 2 not canonical
  value bytea,
  details bytea,
  PRIMARY KEY (chain, seq)
);
CREATE UNIQUE INDEX inbox_by_id ON fermata.inbox(chain, id);

CREATE TABLE fermata.ledger(         -- truth: messages moved into a journal, until retention
  chain uuid NOT NULL,
  id uuid NOT NULL,
  PRIMARY KEY (chain, id)
);

CREATE TABLE fermata.tasks(          -- truth: attempts at remote steps that haven't ended
  run uuid NOT NULL,
  operation text COLLATE "C" NOT NULL,
  epoch int8 NOT NULL,               -- position of its attempt_started
  attempt int4 NOT NULL,
  space int4 NOT NULL,
  queue text COLLATE "C" NOT NULL,
  priority int4 NOT NULL,            -- negated
  not_before int8 NOT NULL,
  step text COLLATE "C" NOT NULL,
  key text NOT NULL,
  undoes text NOT NULL,
  timeout_ms int8 NOT NULL,
  heartbeat_timeout_ms int8 NOT NULL,
  give_up_at int8 NOT NULL,
  alone bool NOT NULL,
  owner int8 NOT NULL DEFAULT 0,     -- workers.id; 0: nobody has taken it
  taken int8 NOT NULL DEFAULT 0,
  beat int8 NOT NULL DEFAULT 0,
  withdrawn bool NOT NULL DEFAULT false,
  content_type text COLLATE "C" NOT NULL,
  input_type int8 NOT NULL,
  input_flags int2 NOT NULL,         -- 1 sensitive, 2 not canonical
  input bytea,
  PRIMARY KEY (run, operation)
);
CREATE INDEX tasks_waiting ON fermata.tasks(space, queue, priority, not_before, run, operation)
  WHERE owner = 0;
CREATE INDEX tasks_by_owner ON fermata.tasks(owner) WHERE owner <> 0;

CREATE TABLE fermata.published(
  run uuid NOT NULL,
  name text COLLATE "C" NOT NULL,
  position int8 NOT NULL,
  PRIMARY KEY (run, name)
);

CREATE TABLE fermata.run_tags(
  run uuid NOT NULL,
  key text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  PRIMARY KEY (run, key)
);
CREATE INDEX run_tags_by_value ON fermata.run_tags(key, value, run);

CREATE TABLE fermata.closing(parent uuid PRIMARY KEY);  -- ended; its children must be told
)sql";

}  // namespace fermata::engine::postgres
