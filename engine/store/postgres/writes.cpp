// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/writes.hpp"

#include "engine/event/flags.hpp"
#include "engine/store/postgres/server.hpp"
#include "engine/store/postgres/values.hpp"

#include <algorithm>

namespace fermata::engine::postgres {

// ---- events ----

event_rows::event_rows(const server& at) : names_(&at.names), rows_(at.event_row) {}

void event_rows::add(const run_id& run, const encoded_event& what, const chain_hash& after,
                     epoch_t owned) {
  const unsigned flags = what.flags & ~static_cast<unsigned>(flag::in_blob);
  const bool has_value = !what.content_type.empty() && (flags & flag::value_erased) == 0;
  const bool has_input = !what.input_content_type.empty() && (flags & flag::input_erased) == 0;
  const auto unless_empty = [](std::string_view bytes) {
    return bytes.empty() ? std::nullopt : std::optional(bytes);
  };
  rows_.add(run);
  rows_.add_int8(static_cast<std::int64_t>(what.position));
  rows_.add_int8(what.at);
  rows_.add_int8(what.epoch);
  rows_.add_int8(what.crc);
  rows_.add_int8(what.key_id);
  rows_.add_int4(names_->id_of(what.name));
  rows_.add_int4(names_->id_of(what.place.str()));
  rows_.add_int4(names_->id_of(what.content_type.str()));
  rows_.add_int4(names_->id_of(what.input_content_type.str()));
  rows_.add_int2(static_cast<std::int64_t>(what.kind));
  rows_.add_int2(flags);
  rows_.add_int2(what.codec);
  rows_.add_text(what.operation);
  rows_.add_bytes(has_value ? std::optional<std::string_view>(what.value) : std::nullopt);
  rows_.add_bytes(has_input ? std::optional<std::string_view>(what.input) : std::nullopt);
  rows_.add_bytes(unless_empty(what.salt));
  rows_.add_bytes(unless_empty(what.digest));
  rows_.add_bytes(what.details);
  rows_.add_bytes(bytes_of(what.chain));
  rows_.add_bytes(bytes_of(after));
  rows_.add_int8(owned);
  rows_.end_row();
}

writes::writes(const server& at) : at_(&at), events_(at) {}

// ---- runs ----

void writes::run(const start_request& request, const run_row& row, std::int64_t space) {
  run_columns& to = runs_;
  to.run.add(row.run);
  to.requested.add(row.requested);
  to.started.add(row.started);
  to.not_before.add(row.not_before);
  to.deadline.add(row.deadline);
  to.updated.add(row.updated);
  to.owner.add(row.owner);
  to.epoch.add(std::int64_t{row.epoch});
  to.space.add(space);
  to.workflow.add(at_->names.id_of(row.workflow));
  to.queue.add(at_->names.id_of(row.queue));
  to.build.add(at_->names.id_of(row.build));
  to.priority.add(-std::int64_t{row.priority});
  to.format_level.add(std::int64_t{row.format_level});
  to.close_policy.add(std::int64_t{row.close_policy});
  to.state.add(static_cast<std::int64_t>(row.state));
  to.ended.add(row.ended);
  to.chain.add(unless_itself(row.chain, row.run));
  to.origin.add(unless_itself(row.origin, row.run));
  to.parent.add(row.parent);
  to.parent_chain.add(row.parent_chain);
  to.parent_operation.add_or_null(row.parent_operation);
  to.key.add_or_null(row.key);
  to.traceparent.add_or_null(request.traceparent);
  to.error.add(std::string_view(row.error));
}

void writes::send_runs(transaction& to) const {
  if (runs_.run.empty()) return;
  const run_columns& r = runs_;
  to.send(
      "INSERT INTO fermata.runs(run, requested, started, not_before, deadline, updated, owner, "
      "epoch, space, workflow, queue, build, priority, format_level, close_policy, state, ended, "
      "chain, origin, parent, parent_chain, parent_operation, key, traceparent, error) "
      "SELECT * FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], "
      "$6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[], "
      "$13::int8[], $14::int8[], $15::int8[], $16::int8[], $17::int8[], $18::uuid[], $19::uuid[], "
      "$20::uuid[], $21::uuid[], $22::text[], $23::text[], $24::text[], $25::text[])",
      params(r.run, r.requested, r.started, r.not_before, r.deadline, r.updated, r.owner, r.epoch,
             r.space, r.workflow, r.queue, r.build, r.priority, r.format_level, r.close_policy,
             r.state, r.ended, r.chain, r.origin, r.parent, r.parent_chain, r.parent_operation,
             r.key, r.traceparent, r.error));
}

void writes::send_changes(transaction& to, time_us now) const {
  if (changes_.empty()) return;
  column run(type::uuid), state(type::int8), ended(type::int8), owner(type::int8),
      epoch(type::int8), attention(type::int8), error(type::text), waits(type::text),
      status(type::text), report(type::text), blocked(type::text), unblocked(type::int8),
      next_run(type::uuid);
  for (const auto& [id, change] : changes_) {
    run.add(id);
    state.add(change.state);
    ended.add(change.ended);
    owner.add(change.owner);
    epoch.add(change.epoch);
    attention.add(change.attention);
    error.add(change.error);
    waits.add(change.waits);
    status.add(change.status);
    report.add(change.report);
    blocked.add(std::string_view(change.blocked_build));
    unblocked.add(std::int64_t{change.unblocked ? 1 : 0});
    next_run.add(change.next_run);
  }
  to.send(
      "UPDATE fermata.runs r SET state = coalesce(u.state, r.state), "
      "ended = coalesce(u.ended, r.ended), owner = coalesce(u.owner, r.owner), "
      "epoch = coalesce(u.epoch, r.epoch), attention = coalesce(u.attention, r.attention), "
      "error = coalesce(u.error, r.error), waits = coalesce(u.waits, r.waits), "
      "status = coalesce(u.status, r.status), report = coalesce(u.report, r.report), "
      "blocked_builds = CASE WHEN u.unblocked <> 0 THEN u.blocked "
      "  ELSE r.blocked_builds || u.blocked END, "
      "next_run = coalesce(u.next_run, r.next_run), updated = $14 "
      "FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], "
      "$7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::int8[], $13::uuid[]) "
      "AS u(run, state, ended, owner, epoch, attention, error, waits, status, report, blocked, "
      "unblocked, next_run) WHERE r.run = u.run",
      params(run, state, ended, owner, epoch, attention, error, waits, status, report, blocked,
             unblocked, next_run, now));
}

void writes::send_marks(transaction& to) const {
  if (marks_.empty()) return;
  column gone(type::uuid), run(type::uuid), space(type::int8), owner(type::int8), queue(type::int8),
      priority(type::int8), since(type::int8);
  for (const auto& [id, mark] : marks_) {
    gone.add(id);
    if (!mark) continue;
    run.add(id);
    space.add(mark->space);
    owner.add(mark->owner);
    queue.add(mark->queue);
    priority.add(mark->priority);
    since.add(mark->since);
  }
  to.send("DELETE FROM fermata.ready WHERE run = ANY($1)", params(gone));
  if (!run.empty())
    to.send(
        "INSERT INTO fermata.ready(space, owner, queue, priority, since, run) SELECT * FROM "
        "unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::uuid[])",
        params(space, owner, queue, priority, since, run));
}

// ---- what belongs to runs ----

void writes::remove_all_timers(const run_id& run) {
  timers_gone_.insert(run);
  const auto first = timers_.lower_bound({run, std::string()});
  auto last = first;
  while (last != timers_.end() && last->first.first == run) ++last;
  timers_.erase(first, last);
}

void writes::remove_timer(const run_id& run, const std::string& operation) {
  timers_[{run, operation}].reset();
}

void writes::set_timer(std::int64_t space, const timer_row& what) {
  timers_[{what.run, what.operation}] = {space, what};
}

void writes::send_timers(transaction& to) const {
  if (!timers_gone_.empty()) {
    column runs(type::uuid);
    for (const run_id& run : timers_gone_) runs.add(run);
    to.send("DELETE FROM fermata.timers WHERE run = ANY($1)", params(runs));
  }
  if (timers_.empty()) return;
  column gone_run(type::uuid), gone_operation(type::text), space(type::int8), due(type::int8),
      run(type::uuid), operation(type::text), purpose(type::int8);
  for (const auto& [name, set] : timers_) {
    gone_run.add(name.first);
    gone_operation.add(std::string_view(name.second));
    if (!set) continue;
    space.add(set->space);
    due.add(set->what.due);
    run.add(name.first);
    operation.add(std::string_view(name.second));
    purpose.add(static_cast<std::int64_t>(set->what.purpose));
  }
  to.send(
      "DELETE FROM fermata.timers t USING unnest($1::uuid[], $2::text[]) AS u(run, operation) "
      "WHERE t.run = u.run AND t.operation = u.operation",
      params(gone_run, gone_operation));
  if (!run.empty())
    to.send(
        "INSERT INTO fermata.timers(space, due, run, operation, purpose) SELECT * FROM "
        "unnest($1::int8[], $2::int8[], $3::uuid[], $4::text[], $5::int8[])",
        params(space, due, run, operation, purpose));
}

// ---- starts ----

void writes::request(const start_request& what, std::int64_t space) {
  request_columns& to = requests_;
  to.space.add(space);
  to.queue.add(std::string_view(what.queue));
  to.priority.add(-std::int64_t{what.priority});
  to.not_before.add(what.not_before);
  to.run.add(what.run);
  to.workflow.add(std::string_view(what.workflow));
  to.chain.add(unless_itself(what.chain, what.run));
  to.origin.add(unless_itself(what.origin, what.run));
  to.seed.add(std::string_view(what.seed));
  to.requested.add(what.requested);
  to.not_after.add(what.not_after);
  to.deadline.add(what.deadline);
  to.key.add_or_null(what.key);
  to.tags.add_or_null(tags_as_json(what.tags));
  to.parent.add(what.parent);
  to.parent_chain.add(what.parent_chain);
  to.parent_operation.add_or_null(what.parent_operation);
  to.close_policy.add(std::int64_t{what.close_policy});
  to.traceparent.add_or_null(what.traceparent);
  to.previous_run.add(what.previous_run);
  to.previous_hash.add_or_null(what.previous_run.empty() ? std::string_view()
                                                         : bytes_of(what.previous_hash));
  to.content_type.add(std::string_view(what.input.content_type.str()));
  to.input_type.add(static_cast<std::int64_t>(what.input.type));
  to.input_flags.add(std::int64_t{payload_flags(what.input)});
  to.input.add(std::string_view(what.input.bytes));
}

void writes::send_requests(transaction& to) const {
  if (!requests_removed_.empty())
    to.send("DELETE FROM fermata.start_requests WHERE run = ANY($1)", params(requests_removed_));
  if (requests_.run.empty()) return;
  const request_columns& r = requests_;
  to.send(
      "INSERT INTO fermata.start_requests(space, queue, priority, not_before, run, workflow, "
      "chain, "
      "origin, seed, requested, not_after, deadline, key, tags, parent, parent_chain, "
      "parent_operation, close_policy, traceparent, previous_run, previous_hash, content_type, "
      "input_type, input_flags, input) "
      "SELECT u.space, u.queue, u.priority, u.not_before, u.run, u.workflow, u.chain, u.origin, "
      "u.seed, u.requested, u.not_after, u.deadline, u.key, u.tags::jsonb, u.parent, "
      "u.parent_chain, u.parent_operation, u.close_policy, u.traceparent, u.previous_run, "
      "u.previous_hash, u.content_type, u.input_type, u.input_flags, u.input "
      "FROM unnest($1::int8[], $2::text[], $3::int8[], $4::int8[], $5::uuid[], $6::text[], "
      "$7::uuid[], $8::uuid[], $9::bytea[], $10::int8[], $11::int8[], $12::int8[], $13::text[], "
      "$14::text[], $15::uuid[], $16::uuid[], $17::text[], $18::int8[], $19::text[], $20::uuid[], "
      "$21::bytea[], $22::text[], $23::int8[], $24::int8[], $25::bytea[]) "
      "AS u(space, queue, priority, not_before, run, workflow, chain, origin, seed, requested, "
      "not_after, deadline, key, tags, parent, parent_chain, parent_operation, close_policy, "
      "traceparent, previous_run, previous_hash, content_type, input_type, input_flags, input)",
      params(r.space, r.queue, r.priority, r.not_before, r.run, r.workflow, r.chain, r.origin,
             r.seed, r.requested, r.not_after, r.deadline, r.key, r.tags, r.parent, r.parent_chain,
             r.parent_operation, r.close_policy, r.traceparent, r.previous_run, r.previous_hash,
             r.content_type, r.input_type, r.input_flags, r.input));
}

void writes::bind_key(std::int64_t space, const std::string& workflow, const std::string& key,
                      const chain_id& chain, std::uint64_t input_type, std::string_view digest) {
  keys_[{space, key, workflow}] =
      bound{chain, static_cast<std::int64_t>(input_type), std::string(digest)};
}

void writes::unbind_key(std::int64_t space, const std::string& workflow, const std::string& key) {
  keys_[{space, key, workflow}].reset();
}

void writes::send_keys(transaction& to) const {
  if (keys_.empty()) return;
  column space(type::int8), key(type::text), workflow(type::text), chain(type::uuid),
      input_type(type::int8), digest(type::bytes), gone_space(type::int8), gone_key(type::text),
      gone_workflow(type::text);
  for (const auto& [name, what] : keys_) {
    const auto& [in, text, of] = name;
    (what ? space : gone_space).add(in);
    (what ? key : gone_key).add(std::string_view(text));
    (what ? workflow : gone_workflow).add(std::string_view(of));
    if (!what) continue;
    chain.add(what->chain);
    input_type.add(what->input_type);
    digest.add(std::string_view(what->digest));
  }
  // The rows are there: `lock_keys` has put them.
  if (!key.empty())
    to.send(
        "UPDATE fermata.keys k SET chain = u.chain, input_type = u.input_type, "
        "input_digest = u.digest FROM unnest($1::int8[], $2::text[], $3::text[], $4::uuid[], "
        "$5::int8[], $6::bytea[]) AS u(space, key, workflow, chain, input_type, digest) "
        "WHERE k.space = u.space AND k.key = u.key AND k.workflow = u.workflow",
        params(space, key, workflow, chain, input_type, digest));
  if (!gone_key.empty())
    to.send(
        "DELETE FROM fermata.keys k USING unnest($1::int8[], $2::text[], $3::text[]) "
        "AS u(space, key, workflow) "
        "WHERE k.space = u.space AND k.key = u.key AND k.workflow = u.workflow",
        params(gone_space, gone_key, gone_workflow));
}

// ---- messages ----

void writes::message(const engine::message& what, std::string_view details) {
  message_columns& to = messages_;
  to.chain.add(what.to);
  to.seq.add(static_cast<std::int64_t>(what.seq));
  to.id.add(what.id);
  to.kind.add(static_cast<std::int64_t>(what.kind));
  to.name.add(std::string_view(what.name));
  to.operation.add(std::string_view(what.operation));
  to.accepted.add(what.accepted);
  to.sender.add(what.sender);
  to.content_type.add(std::string_view(what.value.content_type.str()));
  to.value_type.add(static_cast<std::int64_t>(what.value.type));
  to.flags.add(std::int64_t{payload_flags(what.value)});
  to.value.add(std::string_view(what.value.bytes));
  to.details.add_or_null(details);
}

void writes::consume(const chain_id& chain, std::uint64_t seq) {
  consumed_chain_.add(chain);
  consumed_seq_.add(static_cast<std::int64_t>(seq));
}

void writes::send_messages(transaction& to) const {
  const message_columns& m = messages_;
  if (!m.id.empty())
    to.send(
        "INSERT INTO fermata.inbox(chain, seq, id, kind, name, operation, accepted, sender, "
        "content_type, type, flags, value, details) SELECT * FROM unnest($1::uuid[], $2::int8[], "
        "$3::uuid[], $4::int8[], $5::text[], $6::text[], $7::int8[], $8::uuid[], $9::text[], "
        "$10::int8[], $11::int8[], $12::bytea[], $13::bytea[])",
        params(m.chain, m.seq, m.id, m.kind, m.name, m.operation, m.accepted, m.sender,
               m.content_type, m.value_type, m.flags, m.value, m.details));
  if (!consumed_chain_.empty())
    to.send(
        "WITH gone AS (DELETE FROM fermata.inbox i USING unnest($1::uuid[], $2::int8[]) "
        "  AS u(chain, seq) WHERE i.chain = u.chain AND i.seq = u.seq RETURNING i.chain, i.id) "
        "INSERT INTO fermata.ledger(chain, id) SELECT chain, id FROM gone ON CONFLICT DO NOTHING",
        params(consumed_chain_, consumed_seq_));
}

void writes::send(transaction& to, time_us now) {
  if (!events_.empty()) to.send(FERMATA_INSERT_EVENTS, params(events_.rows()));
  send_runs(to);
  send_changes(to, now);
  send_marks(to);
  send_tasks(to);
  send_timers(to);
  send_small(to);
  send_requests(to);
  send_keys(to);
  send_messages(to);
  send_logs(to);
  *this = writes(*at_);
}

}  // namespace fermata::engine::postgres
