// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/migration_0001.hpp"

namespace fermata::engine::sqlite {

// Events lie in log order, found by (run, position). The guards are against accidents; the chain
// detects intent. NEW.lsn is -1 where an insert doesn't name it. Whoever inserts is stopped by FAIL, not ABORT:
// to undo one statement, SQLite would copy each page that each insert goes to (journals made before have ABORT).
const char* const migration_0001_events = R"sql(
CREATE TABLE events(
  lsn INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL,              -- runs.id
  position INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  at INTEGER NOT NULL,               -- µs since 1970 UTC
  operation TEXT NOT NULL,
  name INTEGER NOT NULL,             -- names.id
  place INTEGER NOT NULL,            -- places.id
  flags INTEGER NOT NULL,            -- FORMAT.md §4
  codec INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  content_type INTEGER NOT NULL,     -- names.id; 0: no value
  input_content_type INTEGER NOT NULL,
  value BLOB,                        -- NULL: none, erased, or in blobs (flags 16)
  input BLOB,                        -- NULL: none, erased, or in blobs (flags 32)
  salt BLOB,
  digest BLOB,
  details BLOB NOT NULL,
  chain BLOB NOT NULL,               -- h(n), 16 bytes
  crc INTEGER NOT NULL
);
CREATE UNIQUE INDEX events_by_run ON events(run, position);

CREATE TABLE blobs(                  -- payloads above 16 KiB
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  part INTEGER NOT NULL,             -- 0 value, 1 input
  bytes BLOB NOT NULL,
  PRIMARY KEY (run, position, part)
) WITHOUT ROWID;

CREATE TABLE erasures(               -- opens the door of one event's payload, and tells of it
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  PRIMARY KEY (run, position)
) WITHOUT ROWID;

CREATE TABLE retention_log(          -- opens the door of one run, and is its tombstone
  run INTEGER PRIMARY KEY,           -- runs.id, never used again
  name TEXT NOT NULL,                -- run_…
  chain BLOB,
  key TEXT,
  ended INTEGER NOT NULL,
  events INTEGER NOT NULL,
  last_hash BLOB NOT NULL,
  at INTEGER NOT NULL,
  why TEXT NOT NULL
);

CREATE TRIGGER events_keep_their_places BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE run = NEW.run AND position = NEW.position)
  OR (NEW.lsn > 0 AND EXISTS (SELECT 1 FROM events WHERE lsn = NEW.lsn))
BEGIN
  SELECT RAISE(FAIL, 'the journal is append-only: this position of the run is taken');
END;

CREATE TRIGGER events_never_change BEFORE UPDATE ON events
WHEN NOT (NEW.lsn IS OLD.lsn AND NEW.run IS OLD.run AND NEW.position IS OLD.position
  AND NEW.kind IS OLD.kind AND NEW.epoch IS OLD.epoch AND NEW.at IS OLD.at
  AND NEW.operation IS OLD.operation AND NEW.name IS OLD.name AND NEW.place IS OLD.place
  AND NEW.key_id IS OLD.key_id AND NEW.content_type IS OLD.content_type
  AND NEW.input_content_type IS OLD.input_content_type AND NEW.digest IS OLD.digest
  AND NEW.details IS OLD.details AND NEW.chain IS OLD.chain
  AND NEW.value IS NULL AND NEW.input IS NULL AND NEW.salt IS NULL
  AND EXISTS (SELECT 1 FROM erasures WHERE run = OLD.run AND position = OLD.position))
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only: events never change; a payload is erased by ''fermata delete --payload''');
END;

CREATE TRIGGER events_stay BEFORE DELETE ON events
WHEN NOT EXISTS (SELECT 1 FROM retention_log WHERE run = OLD.run)
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only: events are removed by retention only; see ''fermata delete''');
END;

CREATE TRIGGER blobs_keep_their_places BEFORE INSERT ON blobs
WHEN EXISTS (SELECT 1 FROM blobs
  WHERE run = NEW.run AND position = NEW.position AND part = NEW.part)
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only: this payload is stored already');
END;

CREATE TRIGGER blobs_never_change BEFORE UPDATE ON blobs
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only: payloads never change; one is erased by ''fermata delete --payload''');
END;

CREATE TRIGGER blobs_stay BEFORE DELETE ON blobs
WHEN NOT EXISTS (SELECT 1 FROM erasures WHERE run = OLD.run AND position = OLD.position)
  AND NOT EXISTS (SELECT 1 FROM retention_log WHERE run = OLD.run)
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only: payloads are removed by an erasure or by retention only; see ''fermata delete''');
END;
)sql";

}  // namespace fermata::engine::sqlite
