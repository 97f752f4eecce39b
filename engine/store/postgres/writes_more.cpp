// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/store/postgres/values.hpp"
#include "engine/store/postgres/server.hpp"
#include "engine/store/postgres/writes.hpp"

namespace fermata::engine::postgres {

namespace {

template <class Operations>
void add_names(const Operations& all, column& run, column& operation) {
  for (const auto& [name, ignored] : all) {
    run.add(name.first);
    operation.add(std::string_view(name.second));
  }
}

}  // namespace

void writes::remove_watch(const run_id& run, const std::string& operation) {
  const operation_name name{run, operation};
  const auto set = timers_.find(name);
  // Put and gone within one batch.
  if (set != timers_.end() && set->second && set->second->what.purpose == timer_purpose::give_up)
    set->second.reset();
  watches_gone_.insert(name);
}

void writes::send_tasks(transaction& to) const {
  if (!watches_gone_.empty()) {
    column run(type::uuid), operation(type::text);
    for (const operation_name& name : watches_gone_) {
      run.add(name.first);
      operation.add(std::string_view(name.second));
    }
    to.send(
        "DELETE FROM fermata.timers t USING unnest($1::uuid[], $2::text[]) AS u(run, operation) "
        "WHERE t.run = u.run AND t.operation = u.operation AND t.purpose = 4",
        params(run, operation));
  }
  if (!tasks_.empty()) {
    column run(type::uuid), operation(type::text);
    add_names(tasks_, run, operation);
    to.send(
        "DELETE FROM fermata.tasks t USING unnest($1::uuid[], $2::text[]) AS u(run, operation) "
        "WHERE t.run = u.run AND t.operation = u.operation",
        params(run, operation));
  }
  send_new_tasks(to);
  send_changed_tasks(to);
}

void writes::send_new_tasks(transaction& to) const {
  column run(type::uuid), operation(type::text), epoch(type::int8), attempt(type::int8),
      space(type::int8), queue(type::text), priority(type::int8), not_before(type::int8),
      step(type::text), key(type::text), undoes(type::text), timeout(type::int8),
      heartbeat(type::int8), give_up(type::int8), alone(type::int8), content_type(type::text),
      input_type(type::int8), flags(type::int8), input(type::bytes);
  for (const auto& [name, one] : tasks_) {
    if (!one) continue;
    const task_row& t = one->what;
    run.add(t.run);
    operation.add(std::string_view(t.operation));
    epoch.add(static_cast<std::int64_t>(t.epoch));
    attempt.add(std::int64_t{t.attempt});
    space.add(one->space);
    queue.add(std::string_view(t.queue));
    priority.add(-std::int64_t{t.priority});
    not_before.add(t.not_before);
    step.add(std::string_view(t.step));
    key.add(std::string_view(t.key));
    undoes.add(std::string_view(t.undoes));
    timeout.add(t.timeout_ms);
    heartbeat.add(t.heartbeat_timeout_ms);
    give_up.add(t.give_up_at);
    alone.add(std::int64_t{t.alone ? 1 : 0});
    content_type.add(std::string_view(t.input.content_type.str()));
    input_type.add(static_cast<std::int64_t>(t.input.type));
    flags.add(std::int64_t{payload_flags(t.input)});
    input.add(std::string_view(t.input.bytes));
  }
  if (!run.empty())
    to.send(
        "INSERT INTO fermata.tasks(run, operation, epoch, attempt, space, queue, priority, "
        "not_before, step, key, undoes, timeout_ms, heartbeat_timeout_ms, give_up_at, alone, "
        "content_type, input_type, input_flags, input) SELECT u.run, u.operation, u.epoch, "
        "u.attempt, u.space, u.queue, u.priority, u.not_before, u.step, u.key, u.undoes, "
        "u.timeout, u.heartbeat, u.give_up, u.alone <> 0, u.content_type, u.input_type, u.flags, "
        "u.input FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[], $5::int8[], "
        "$6::text[], $7::int8[], $8::int8[], $9::text[], $10::text[], $11::text[], $12::int8[], "
        "$13::int8[], $14::int8[], $15::int8[], $16::text[], $17::int8[], $18::int8[], "
        "$19::bytea[]) AS u(run, operation, epoch, attempt, space, queue, priority, not_before, "
        "step, key, undoes, timeout, heartbeat, give_up, alone, content_type, input_type, flags, "
        "input)",
        params(run, operation, epoch, attempt, space, queue, priority, not_before, step, key,
               undoes, timeout, heartbeat, give_up, alone, content_type, input_type, flags, input));
}

void writes::send_changed_tasks(transaction& to) const {
  if (tasks_changed_.empty()) return;
  column of_run(type::uuid), of_operation(type::text), owner(type::int8), taken(type::int8),
      beat(type::int8), withdrawn(type::int8);
  add_names(tasks_changed_, of_run, of_operation);
  for (const auto& [name, t] : tasks_changed_) {
    owner.add(t.owner);
    taken.add(t.taken);
    beat.add(t.beat);
    withdrawn.add(std::int64_t{t.withdrawn ? 1 : 0});
  }
  to.send(
      "UPDATE fermata.tasks t SET owner = u.owner, taken = u.taken, beat = u.beat, "
      "withdrawn = u.withdrawn <> 0 FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[], "
      "$5::int8[], $6::int8[]) AS u(run, operation, owner, taken, beat, withdrawn) "
      "WHERE t.run = u.run AND t.operation = u.operation",
      params(of_run, of_operation, owner, taken, beat, withdrawn));
}

void writes::send_small(transaction& to) const {
  if (!tags_.empty()) {
    column run(type::uuid), key(type::text), value(type::text);
    for (const auto& [name, text] : tags_) {
      run.add(name.first);
      key.add(std::string_view(name.second));
      value.add(std::string_view(text));
    }
    to.send(
        "INSERT INTO fermata.run_tags(run, key, value) SELECT * FROM "
        "unnest($1::uuid[], $2::text[], $3::text[]) "
        "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value",
        params(run, key, value));
  }
  if (!published_.empty()) {
    column run(type::uuid), name(type::text), position(type::int8);
    for (const auto& [what, at] : published_) {
      run.add(what.first);
      name.add(std::string_view(what.second));
      position.add(static_cast<std::int64_t>(at));
    }
    to.send(
        "INSERT INTO fermata.published(run, name, position) SELECT * FROM "
        "unnest($1::uuid[], $2::text[], $3::int8[]) "
        "ON CONFLICT (run, name) DO UPDATE SET position = excluded.position",
        params(run, name, position));
  }
  if (!closing_.empty()) {
    column parent(type::uuid);
    for (const run_id& run : closing_) parent.add(run);
    to.send("INSERT INTO fermata.closing(parent) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING",
            params(parent));
  }
  if (lease_)
    to.send("UPDATE fermata.workers SET lease_until = $2 WHERE id = $1 AND lease_until IS NULL",
            params(lease_->first, lease_->second));
}

// ---- logs ----

/// A ring of each run. Lines of one run are written by its owner: nobody takes the same number.
void writes::send_logs(transaction& to) const {
  if (logs_.empty()) return;
  column run(type::uuid), position(type::int8), ordinal(type::int8), at(type::int8),
      level(type::int8), text(type::text), place(type::text), number(type::int8);
  std::int64_t count = 0;
  for (const log_line& line : logs_) {
    run.add(line.run);
    position.add(static_cast<std::int64_t>(line.position));
    ordinal.add(std::int64_t{line.ordinal});
    at.add(line.at);
    level.add(std::int64_t{line.level});
    text.add(std::string_view(line.text));
    place.add(std::string_view(line.place));
    number.add(++count);
  }
  constexpr auto kept = static_cast<std::int64_t>(limits::logs_per_run);
  to.send(
      "WITH ring AS (SELECT d.run, l.first, l.last, o.position, o.ordinal "
      "  FROM (SELECT DISTINCT unnest($1::uuid[]) AS run) d "
      "  CROSS JOIN LATERAL (SELECT min(seq) AS first, coalesce(max(seq), 0) AS last "
      "    FROM fermata.run_logs WHERE run = d.run) l "
      "  LEFT JOIN fermata.run_logs o ON o.run = d.run AND o.seq = l.first "
      "    AND l.last - l.first + 1 >= $9), "
      "put AS (INSERT INTO fermata.run_logs(run, seq, position, ordinal, at, level, text, place) "
      "  SELECT u.run, r.last + row_number() OVER (PARTITION BY u.run ORDER BY u.number), "
      "    u.position, u.ordinal, u.at, u.level, u.text, u.place "
      "  FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::text[], "
      "    $7::text[], $8::int8[]) AS u(run, position, ordinal, at, level, text, place, number) "
      "  JOIN ring r ON r.run = u.run JOIN fermata.runs known ON known.run = u.run "
      // Only a full ring has lost lines that a replay may say again.
      "  WHERE u.position = 0 OR ((r.position IS NULL OR "
      "    (u.position, u.ordinal) >= (r.position, r.ordinal)) AND NOT EXISTS (SELECT 1 "
      "    FROM fermata.run_logs x WHERE x.run = u.run AND x.position = u.position "
      "    AND x.ordinal = u.ordinal AND x.position <> 0)) "
      "  ON CONFLICT DO NOTHING RETURNING run, seq) "
      "DELETE FROM fermata.run_logs l "
      "USING (SELECT run, max(seq) AS last FROM put GROUP BY run) n "
      "WHERE l.run = n.run AND l.seq <= n.last - $9",
      params(run, position, ordinal, at, level, text, place, number, kept));
}

}  // namespace fermata::engine::postgres
