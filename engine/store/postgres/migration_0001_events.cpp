// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/migration_0001.hpp"

namespace fermata::engine::postgres {

// Keys begin with the run, whose id begins with the time: retention drops partitions, and the unique
// index holds for the whole journal. `xid` tells `changes` what was written since; a BRIN index keeps
// the hot path free of a second tree. The guards are against accidents; the chain detects intent.
const char* const migration_0001_events = R"sql(
CREATE TABLE fermata.events(
  run uuid NOT NULL,
  position int8 NOT NULL,
  at int8 NOT NULL,                  -- µs since 1970 UTC
  epoch int8 NOT NULL,
  xid int8 NOT NULL DEFAULT pg_current_xact_id()::text::int8,
  crc int8 NOT NULL,
  key_id int8 NOT NULL,
  name int4 NOT NULL,                -- names.id
  place int4 NOT NULL,               -- names.id
  content_type int4 NOT NULL,        -- names.id; 0: no value
  input_content_type int4 NOT NULL,
  kind int2 NOT NULL,
  flags int2 NOT NULL,               -- FORMAT.md §4
  codec int2 NOT NULL,
  operation text COLLATE "C" NOT NULL,
  value bytea,                       -- NULL: none, or erased
  input bytea,
  salt bytea,
  digest bytea,
  details bytea NOT NULL,
  chain bytea NOT NULL,              -- h(n), 16 bytes
  PRIMARY KEY (run, position)
) PARTITION BY RANGE (run);
-- What is stored is compressed already, where that pays.
ALTER TABLE fermata.events ALTER COLUMN value SET STORAGE EXTERNAL,
  ALTER COLUMN input SET STORAGE EXTERNAL;
CREATE INDEX events_by_xid ON fermata.events USING brin (xid) WITH (pages_per_range = 16);
CREATE TABLE fermata.events_rest PARTITION OF fermata.events DEFAULT;

-- A partition for each month from that of `at` (µs since 1970 UTC; now) on, by the time in the run's id;
-- what belongs to none lies in events_rest. Answers how many it made. One whose runs lie in events_rest
-- already isn't made. With the rights of its owner: workers call it, who may not make tables.
CREATE FUNCTION fermata.add_partitions(months int4, at int8 DEFAULT NULL) RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  first_day timestamp;
  name text;
  low uuid;
  high uuid;
  made int4 := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('fermata.add_partitions'));
  FOR i IN 0 .. months - 1 LOOP
    first_day := date_trunc('month', coalesce(to_timestamp(at / 1000000.0), clock_timestamp())
      AT TIME ZONE 'UTC') + make_interval(months => i);
    name := 'events_' || to_char(first_day, 'YYYY_MM');
    low := (lpad(to_hex((extract(epoch FROM first_day) * 1000)::int8), 12, '0')
      || repeat('0', 20))::uuid;
    high := (lpad(to_hex((extract(epoch FROM first_day + interval '1 month') * 1000)::int8), 12, '0')
      || repeat('0', 20))::uuid;
    CONTINUE WHEN to_regclass('fermata.' || name) IS NOT NULL;
    CONTINUE WHEN EXISTS (SELECT 1 FROM fermata.events_rest e WHERE e.run >= low AND e.run < high);
    EXECUTE format('CREATE TABLE fermata.%I PARTITION OF fermata.events FOR VALUES FROM (%L) TO (%L)',
      name, low, high);
    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON fermata.%I FOR EACH STATEMENT '
      'EXECUTE FUNCTION fermata.events_stay()', name || '_stay_whole', name);
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION fermata.add_partitions(int4, int8) FROM PUBLIC;

CREATE TABLE fermata.erasures(       -- opens the door of one event's payload, and tells of it
  run uuid NOT NULL,
  position int8 NOT NULL,
  at int8 NOT NULL,
  who text NOT NULL,
  why text NOT NULL,
  PRIMARY KEY (run, position)
);

CREATE TABLE fermata.retention_log(  -- opens the door of one run, and is its tombstone
  run uuid PRIMARY KEY,
  chain uuid,
  key text,
  ended int8 NOT NULL,
  events int8 NOT NULL,
  last_hash bytea NOT NULL,
  at int8 NOT NULL,
  why text NOT NULL
);

CREATE FUNCTION fermata.events_never_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.run, NEW.position, NEW.kind, NEW.epoch, NEW.at, NEW.operation, NEW.name, NEW.place,
      NEW.key_id, NEW.content_type, NEW.input_content_type, NEW.digest, NEW.details, NEW.chain)
     IS NOT DISTINCT FROM
     (OLD.run, OLD.position, OLD.kind, OLD.epoch, OLD.at, OLD.operation, OLD.name, OLD.place,
      OLD.key_id, OLD.content_type, OLD.input_content_type, OLD.digest, OLD.details, OLD.chain)
     AND NEW.value IS NULL AND NEW.input IS NULL AND NEW.salt IS NULL
     AND EXISTS (SELECT 1 FROM fermata.erasures e WHERE e.run = OLD.run AND e.position = OLD.position)
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'the journal is append-only: events never change; a payload is erased by ''fermata delete --payload''';
END $$;
CREATE TRIGGER events_never_change BEFORE UPDATE ON fermata.events
  FOR EACH ROW EXECUTE FUNCTION fermata.events_never_change();

CREATE FUNCTION fermata.events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM fermata.retention_log l WHERE l.run = OLD.run) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the journal is append-only: events are removed by retention only; see ''fermata delete''';
END $$;
CREATE TRIGGER events_stay BEFORE DELETE ON fermata.events
  FOR EACH ROW EXECUTE FUNCTION fermata.events_stay();
CREATE TRIGGER events_stay_whole BEFORE TRUNCATE ON fermata.events
  FOR EACH STATEMENT EXECUTE FUNCTION fermata.events_stay();
CREATE TRIGGER events_rest_stay_whole BEFORE TRUNCATE ON fermata.events_rest
  FOR EACH STATEMENT EXECUTE FUNCTION fermata.events_stay();
)sql";

}  // namespace fermata::engine::postgres
