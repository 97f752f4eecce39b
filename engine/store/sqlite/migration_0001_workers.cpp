// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/migration_0001.hpp"

namespace fermata::engine::sqlite {

// The small lookup tables give the views their words.
const char* const migration_0001_workers = R"sql(
CREATE TABLE schema_version(
  version INTEGER PRIMARY KEY,
  written_by_min INTEGER NOT NULL,
  readable_by_min INTEGER NOT NULL,
  written_by TEXT NOT NULL,
  at INTEGER NOT NULL
);

CREATE TABLE workers(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  worker BLOB NOT NULL UNIQUE,       -- 16 bytes
  name TEXT NOT NULL,                -- wrk_…
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  build TEXT NOT NULL,
  slot INTEGER NOT NULL,             -- its byte of <journal>-workers
  boot_id TEXT NOT NULL,
  started INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  lease_until INTEGER,               -- CLOCK_BOOTTIME µs; NULL: owns nothing
  dead INTEGER NOT NULL DEFAULT 0,
  gone INTEGER NOT NULL DEFAULT 0,
  released INTEGER NOT NULL DEFAULT 0  -- dead, and its runs are ready work again
);
CREATE INDEX workers_unsettled ON workers(id) WHERE released = 0 AND gone = 0;

CREATE TABLE serving(                -- the last row per name outlives its worker
  worker INTEGER NOT NULL,           -- workers.id
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  input_type INTEGER NOT NULL,
  input_shape TEXT NOT NULL,
  result_shape TEXT NOT NULL,
  build TEXT NOT NULL,
  PRIMARY KEY (kind, name, worker)
) WITHOUT ROWID;

CREATE TABLE heartbeats(
  run INTEGER NOT NULL,
  operation TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  type INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  details BLOB,
  PRIMARY KEY (run, operation)
) WITHOUT ROWID;

CREATE TABLE run_logs(
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,              -- a ring: the oldest go
  position INTEGER NOT NULL,         -- with ordinal: the line's place in the code; 0: not the code's
  ordinal INTEGER NOT NULL,
  at INTEGER NOT NULL,
  level INTEGER NOT NULL,
  text TEXT NOT NULL,
  place TEXT NOT NULL,
  PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX run_logs_by_place ON run_logs(run, position, ordinal) WHERE position <> 0;

CREATE TABLE states(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO states VALUES (0, 'waiting_to_start'), (1, 'running'), (2, 'compensating'),
  (3, 'completed'), (4, 'failed'), (5, 'cancelled'), (6, 'terminated'), (7, 'continued'),
  (8, 'expired');
CREATE TABLE attentions(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO attentions VALUES (0, 'none'), (1, 'blocked'), (2, 'quarantined'), (3, 'paused'),
  (4, 'needs_attention');
CREATE TABLE timer_purposes(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO timer_purposes VALUES (0, 'sleep'), (1, 'patience'), (2, 'retry'), (3, 'deadline'),
  (4, 'give_up');
CREATE TABLE message_kinds(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO message_kinds VALUES (1, 'signal'), (2, 'cancel'), (3, 'child_ended');
CREATE TABLE event_kinds(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO event_kinds VALUES (1, 'run_started'), (10, 'timer_set'), (11, 'child_started'),
  (12, 'marker'), (13, 'published'), (14, 'tagged'), (15, 'signal_sent'),
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

}  // namespace fermata::engine::sqlite
