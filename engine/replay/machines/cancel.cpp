// SPDX-License-Identifier: Apache-2.0
// Cancelling: by message or deadline (the whole run), by code (one operation, a race's losers, what
// a branch leaves behind). Waits end at once; work in flight is told to stop and its outcome is
// awaited, so that a result that came anyway is delivered first.
#include "engine/replay/machine.hpp"

#include <algorithm>

namespace fermata::engine {

bool machine::within_shield(slot branch) const {
  for (slot b = branch; b != 0; b = ops_[b].branch)
    if (ops_[b].inner && ops_[b].inner->shielded && !ops_[b].inner->ended) return true;
  return false;
}

bool machine::refuses(slot branch, slot op) const {
  // What is being stopped ends soon: its result is delivered first, also through a combinator.
  const operation& what = ops_[op];
  return branch_cancelled(branch) && what.how == settled::pending && what.branch != branch &&
         !what.cancel_asked && !(what.inner && (what.inner->shielded || what.inner->cancelled));
}

void machine::deliver_cancel(const event& what) {
  if (cancelled_ || root_over_ || failing_) return;
  cancelled_ = true;
  last().cancel_why = what.details.cancel().why();
  ops_[0].inner->cancelled = true;
  cancel_inside(0, false);
}

/// Cancels what `branch` issued and what its branches issued. When the code asked for it each is told
/// by an event, else only children are: the rest follows from what cancelled the branch.
void machine::cancel_inside(slot branch, bool by_code) {
  const std::vector<slot>& members = ops_[branch].inner->members;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const slot s = members[i];
    const operation& op = ops_[s];
    if (op.how != settled::pending) continue;
    if (op.inner) {
      if (!op.inner->shielded) cancel_branch(s, by_code);
    } else if (op.is_left_alone()) {
      settle(s, settled::cancelled);  // only the wait for it ends
    } else {
      cancel_one(s, by_code || op.kind == operation_kind::child);
    }
  }
}

void machine::cancel_branch(slot s, bool by_code) {
  if (std::exchange(ops_[s].inner->cancelled, true)) return;
  cancel_inside(s, by_code);
  settled_.push_back(s);  // whoever waits in it for something of another branch wakes up
}

void machine::cancel_one(slot s, bool journal) {
  operation& op = ops_[s];
  if (op.how != settled::pending || op.cancel_asked) return;
  if (op.kind == operation_kind::timer || op.kind == operation_kind::receive) {
    if (op.due != 0) extra().removed_timers.push_back(op.id);
    return settle(s, settled::cancelled);
  }
  op.cancel_asked = true;
  if (journal && ask_command(event_kind::cancel_requested, op)) {
    produced made;
    made.what = make(event_kind::cancel_requested, op);
    made.what.details.mutable_cancel_request()->set_target(op.id);
    if (op.kind == operation_kind::child) {
      message m;
      m.id = message_id::of(child_run_id(options_.run, op.id + "/cancel", now_));
      m.to = op.child;
      m.kind = message_kind::cancel;
      m.sender = options_.run;
      m.details.mutable_cancel()->set_by("parent");
      m.details.mutable_cancel()->set_why("its parent asked it to stop");
      made.send = std::move(m);
    }
    produce(std::move(made));
  }
  if (op.is_work()) stop(s);
}

void machine::cancel(slot s) {
  if (ops_[s].how != settled::pending || over()) return;
  if (ops_[s].inner) return cancel_branch(s, true);
  cancel_one(s, true);
}

void machine::drop(slot s) {
  if (!ops_[s].inner) return ops_[s].is_left_alone() ? settle(s, settled::cancelled) : cancel(s);
  end_branch(s);  // or it has ended, and branches that it opened still unwind
  const std::vector<slot>& members = ops_[s].inner->members;
  for (std::size_t i = members.size(); i-- > 0;) drop(members[i]);
  settle(s, settled::cancelled);
}

bool machine::must_stop(const operation& op) const {
  return op.cancel_asked || (root_over_ && !failing_ && !within_shield(op.branch));
}

/// An attempt that goes is told to stop; one that hasn't begun ends when the code stands. What is being
/// written about an attempt is awaited: `deliver_attempt` comes back to this.
void machine::stop(slot s) {
  operation& op = ops_[s];
  if (!live_ || !takes_outcome(op) || op.step->noting) return;
  if (op.step->running) return extra().stops.push_back(s);
  if (is_away(*op.step)) return withdraw_task(s);
  op.step->queued = false;
  extra().unbegun.insert(s);
}

/// After the commands of the code, in order: so the journal is the same when the code that asked for it
/// was only replayed.
void machine::end_unbegun() {
  for (const slot s : taken(&extras::unbegun)) {
    operation& op = ops_[s];
    if (!op.is_work() || !takes_outcome(op) || op.step->running || op.step->noting) continue;
    if (is_away(*op.step)) continue;
    op.answered = true;
    if (op.step->next_due != 0) extra().removed_timers.push_back(op.id);
    event e = outcome_of(s, op.step->attempts, 0);
    e.kind = event_kind::step_cancelled;
    produce(std::move(e));
  }
}

void machine::branch_ended(slot s, settled how, pb::failure why) {
  end_branch(s);
  if (over()) return;
  cancel_inside(s, true);
  if (how == settled::failed)
    fail(s, why);
  else
    settle(s, how);
}

}  // namespace fermata::engine
