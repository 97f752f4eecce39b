// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/store/batch.hpp"
#include "engine/store/postgres/migration_0001.hpp"

namespace fermata::engine::postgres {

// What the texts below say in numbers.
static_assert(limits::inbox_per_chain == 10'000);
static_assert(limits::payload_max == 8'388'608);
static_assert(limits::key_max == 255 && limits::name_max == 128);
static_assert(limits::tag_value_max == 255 && limits::tags_per_run == 32);
static_assert(static_cast<int>(start_result::outcome::attached) == 1);
static_assert(static_cast<int>(start_result::outcome::conflict) == 2);
static_assert(static_cast<int>(start_result::outcome::exists) == 3);
static_assert(static_cast<int>(message_result::outcome::repeated) == 1);
static_assert(static_cast<int>(message_result::outcome::ended) == 2);
static_assert(static_cast<int>(message_result::outcome::unknown) == 3);
static_assert(static_cast<int>(message_result::outcome::full) == 4);
static_assert(static_cast<int>(on_duplicate::fail) == 1);
static_assert(static_cast<int>(on_duplicate::restart_if_ended) == 2);

// Starts and messages within a caller's own transaction: the same decisions as starts.cpp's and
// messages.cpp's, for one at a time, and the same order of locks (load_statements.hpp). Their caller
// needs EXECUTE alone: they run with the rights of whoever made the journal.
const char* const migration_0001_calls = R"sql(
CREATE FUNCTION fermata.now_us() RETURNS int8 LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8
$$;

-- A ULID: 48 bits of milliseconds, 80 of chance (a random uuid's, without its fixed ones).
CREATE FUNCTION fermata.new_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::int8), 12, '0') ||
    substr(r.digits, 1, 12) || substr(r.digits, 18, 8))::uuid
  FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS digits) r
$$;

-- What stands for a chain: its open run, else the last; the start that waits.
CREATE FUNCTION fermata.chain_now(chain uuid, OUT run uuid, OUT state int2, OUT request uuid)
LANGUAGE sql STABLE AS $$
  SELECT r.run, r.state, q.run FROM (SELECT 1) one
  LEFT JOIN LATERAL (SELECT a.run, a.state FROM (
    SELECT b.run, b.state, b.next_run, b.started FROM fermata.runs b
      WHERE b.run = chain_now.chain AND b.chain IS NULL
    UNION ALL SELECT b.run, b.state, b.next_run, b.started FROM fermata.runs b
      WHERE b.chain = chain_now.chain) a
    ORDER BY a.state < 3 DESC, a.next_run IS NULL DESC, a.started DESC, a.run DESC LIMIT 1) r
    ON true
  LEFT JOIN LATERAL (SELECT s.run FROM fermata.start_requests s
      WHERE s.run = chain_now.chain AND s.chain IS NULL
    UNION ALL SELECT s.run FROM fermata.start_requests s WHERE s.chain = chain_now.chain LIMIT 1) q
    ON true
$$;

