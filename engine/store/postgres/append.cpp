// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/store/postgres/turn.hpp"

#include <absl/strings/string_view.h>

#include <algorithm>
#include <utility>

// engine/store/README.md has the order of checks and of effects.
namespace fermata::engine::postgres {

namespace {

bool dense(const std::vector<encoded_event>& events, position_t after) {
  return std::ranges::all_of(events,
                             [&](const encoded_event& event) { return event.position == ++after; });
}

bool may_write(const turn& turn, const known_run& run, const append& what) {
  if (what.by_operator) return what.epoch > run.epoch;
  return turn.worker != 0 && run.owner == turn.worker && run.epoch == what.epoch;
}

/// Those that it consumes, each once.
std::vector<std::uint64_t> consumed_by(const append& what) {
  std::vector<std::uint64_t> all = what.consumed;
  std::ranges::sort(all);
  all.erase(std::ranges::unique(all).begin(), all.end());
  return all;
}

/// Why the append can't land; `landed` when it can.
landing refusal(const turn& turn, const known_run& run, const append& what) {
  const bool fenced = turn.worker != 0 && !turn.alive && !planted("postgres_dead_worker_writes");
  if (fenced) return landing::not_owner;
  if (ended(run.state) || run.head.position != what.after ||
      (run.head.hash != what.after_hash && !planted("postgres_predecessor_not_compared")) ||
      !dense(what.events, what.after))
    return landing::stale;
  if (!may_write(turn, run, what)) return landing::not_owner;

  const std::vector<std::uint64_t> consumed = consumed_by(what);
  for (const std::uint64_t seq : consumed)
    if (!turn.consumed.contains({run.chain, seq})) return landing::message_gone;
  const auto chain = turn.chains.find(run.chain);
  const std::int64_t unread = chain == turn.chains.end() ? 0 : chain->second.unread;
  if (what.then == then::end && unread > static_cast<std::int64_t>(consumed.size()))
    return landing::inbox_not_empty;
  return landing::landed;
}

/// A transactional step on tables of this database. False, with the answer filled in, when nothing may
/// be written.
bool run_body(turn& turn, const append& what, append_result& result,
              std::vector<encoded_event>& events) {
  if (!what.body) {
    events = what.events;
    return true;
  }
  connection& db = turn.in.db();
  db.script("SAVEPOINT body");
  absl::StatusOr<std::vector<encoded_event>> made = what.body(db.handle());
  if (!db.alive())
    fail(absl::StatusCode::kUnavailable, "FER-2105",
         "the database went away while a transactional step ran; nothing of it is there",
         failure::lost);
  if (!db.in_transaction())
    fail(absl::StatusCode::kFailedPrecondition, "FER-2104",
         "the body of a transactional step ended the journal's transaction: it must neither COMMIT "
         "nor ROLLBACK");
  if (made.ok() && !dense(*made, what.after))
    made = absl::InternalError("the body of a transactional step answered events with a gap");
  if (!made.ok()) {
    db.script("ROLLBACK TO body; RELEASE body");
    result.how = landing::body_failed;
    result.body = made.status();
    return false;
  }
  db.script("RELEASE body");
  events = *std::move(made);
  for (const encoded_event& event : events) learn_names(turn.at, event);
  result.body_events = events;
  return true;
}

void write_events(turn& turn, known_run& run, const std::vector<encoded_event>& events) {
  for (const encoded_event& event : events) {
    turn.write.event(run.run, event);
    turn.latest = std::max(turn.latest, event.at);
  }
  if (events.empty()) return;
  run.head = {events.back().position, events.back().chain};
  turn.in.proof = {.what = proof::kind::event,
                   .run = run.run,
                   .position = run.head.position,
                   .hash = run.head.hash};
}

void consume(turn& turn, const known_run& run, const append& what) {
  for (const std::uint64_t seq : consumed_by(what)) {
    const auto found = turn.consumed.find({run.chain, seq});
    if (!planted("postgres_message_kept_after_it_was_read")) turn.write.consume(run.chain, seq);
    known_chain& chain = turn.chains[run.chain];
    chain.ids.insert(found->second);
    --chain.unread;
    turn.consumed.erase(found);
  }
}

void change_row(turn& turn, known_run& run, const append& what) {
  const run_changes& changes = what.changes;
  row_change& row = turn.write.change(run.run);
  if (changes.state) {
    row.state = static_cast<std::int64_t>(*changes.state);
    run.state = *changes.state;
  }
  if (changes.ended) row.ended = *changes.ended;
  if (changes.error) row.error = *changes.error;
  if (what.waits) row.waits = *what.waits;
  if (what.status) row.status = *what.status;
  if (what.then == then::end) row.waits = "";
  if (!what.attention) return;
  row.attention = static_cast<std::int64_t>(*what.attention);
  row.report = *what.attention == attention::none ? "" : what.report;
  if (*what.attention == attention::none) {
    row.unblocked = true;
    row.blocked_build.clear();
  }
  if (*what.attention == attention::blocked) row.blocked_build += turn.worker_build + '\n';
}

void set_owner(turn& turn, known_run& run, std::int64_t owner, epoch_t epoch) {
  run.owner = owner;
  run.epoch = epoch;
  row_change& row = turn.write.change(run.run);
  row.owner = owner;
  row.epoch = std::int64_t{epoch};
  if (!run.marked) return;
  run.marked = false;  // the mark follows the owner
  const std::int64_t since = run.since;
  mark_ready(turn, run);
  run.since = since;
  turn.write.mark(run.run, {run.space, run.owner, run.queue, run.priority, since});
}

void end_run(turn& turn, known_run& run, const append& what) {
  unmark(turn, run);
  if (!what.changes.all_timers_removed)
    apply_changes(turn, run.run, run.space, {.all_timers_removed = true});
  run.owner = 0;
  turn.write.change(run.run).owner = 0;
  known_chain& chain = turn.chains[run.chain];
  chain.run = run.run;
  chain.ended = true;
  turn.ended = true;
  if (what.by_operator) turn.woke = true;
}

/// The chain has ended: what it started is told, a batch at a time, by the policy each child has.
/// False when there is nobody to tell.
bool list_for_closing(turn& turn, const known_run& run, const append& what) {
  if (what.changes.state == run_state::continued) return false;
  const bool just_now = std::ranges::any_of(what.children, [&](const start_request& child) {
    return child.close_policy != 2 && (child.parent == run.run || child.parent_chain == run.chain);
  });
  if (!just_now && !turn.parents.contains(run.run)) return false;
  turn.write.closing(run.run);
  return true;
}

std::int64_t unread_in(const turn& turn, const chain_id& chain) {
  const auto found = turn.chains.find(chain);
  return found == turn.chains.end() ? 0 : found->second.unread;
}

bool park(turn& turn, known_run& run, const append& what) {
  if (unread_in(turn, run.chain) > 0) {
    mark_ready(turn, run);
    return false;
  }
  unmark(turn, run);
  if (turn.in.proof.what == proof::kind::none)
    turn.in.proof = {.what = proof::kind::owner, .run = run.run, .owner = 0, .epoch = run.epoch};
  run.owner = 0;
  turn.write.change(run.run).owner = 0;
  turn.woke = turn.woke || !what.changes.timers_set.empty();
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
void write(turn& turn, known_run& run, const append& what, const std::vector<encoded_event>& events,
           append_result& result) {
  write_events(turn, run, events);
  apply_changes(turn, run.run, run.space, what.changes);
  change_row(turn, run, what);
  consume(turn, run, what);
  if (what.by_operator) set_owner(turn, run, 0, what.epoch);
  write_tasks(turn, run, what);
  if (what.then == then::end) end_run(turn, run, what);

  for (const start_request& child : what.children) insert_child(turn, child);
  if (what.then == then::end)
    result.left_children = what.may_have_children && list_for_closing(turn, run, what);
  send(turn, what, result);
  for (const log_line& line : what.logs) turn.write.log(line);

  if (what.then == then::end) return;
  if (what.looked && unread_in(turn, run.chain) == 0) unmark(turn, run);
  if (what.then == then::park) result.parked = park(turn, run, what);
  const bool blocked = what.attention == attention::blocked;
  if (blocked || (what.by_operator && what.make_ready)) mark_ready(turn, run);
}

/// What can still be said about an append that landed before.
void answer_again(const turn& turn, const known_run& run, const append& what,
                  append_result& result) {
  result.how = landing::landed;
  const bool mine = run.owner == turn.worker && run.epoch == what.epoch;
  result.parked = what.then == then::park && !mine;
  for (const message& message : what.messages) {
    const auto chain = turn.chains.find(message.to);
    if (chain == turn.chains.end() || !chain->second.ids.contains(message.id))
      result.undeliverable.push_back(message.id);
  }
}

}  // namespace

append_result apply_append(turn& turn, const append& what) {
  append_result result;
  known_run* run = turn.find(what.run);
  if (run == nullptr) {
    result.how = landing::unknown_run;
  } else if (already_there(turn, what, *run)) {
    answer_again(turn, *run, what, result);
  } else {
    result.how = refusal(turn, *run, what);
    std::vector<encoded_event> events;
    if (result.how == landing::landed && run_body(turn, what, result, events))
      write(turn, *run, what, events, result);
  }
  return result;
}

void apply_changes(turn& turn, const run_id& run, std::int64_t space, const run_changes& changes) {
  if (changes.all_timers_removed) {
    turn.write.remove_all_timers(run);
    turn.handed.remove_all(run);
  }
  for (const std::string& operation : changes.timers_removed) {
    turn.write.remove_timer(run, operation);
    turn.handed.remove(run, operation);
  }
  for (timer_row timer : changes.timers_set) {
    timer.run = run;
    turn.write.set_timer(space, timer);
    turn.handed.remove(run, timer.operation);
  }
  for (const auto& [key, value] : changes.tags) turn.write.tag(run, key, value);
  for (const auto& [name, position] : changes.published) turn.write.publish(run, name, position);
}

void mark_ready(turn& turn, known_run& run) {
  turn.woke = true;
  if (std::exchange(run.marked, true)) return;
  run.since = turn.at.next_mark(turn.now);
  turn.write.mark(run.run, {run.space, run.owner, run.queue, run.priority, run.since});
}

void unmark(turn& turn, known_run& run) {
  if (std::exchange(run.marked, false)) turn.write.unmark(run.run);
}

void set_lease(turn& turn) {
  if (std::exchange(turn.has_lease, true)) return;
  turn.write.lease(turn.worker, turn.now + limits::lease_ms * 1'000);
}

}  // namespace fermata::engine::postgres
