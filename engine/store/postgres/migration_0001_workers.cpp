// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/migration_0001.hpp"

namespace fermata::engine::postgres {

const char* const migration_0001_workers = R"sql(
CREATE TABLE fermata.schema_version(
  version int4 PRIMARY KEY,
  written_by_min int4 NOT NULL,
  readable_by_min int4 NOT NULL,
  written_by text NOT NULL,
  at int8 NOT NULL
);

CREATE TABLE fermata.workers(
  id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  worker uuid NOT NULL UNIQUE,
  host text NOT NULL,
  pid int8 NOT NULL,
  build text NOT NULL,
  folder text NOT NULL,              -- id of its state folder: who has the same can look at its lock
  slot int4 NOT NULL,                -- its byte of that folder's lock file
  boot_id text NOT NULL,
  queues text NOT NULL DEFAULT '',   -- that it serves, one a line
  started int8 NOT NULL,
  last_seen int8 NOT NULL,
  lease_until int8,                  -- µs since 1970 by this server's clock; NULL: owns nothing
  dead bool NOT NULL DEFAULT false,
  gone bool NOT NULL DEFAULT false,
  released bool NOT NULL DEFAULT false  -- dead, and its runs are ready work again
) WITH (fillfactor = 50);
CREATE INDEX workers_unsettled ON fermata.workers(id) WHERE NOT released AND NOT gone;

CREATE TABLE fermata.serving(        -- the last row per name outlives its worker
  worker int8 NOT NULL,              -- workers.id
  kind text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  input_type int8 NOT NULL,
  input_shape text NOT NULL,
  result_shape text NOT NULL,
  build text NOT NULL,
  PRIMARY KEY (kind, name, worker)
);

CREATE TABLE fermata.heartbeats(
  run uuid NOT NULL,
  operation text COLLATE "C" NOT NULL,
  attempt int4 NOT NULL,
  at int8 NOT NULL,
  content_type text NOT NULL,
  type int8 NOT NULL,
  flags int2 NOT NULL,
  details bytea,
  PRIMARY KEY (run, operation)
);

CREATE TABLE fermata.run_logs(
  run uuid NOT NULL,
  seq int8 NOT NULL,                 -- a ring: the oldest go
  position int8 NOT NULL,            -- with ordinal: the line's place in the code; 0: not the code's
  ordinal int4 NOT NULL,
  at int8 NOT NULL,
  level int2 NOT NULL,
  text text NOT NULL,
  place text NOT NULL,
  PRIMARY KEY (run, seq)
);
CREATE UNIQUE INDEX run_logs_by_place ON fermata.run_logs(run, position, ordinal)
  WHERE position <> 0;

CREATE TABLE fermata.states(id int2 PRIMARY KEY, text text NOT NULL);
INSERT INTO fermata.states VALUES (0, 'waiting_to_start'), (1, 'running'), (2, 'compensating'),
  (3, 'completed'), (4, 'failed'), (5, 'cancelled'), (6, 'terminated'), (7, 'continued'),
  (8, 'expired');
CREATE TABLE fermata.attentions(id int2 PRIMARY KEY, text text NOT NULL);
INSERT INTO fermata.attentions VALUES (0, 'none'), (1, 'blocked'), (2, 'quarantined'),
  (3, 'paused'), (4, 'needs_attention');
CREATE TABLE fermata.timer_purposes(id int2 PRIMARY KEY, text text NOT NULL);
INSERT INTO fermata.timer_purposes VALUES (0, 'sleep'), (1, 'patience'), (2, 'retry'),
  (3, 'deadline'), (4, 'give_up');
CREATE TABLE fermata.message_kinds(id int2 PRIMARY KEY, text text NOT NULL);
INSERT INTO fermata.message_kinds VALUES (1, 'signal'), (2, 'cancel'),
  (3, 'child_ended'), (4, 'step_outcome');
CREATE TABLE fermata.event_kinds(id int2 PRIMARY KEY, text text NOT NULL);
INSERT INTO fermata.event_kinds VALUES (1, 'run_started'), (10, 'timer_set'),
  (11, 'child_started'), (12, 'marker'), (13, 'published'), (14, 'tagged'), (15, 'signal_sent'),
  (16, 'compensation_registered'), (17, 'cancel_requested'), (18, 'stream_written'),
  (19, 'token_opened'), (40, 'step_completed'), (41, 'step_failed'), (42, 'step_cancelled'),
  (43, 'timer_fired'), (44, 'signal_received'), (45, 'child_completed'), (46, 'child_failed'),
  (47, 'cancel_received'), (48, 'update_accepted'), (49, 'token_answered'),
  (50, 'token_expired'), (70, 'step_scheduled'), (71, 'attempt_started'),
  (72, 'attempt_failed'), (73, 'attempt_crashed'), (74, 'suspicion'), (75, 'owner_changed'),
  (76, 'failing'), (77, 'operator_act'), (78, 'update_completed'), (79, 'update_rejected'),
  (100, 'run_completed'), (101, 'run_failed'), (102, 'run_cancelled'), (103, 'run_terminated'),
  (104, 'run_continued'), (105, 'run_expired');
)sql";

}  // namespace fermata::engine::postgres