-- Whoever waits is told by the caller's commit, which is durable whatever its session says.
CREATE FUNCTION fermata.tell_at_commit() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  PERFORM pg_notify(n.nspname, '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = 'fermata.start_requests'::regclass;
END $$;

-- How: 0 started, 1 attached, 2 conflict, 3 exists. `on_duplicate`: 0 attach, 1 fail, 2 restart.
CREATE FUNCTION fermata.put_start(run uuid, namespace text, workflow text, queue text,
  priority int8, requested int8, not_before int8, not_after int8, deadline int8, seed bytea,
  key text, tags text, content_type text, input_type int8, input_flags int8, input bytea,
  input_digest bytea, on_duplicate int8, OUT how int4, OUT started uuid, OUT chain uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  in_space int4;
  bound record;
  there record;
BEGIN
  how := 0;
  started := run;
  chain := run;
  SELECT n.id INTO in_space FROM fermata.namespaces n WHERE n.text = namespace;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no worker or client ever used the namespace ''%'' [FER-1302]', namespace
      USING ERRCODE = 'no_data_found', HINT = 'Check its spelling, or start a worker in it once.';
  END IF;
  IF key IS NOT NULL THEN
    LOOP
      INSERT INTO fermata.keys AS k(space, key, workflow, chain, input_type, input_digest)
        VALUES (in_space, key, workflow, run, input_type, input_digest) ON CONFLICT DO NOTHING;
      EXIT WHEN FOUND;
      SELECT k.chain, k.input_type, k.input_digest INTO bound FROM fermata.keys k
        WHERE k.space = in_space AND k.key = put_start.key AND k.workflow = put_start.workflow
        FOR NO KEY UPDATE;
      CONTINUE WHEN NOT FOUND;  -- somebody let go of it just now
      SELECT c.run, c.request, c.request IS NULL AND c.state >= 3 AS ended,
        c.request IS NOT NULL AND (c.run IS NULL OR c.state >= 3) AS waits
        INTO there FROM fermata.chain_now(bound.chain) c;
      IF (there.run IS NOT NULL OR there.request IS NOT NULL)
         AND NOT (on_duplicate = 2 AND there.ended) THEN
        started := CASE WHEN there.waits THEN there.request ELSE there.run END;
        chain := bound.chain;
        how := CASE WHEN on_duplicate = 1 THEN 3
          WHEN bound.input_type = input_type AND bound.input_digest <> input_digest THEN 2
          ELSE 1 END;
        RETURN;
      END IF;
      UPDATE fermata.keys k SET chain = run, input_type = put_start.input_type,
        input_digest = put_start.input_digest
        WHERE k.space = in_space AND k.key = put_start.key AND k.workflow = put_start.workflow;
      EXIT;
    END LOOP;
  END IF;
  INSERT INTO fermata.start_requests(space, queue, priority, not_before, run, workflow, seed,
      requested, not_after, deadline, key, tags, close_policy, content_type, input_type,
      input_flags, input)
    VALUES (in_space, queue, -priority, not_before, run, workflow, seed,
      coalesce(nullif(requested, 0), fermata.now_us()), not_after, deadline, key, tags::jsonb, 0,
      content_type, input_type, input_flags, input);
  PERFORM fermata.tell_at_commit();
END $$;

-- How: 0 accepted, 1 repeated, 2 ended, 3 unknown, 4 full. `run`: the chain's open one.
CREATE FUNCTION fermata.put_message(chain uuid, id uuid, kind int8, name text, content_type text,
  type int8, flags int8, value bytea, details bytea, OUT how int4, OUT run uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  unread_max int8 := 10000 + CASE WHEN kind = 2 THEN 100 ELSE 0 END;  -- room for a cancel
  locked uuid[];
  there record;
  waiting record;
BEGIN
  LOOP
    SELECT array_agg(l.run) INTO locked FROM (SELECT s.run FROM fermata.start_requests s
      WHERE s.run = chain OR s.chain = put_message.chain ORDER BY s.run FOR NO KEY UPDATE) l;
    SELECT array_cat(locked, array_agg(l.run)) INTO locked FROM (SELECT r.run FROM fermata.runs r
      WHERE r.run = ANY(array_append(ARRAY(SELECT c.run FROM fermata.runs c
          WHERE c.chain = put_message.chain AND c.state + 0 < 3), chain)) AND r.state + 0 < 3
      ORDER BY r.run FOR NO KEY UPDATE) l;
    SELECT c.run AS last, c.state, c.request INTO there FROM fermata.chain_now(chain) c;
    -- The chain may have gone on between the locks.
    EXIT WHEN (there.last IS NULL OR there.state >= 3 OR there.last = ANY(locked))
      AND (there.request IS NULL OR there.request = ANY(locked));
  END LOOP;
  IF there.last IS NULL AND there.request IS NULL THEN
    how := 3;
    RETURN;
  END IF;
  IF there.state < 3 THEN run := there.last; END IF;
  IF EXISTS (SELECT 1 FROM fermata.inbox i WHERE i.chain = put_message.chain
        AND i.id = put_message.id)
     OR EXISTS (SELECT 1 FROM fermata.ledger l WHERE l.chain = put_message.chain
        AND l.id = put_message.id) THEN
    how := 1;
    RETURN;
  ELSIF there.request IS NULL AND there.state >= 3 THEN
    how := 2;
    RETURN;
  END IF;
  SELECT min(i.seq) AS first, max(i.seq) AS last INTO waiting FROM fermata.inbox i
    WHERE i.chain = put_message.chain;
  IF waiting.last - waiting.first + 1 >= unread_max AND (SELECT count(*) FROM fermata.inbox i
      WHERE i.chain = put_message.chain) >= unread_max THEN
    how := 4;
    RETURN;
  END IF;
  INSERT INTO fermata.inbox(chain, seq, id, kind, name, operation, accepted, content_type, type,
      flags, value, details)
    VALUES (chain, coalesce(waiting.last, 0) + 1, id, kind, name, '', fermata.now_us(),
      content_type, type, flags, value, details) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN  -- beside a transaction that our snapshot doesn't show
    RAISE EXCEPTION 'another message came at the same time; try the transaction again [FER-2106]'
      USING ERRCODE = 'serialization_failure';
  END IF;
  INSERT INTO fermata.ready(space, owner, queue, priority, since, run)
    SELECT r.space, r.owner, r.queue, r.priority, fermata.now_us(), r.run FROM fermata.runs r
    WHERE r.run = put_message.run ON CONFLICT DO NOTHING;
  how := 0;
  PERFORM fermata.tell_at_commit();
END $$;

-- ---- for programs in other languages; docs/postgres.md tells of them ----

CREATE FUNCTION fermata.check_text(what text, given text, bytes_max int4) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF octet_length(given) BETWEEN 1 AND bytes_max AND given !~ '[\u0001-\u001f\u007f]' THEN
    RETURN;
  END IF;
  RAISE EXCEPTION '% must have 1 to % bytes and no control characters [FER-1404]', what, bytes_max
    USING ERRCODE = 'invalid_parameter_value';
END $$;

CREATE FUNCTION fermata.check_value(what text, given bytea) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF octet_length(given) > 8388608 THEN
    RAISE EXCEPTION '% has % bytes, the limit is 8388608 [FER-1401]', what, octet_length(given)
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Store it elsewhere and pass its address.';
  END IF;
END $$;

-- A time that lies as far ahead as an interval in `options` says; NULL without it.
CREATE FUNCTION fermata.time_option(options jsonb, name text, since int8) RETURNS int8
LANGUAGE plpgsql STABLE AS $$
DECLARE
  us numeric := extract(epoch FROM (options->>name)::interval) * 1000000;
BEGIN
  IF us < 0 OR us > 36525 * 86400000000 THEN
    RAISE EXCEPTION '% must lie between now and in 100 years, not % [FER-1406]', name,
      options->>name USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN since + us::int8;
END $$;

CREATE FUNCTION fermata.check_options(options jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  known text[] := '{namespace,queue,priority,delay,not_after,deadline,tags,on_duplicate}';
  name text;
  value text;
BEGIN
  IF jsonb_typeof(options) <> 'object' THEN
    RAISE EXCEPTION 'options is %, not a JSON object [FER-1305]', jsonb_typeof(options)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR name IN SELECT jsonb_object_keys(options) LOOP
    IF name <> ALL (known) THEN
      RAISE EXCEPTION 'there is no option ''%'' [FER-1305]', name
        USING ERRCODE = 'invalid_parameter_value', HINT = 'There are ' ||
          array_to_string(known, ', ') || '.';
    END IF;
  END LOOP;
  IF coalesce(options->>'on_duplicate', 'attach') NOT IN ('attach', 'fail', 'restart_if_ended')
  THEN
    RAISE EXCEPTION 'on_duplicate is attach, fail or restart_if_ended, not ''%'' [FER-1305]',
      options->>'on_duplicate' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(jsonb_typeof(options->'tags'), 'object') <> 'object' OR
     (SELECT count(*) FROM jsonb_each(options->'tags')) > 32 THEN
    RAISE EXCEPTION 'tags is a JSON object of at most 32 texts [FER-1404]'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  FOR name, value IN SELECT t.key, t.value FROM jsonb_each_text(options->'tags') t LOOP
    PERFORM fermata.check_text('the name of a tag', name, 128);
    IF value <> '' THEN PERFORM fermata.check_text('tag ' || name, value, 255); END IF;
  END LOOP;
END $$;

CREATE FUNCTION fermata.start(workflow text, input json DEFAULT NULL, key text DEFAULT NULL,
  options jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  value bytea := convert_to(coalesce(input::text, 'null'), 'UTF8');
  queue text := coalesce(options->>'queue', 'default');
  at int8 := fermata.now_us();
  begins int8;
  found record;
BEGIN
  PERFORM fermata.check_text('the workflow''s name', coalesce(workflow, ''), 128);
  PERFORM fermata.check_text('the queue''s name', queue, 128);
  PERFORM fermata.check_value('the input of workflow ' || workflow, value);
  PERFORM fermata.check_options(options);
  IF key IS NOT NULL THEN
    PERFORM fermata.check_text('a key', key, 255);
    IF starts_with(key, 'run_') THEN
      RAISE EXCEPTION 'the key % begins with run_, as ids do: choose another [FER-1307]', key
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;
  begins := coalesce(fermata.time_option(options, 'delay', at), at);
  SELECT s.* INTO found FROM fermata.put_start(
    fermata.new_id(), coalesce(options->>'namespace', 'default'), workflow, queue,
    coalesce((options->>'priority')::int4, 0), at, begins,
    coalesce((extract(epoch FROM (options->>'not_after')::timestamptz) * 1000000)::int8, 0),
    coalesce(fermata.time_option(options, 'deadline', begins), 0),
    substr(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1, 16),
    key, nullif(options->'tags', '{}')::text, 'application/json', 0, 0, value,
    -- As a JSON value: how it is spaced, and in which order it is written, doesn't matter.
    CASE WHEN key IS NULL THEN '\x' ELSE
      substr(sha256(convert_to(coalesce(input::jsonb::text, 'null'), 'UTF8')), 1, 16) END,
    CASE options->>'on_duplicate' WHEN 'fail' THEN 1 WHEN 'restart_if_ended' THEN 2 ELSE 0 END) s;
  IF found.how >= 2 THEN
    RAISE EXCEPTION 'key ''%'' of workflow ''%'' is bound to % % [FER-1301]', key, workflow,
      fermata.run_text(found.started),
      CASE found.how WHEN 2 THEN 'with another input' ELSE 'already' END
      USING ERRCODE = 'unique_violation';
  END IF;
  RETURN fermata.run_text(found.started);
END $$;

CREATE FUNCTION fermata.signal(run text, name text, value json DEFAULT NULL,
  id uuid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  bytes bytea := convert_to(coalesce(value::text, 'null'), 'UTF8');
  meant uuid;
  how int4;
BEGIN
  PERFORM fermata.check_text('the signal''s name', coalesce(name, ''), 128);
  PERFORM fermata.check_value('signal ' || name, bytes);
  IF run !~ '^run_[0-7][0-9A-HJKMNP-TV-Z]{25}$' THEN
    RAISE EXCEPTION '''%'' isn''t the id of a run: those look like run_01J… [FER-1302]', run
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  meant := fermata.run_id(run);
  -- Any run of a chain stands for it.
  meant := coalesce((SELECT r.chain FROM fermata.runs r WHERE r.run = meant),
    (SELECT s.chain FROM fermata.start_requests s WHERE s.run = meant), meant);
  SELECT m.how INTO how FROM fermata.put_message(meant, coalesce(id, fermata.new_id()), 1, name,
    'application/json', 0, 0, bytes, NULL) m;
  IF how = 2 THEN
    RAISE EXCEPTION 'run % has ended and takes no more signals [FER-1303]', run
      USING ERRCODE = 'object_not_in_prerequisite_state';
  ELSIF how = 3 THEN
    RAISE EXCEPTION 'no run has the id % [FER-1302]', run USING ERRCODE = 'no_data_found';
  ELSIF how = 4 THEN
    RAISE EXCEPTION '10000 messages wait for run % [FER-1402]', run
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Slow the senders down, or find out why ' ||
        'the run doesn''t read them: fermata explain RUN.';
  END IF;
END $$;

REVOKE EXECUTE ON FUNCTION fermata.put_start, fermata.put_message, fermata.start, fermata.signal
  FROM PUBLIC;
)sql";

}  // namespace fermata::engine::postgres
