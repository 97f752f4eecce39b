// SPDX-License-Identifier: Apache-2.0
#include "engine/planted.hpp"
#include "engine/store/sqlite/errors.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/turn.hpp"

#include <algorithm>
#include <utility>

// engine/store/README.md has the order of checks and of effects.
namespace fermata::engine::sqlite {

namespace {

/// One append on its way: where it goes, and what was found out.
struct attempt {
  sqlite::turn& turn;
  append& what;
  std::int64_t row = 0;
  run_head head;
};

bool locate(attempt& at) {
  // Of a run that is written to again the last event is looked for.
  const bool again = std::ranges::any_of(
      at.turn.pending, [&](const event_of& one) { return one.run == at.what.row; });
  if (again || at.what.row == 0) insert_pending(at.turn);
  const run_head* head = at.what.row != 0 ? at.turn.heads.find(at.turn.db, at.what.row) : nullptr;
  at.row = at.what.row;
  if (head == nullptr || head->run != at.what.run) {
    use found = at.turn.db.sql("SELECT id FROM runs WHERE run = ?1");
    if (!found.with(at.what.run).next()) return false;
    at.row = found.integer(0);
    head = at.turn.heads.find(at.turn.db, at.row);
  }
  at.head = *head;
  return true;
}

/// An ambiguous commit, sent again: its very bytes are there.
bool already_there(const attempt& at) {
  const append& what = at.what;
  if (what.body || what.events.empty() || planted("sqlite_resent_append_is_refused")) return false;
  if (what.after + what.events.size() > at.head.position) return false;
  use rows = at.turn.db.sql(
      "SELECT position, chain FROM events WHERE run = ?1 AND position > ?2 ORDER BY position");
  rows.with(at.row, what.after);
  return std::ranges::all_of(what.events, [&](const encoded_event& event) {
    return rows.next() && rows.integer(0) == static_cast<std::int64_t>(event.position) &&
           rows.hash(1) == event.chain;
  });
}

bool dense(const std::vector<encoded_event>& events, position_t after) {
  return std::ranges::all_of(events,
                             [&](const encoded_event& event) { return event.position == ++after; });
}

bool may_write(const attempt& at) {
  if (at.what.by_operator) return at.what.epoch > at.head.epoch;
  return at.turn.worker != 0 && at.head.owner == at.turn.worker &&
         (at.head.epoch == at.what.epoch || planted("sqlite_epoch_not_compared"));
}

bool inbox_holds_more_than(connection& db, const chain_id& chain, std::size_t count) {
  use rows = db.sql("SELECT count(*) FROM (SELECT 1 FROM inbox WHERE chain = ?1 LIMIT ?2 + 1)");
  rows.with(chain, count);
  rows.next();
  return rows.integer(0) > static_cast<std::int64_t>(count);
}

/// Why the append can't land; `landed` when it can.
landing refusal(const attempt& at) {
  append& what = at.what;
  const bool fenced =
      at.turn.worker != 0 && !alive(at.turn) && !planted("sqlite_dead_worker_writes");
  if (fenced) return landing::not_owner;
  const bool follows =
      at.head.hash == what.after_hash || planted("sqlite_predecessor_not_compared");
  const bool over = at.head.ended && !planted("sqlite_ended_run_goes_on");
  if (over || at.head.position != what.after || !follows || !dense(what.events, what.after))
    return landing::stale;
  if (!may_write(at)) return landing::not_owner;

  std::ranges::sort(what.consumed);
  what.consumed.erase(std::ranges::unique(what.consumed).begin(), what.consumed.end());
  for (const std::uint64_t seq : what.consumed) {
    use row = at.turn.db.sql("SELECT 1 FROM inbox WHERE chain = ?1 AND seq = ?2");
    if (!row.with(at.head.chain, seq).next()) return landing::message_gone;
  }
  if (what.then == then::end &&
      inbox_holds_more_than(at.turn.db, at.head.chain, what.consumed.size()))
    return landing::inbox_not_empty;
  return landing::landed;
}

/// False, with the answer filled in, when nothing may be written.
bool run_body(const attempt& at, append_result& result) {
  append& what = at.what;
  if (!what.body) return true;
  insert_pending(at.turn);
  at.turn.db.script("SAVEPOINT body");
  absl::StatusOr<std::vector<encoded_event>> events = what.body(at.turn.db.handle());
  if (events.ok() && !dense(*events, what.after))
    events = absl::InternalError("the body of a transactional step answered events with a gap");
  if (!events.ok()) {
    at.turn.db.script("ROLLBACK TO body; RELEASE body");
    result.how = landing::body_failed;
    result.body = events.status();
    return false;
  }
  at.turn.db.script("RELEASE body");
  what.events = *std::move(events);
  result.body_events = what.events;
  return true;
}

void write_events(const attempt& at) {
  for (const encoded_event& event : at.what.events) {
    at.turn.pending.push_back({at.row, &event});
    at.turn.latest = std::max(at.turn.latest, event.at);
  }
  if (at.what.events.empty()) return;
  run_head& head = at.turn.heads.put(at.row, at.head);
  head.position = at.what.events.back().position;
  head.hash = at.what.events.back().chain;
}

void consume(const attempt& at) {
  for (const std::uint64_t seq : at.what.consumed) {
    if (!planted("sqlite_ledger_not_written"))
      at.turn.db
          .sql(
              "INSERT OR IGNORE INTO ledger(chain, id) "
              "SELECT chain, id FROM inbox WHERE chain = ?1 AND seq = ?2")
          .with(at.head.chain, seq)
          .run();
    if (planted("sqlite_message_kept_after_it_was_read")) continue;
    at.turn.db.sql("DELETE FROM inbox WHERE chain = ?1 AND seq = ?2")
        .with(at.head.chain, seq)
        .run();
  }
}

void set_attention(const attempt& at) {
  if (!at.what.attention) return;
  const attention now = *at.what.attention;
  at.turn.db
      .sql(
          "UPDATE runs SET attention = ?2, report = ?3, blocked_builds = CASE ?2 WHEN 0 THEN '' "
          "WHEN 1 THEN blocked_builds || ?4 || char(10) ELSE blocked_builds END WHERE id = ?1")
      .with(at.row, static_cast<int>(now),
            now == attention::none ? std::string_view() : std::string_view(at.what.report),
            at.turn.worker_build)
      .run();
}

/// The row of the run, in one statement for what most appends need of it; none for a plain step.
void write_row(const attempt& at) {
  const append& what = at.what;
  const run_changes& changes = what.changes;
  const bool ends = what.then == then::end;
  if (!ends && !changes.state && !changes.ended && !changes.error && !what.waits && !what.status)
    return;
  use update = at.turn.db.sql(
      ends ? "UPDATE runs SET state = coalesce(?2, state), ended = coalesce(?3, ended), "
             "error = coalesce(?4, error), waits = '', status = coalesce(?6, status), "
             "updated = ?7, owner = 0 WHERE id = ?1"
           : "UPDATE runs SET state = coalesce(?2, state), ended = coalesce(?3, ended), "
             "error = coalesce(?4, error), waits = coalesce(?5, waits), "
             "status = coalesce(?6, status), updated = ?7 WHERE id = ?1");
  const auto text = [&](const std::optional<std::string>& value) {
    if (value) {
      update.with(*value);
    } else {
      update.with(nullptr);
    }
  };
  update.with(at.row);
  if (changes.state) {
    update.with(static_cast<int>(*changes.state));
  } else {
    update.with(nullptr);
  }
  if (changes.ended) {
    update.with(*changes.ended);
  } else {
    update.with(nullptr);
  }
  text(changes.error);
  text(what.waits);
  text(what.status);
  update.with(at.turn.now).run();
}

/// The chain has ended: what it started is told, a batch at a time, by the policy each child has.
/// False when there is nobody to tell.
bool list_for_closing(const attempt& at) {
  if (at.what.changes.state == run_state::continued) return false;
  use children = at.turn.db.sql(
      "SELECT EXISTS(SELECT 1 FROM runs WHERE parent IS NOT NULL AND "
      "  coalesce(parent_chain, parent) IN (?1, ?2) AND state < 3 AND close_policy <> 2) "
      "OR EXISTS(SELECT 1 FROM start_requests WHERE parent IS NOT NULL AND "
      "  coalesce(parent_chain, parent) IN (?1, ?2) AND close_policy <> 2)");
  children.with(at.head.run, at.head.chain).next();
  if (children.integer(0) == 0) return false;
  at.turn.db.sql("INSERT OR IGNORE INTO closing(parent) VALUES (?1)").with(at.row).run();
  return true;
}

void set_owner(const attempt& at, std::int64_t owner, epoch_t epoch) {
  at.turn.db.sql("UPDATE runs SET owner = ?2, epoch = ?3, updated = ?4 WHERE id = ?1")
      .with(at.row, owner, epoch, at.turn.now)
      .run();
  move_mark(at.turn, at.row, owner);
  run_head& head = at.turn.heads.put(at.row, *at.turn.heads.find(at.turn.db, at.row));
  head.owner = owner;
  head.epoch = epoch;
}

void end_run(const attempt& at) {
  unmark(at.turn, at.row);
  if (!at.what.changes.all_timers_removed)
    apply_changes(at.turn, at.row, at.head.space, {.all_timers_removed = true});
  at.turn.heads.erase(at.row);
  at.turn.ended = true;
  if (at.what.by_operator) at.turn.woke = true;
}

bool park(const attempt& at) {
  const bool unread = inbox_holds_more_than(at.turn.db, at.head.chain, 0);
  if (unread && !planted("sqlite_parks_with_unread_messages")) {
    mark_ready(at.turn, at.row);
    return false;
  }
  unmark(at.turn, at.row);
  at.turn.db.sql("UPDATE runs SET owner = 0, updated = ?2 WHERE id = ?1")
      .with(at.row, at.turn.now)
      .run();
  if (run_head* head = at.turn.heads.find(at.turn.db, at.row)) head->owner = 0;
  at.turn.woke = at.turn.woke || !at.what.changes.timers_set.empty();
  return true;
}

void send(const attempt& at, append_result& result) {
  using outcome = message_result::outcome;
  for (const message& message : at.what.messages) {
    const outcome how = put_message(at.turn, message, bound::ignored).how;
    if (how == outcome::ended || how == outcome::unknown)
      result.undeliverable.push_back(message.id);
  }
}

/// Everything that an append does when it lands.
void write(const attempt& at, append_result& result) {
  append& what = at.what;
  write_events(at);
  apply_changes(at.turn, at.row, at.head.space, what.changes);
  write_row(at);
  set_attention(at);
  consume(at);
  if (what.by_operator) set_owner(at, 0, what.epoch);
  write_tasks(at.turn, at.row, at.head.space, what);
  if (what.then == then::end) end_run(at);

  for (const start_request& child : what.children)
    if (!planted("sqlite_child_not_requested")) insert_child(at.turn, child);
  if (what.then == then::end) result.left_children = what.may_have_children && list_for_closing(at);
  send(at, result);
  if (!what.logs.empty()) keep_logs(at.turn.db, at.row, what.logs);

  if (what.then == then::end) return;
  if (what.looked && !inbox_holds_more_than(at.turn.db, at.head.chain, 0)) unmark(at.turn, at.row);
  if (what.then == then::park) result.parked = park(at);
  const bool blocked = what.attention == attention::blocked;
  if (blocked || (what.by_operator && what.make_ready)) mark_ready(at.turn, at.row);
}

/// What can still be said about an append that landed before.
void answer_again(const attempt& at, append_result& result) {
  result.how = landing::landed;
  const bool mine = at.head.owner == at.turn.worker && at.head.epoch == at.what.epoch;
  result.parked = at.what.then == then::park && !mine;
  for (const message& message : at.what.messages) {
    use known = at.turn.db.sql(
        "SELECT EXISTS(SELECT 1 FROM inbox WHERE chain = ?1 AND id = ?2) "
        "OR EXISTS(SELECT 1 FROM ledger WHERE chain = ?1 AND id = ?2)");
    known.with(message.to, message.id).next();
    if (known.integer(0) == 0) result.undeliverable.push_back(message.id);
  }
}

}  // namespace

void insert_pending(turn& turn) {
  insert_events(turn.db, turn.pending);
  turn.pending.clear();
}

append_result apply_append(turn& turn, append&& what) {
  append_result result;
  attempt at{turn, what};
  if (!locate(at)) {
    result.how = landing::unknown_run;
  } else if (already_there(at)) {
    answer_again(at, result);
  } else {
    result.how = refusal(at);
    if (result.how == landing::landed && run_body(at, result)) write(at, result);
  }
  return result;
}

}  // namespace fermata::engine::sqlite
