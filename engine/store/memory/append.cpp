// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/store/memory/turn.hpp"

#include <algorithm>
#include <set>
#include <utility>

// README.md of engine/store has the order of checks and of effects.
namespace fermata::engine::memory {
namespace {

/// An ambiguous commit, sent again: its very bytes are there.
bool already_there(const run_record& run, const append& what) {
  if (what.events.empty() || what.after + what.events.size() > run.events.size()) return false;
  for (std::size_t i = 0; i < what.events.size(); ++i) {
    const encoded_event& stored = run.events[what.after + i];
    if (stored.position != what.events[i].position) return false;
    if (stored.chain != what.events[i].chain) return false;
  }
  return true;
}

bool follows(const run_record& run, const append& what) {
  const head last = head_of(run);
  return last.position == what.after && last.hash == what.after_hash;
}

bool dense(const std::vector<encoded_event>& events, position_t after) {
  for (const encoded_event& event : events) {
    if (event.position != ++after) return false;
  }
  return true;
}

bool may_write(const turn& turn, const run_record& run, const append& what) {
  if (what.by_operator) return what.epoch > run.row.epoch;
  return turn.worker != 0 && run.row.owner == turn.worker &&
         (run.row.epoch == what.epoch || planted("memory_epoch_not_compared"));
}

/// Why the append can't land; `landed` when it can.
landing refusal(const turn& turn, const run_record& run, const append& what) {
  if (turn.worker != 0 && !turn.data.alive(turn.worker)) return landing::not_owner;
  if (ended(run.row.state)) return landing::stale;
  if (!follows(run, what) || !dense(what.events, what.after)) return landing::stale;
  if (!may_write(turn, run, what)) return landing::not_owner;

  const chain_record& chain = turn.data.chains[run.row.chain];
  const std::set<std::uint64_t> consumed(what.consumed.begin(), what.consumed.end());
  for (const std::uint64_t seq : consumed) {
    if (!chain.inbox.contains(seq)) return landing::message_gone;
  }
  const bool unread = consumed.size() < chain.inbox.size();
  if (what.then == then::end && unread) return landing::inbox_not_empty;
  return landing::landed;
}

void consume(chain_record& chain, const std::vector<std::uint64_t>& seqs) {
  for (const std::uint64_t seq : seqs) {
    const auto at = chain.inbox.find(seq);
    if (at == chain.inbox.end()) continue;
    chain.pending.erase(at->second.id);
    if (!planted("memory_ledger_not_written")) chain.ledger.insert(at->second.id);
    chain.inbox.erase(at);
  }
}

void set_attention(const turn& turn, run_record& run, const append& what) {
  if (!what.attention) return;
  run.row.attention = *what.attention;
  run.row.report = *what.attention == attention::none ? "" : what.report;
  if (*what.attention == attention::none) run.blocked_builds.clear();
  if (*what.attention == attention::blocked) {
    const worker_record* worker = std::as_const(turn.data).find_worker(turn.worker);
    run.blocked_builds.insert(worker == nullptr ? "" : worker->row.build);
  }
}

/// The chain has ended: what it started is told, by the policy each child has.
void list_children(tables& data, const run_record& parent) {
  if (parent.row.state == run_state::continued) return;
  std::set<run_id> children = data.children[parent.row.run];
  children.merge(std::set<run_id>(data.children[parent.row.chain]));
  for (const run_id& id : children) {
    const std::optional<run_row> child = data.row_of(id);
    if (child && !ended(child->state) && child->close_policy != 2) data.to_close.push_back(id);
  }
}

void end_run(tables& data, run_record& run) {
  data.unmark(run);
  data.set_owner(run, 0);
  run.row.waits.clear();
  run_changes nothing_due;
  nothing_due.all_timers_removed = true;
  data.apply(run, nothing_due);
  data.woke = true;
}

bool park(tables& data, run_record& run, time_us now) {
  const bool unread = !data.chains[run.row.chain].inbox.empty();
  if (unread && !planted("memory_parks_with_unread_messages")) {
    data.mark_ready(run, now);
    return false;
  }
  data.unmark(run);
  data.set_owner(run, 0);
  data.woke = data.woke || !run.timers.empty();
  return true;
}

void send(turn& turn, const append& what, append_result& result) {
  using outcome = message_result::outcome;
  for (const message& message : what.messages) {
    const outcome how = put_message(turn, message, bound::ignored).how;
    if (how == outcome::ended || how == outcome::unknown)
      result.undeliverable.push_back(message.id);
  }
}

/// Everything that an append does when it lands.
void write(turn& turn, run_record& run, append& what, append_result& result) {
  tables& data = turn.data;
  data.append_events(run, what.events);
  data.apply(run, what.changes);
  run.row.updated = turn.now;
  if (what.waits) run.row.waits = *what.waits;
  if (what.status) run.row.status = *what.status;
  set_attention(turn, run, what);
  consume(data.chains[run.row.chain], what.consumed);
  if (what.by_operator) {
    data.set_owner(run, 0);
    run.row.epoch = what.epoch;
  }
  write_tasks(turn, run, what);
  if (what.then == then::end) end_run(data, run);

  for (start_request& child : what.children) insert_child(turn, std::move(child));
  if (what.then == then::end) list_children(data, run);
  send(turn, what, result);
  for (const log_line& line : what.logs) keep_log(run, line);

  if (what.then == then::end) return;
  if (what.looked && data.chains[run.row.chain].inbox.empty()) data.unmark(run);
  if (what.then == then::park) result.parked = park(data, run, turn.now);
  const bool blocked = what.attention == attention::blocked;
  if (blocked || (what.by_operator && what.make_ready)) data.mark_ready(run, turn.now);
}

/// What can still be said about an append that landed before.
void answer_again(const turn& turn, const run_record& run, const append& what,
                  append_result& result) {
  result.how = landing::landed;
  const bool mine = run.row.owner == turn.worker && run.row.epoch == what.epoch;
  result.parked = what.then == then::park && !mine;
  for (const message& message : what.messages) {
    const chain_record* chain = std::as_const(turn.data).find_chain(message.to);
    const bool known = chain != nullptr &&
                       (chain->pending.contains(message.id) || chain->ledger.contains(message.id));
    if (!known) result.undeliverable.push_back(message.id);
  }
}

/// False, with the answer filled in, when nothing may be written.
bool run_body(append& what, append_result& result) {
  if (!what.body) return true;
  absl::StatusOr<std::vector<encoded_event>> events = what.body(nullptr);
  if (events.ok() && !dense(*events, what.after)) {
    events = absl::InternalError("the body of a transactional step answered events with a gap");
  }
  if (!events.ok()) {
    result.how = landing::body_failed;
    result.body = events.status();
    return false;
  }
  what.events = *std::move(events);
  result.body_events = what.events;
  return true;
}

}  // namespace

append_result apply_append(turn& turn, append&& what) {
  append_result result;
  run_record* run = turn.data.find(what.run);
  if (run == nullptr) {
    result.how = landing::unknown_run;
  } else if (!what.body && already_there(*run, what)) {
    answer_again(turn, *run, what, result);
  } else {
    result.how = refusal(turn, *run, what);
    if (result.how == landing::landed && run_body(what, result)) write(turn, *run, what, result);
  }
  return result;
}

void keep_log(run_record& run, const log_line& line) {
  const auto place = [](const log_line& of) { return std::pair(of.position, of.ordinal); };
  const bool from_code = line.position != 0;  // else nobody replays it
  const auto same = [&](const log_line& other) { return place(other) == place(line); };
  if (from_code && std::ranges::any_of(run.logs, same)) return;

  // Replayed after it had left the ring.
  const bool full = run.logs.size() == limits::logs_per_run;
  if (from_code && full && place(line) < place(run.logs.front())) return;
  run.logs.push_back(line);
  if (full) run.logs.pop_front();
}

}  // namespace fermata::engine::memory
