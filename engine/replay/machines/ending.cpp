// SPDX-License-Identifier: Apache-2.0
// How a run ends: the code returns or throws; what is in flight is stopped and awaited; what was
// registered is undone; the last event says how it went.
//
//   running ──value──▶ run_completed
//      └──failed, cancelled──▶ failing ──c.1, c.2 …──▶ run_failed, run_cancelled
//         (without `failing` when nothing was registered)
#include "engine/planted.hpp"
#include "engine/replay/machine.hpp"

#include <fmt/format.h>

namespace fermata::engine {

void machine::root_ended(settled how, payload result, pb::failure why) {
  if (root_over_ || over()) return;
  root_over_ = true;
  root_how_ = how;
  last().result = std::move(result);
  last().root_why = std::move(why);
  ops_[0].inner->cancelled = true;
  cancel_inside(0, false);
}

/// What the end waits for: steps, branches that unwind, children that were asked to stop.
int machine::in_flight() const {
  return grace_over_ ? 0 : work_pending_ + children_pending_ + open_branches_;
}

/// The code is over, and so is all that was shielded: what goes on has been told to stop.
bool machine::finishing() const noexcept {
  return root_over_ && !failing_ && !ended_ && open_shields_ == 0;
}

void machine::grace_over() {
  if (!finishing() || over() || end_produced_ || grace_over_) return;
  grace_over_ = true;
  for (slot s = first_pending_; s < ops_.size(); ++s) {
    const operation& op = ops_[s];
    if (op.how == settled::pending && op.answers()) last().abandoned.push_back(op.id);
  }
  go_on_ending();
}

/// A failure that nobody looked at. One of an operation that was given up isn't anybody's business.
const operation* machine::unseen_failure() const {
  for (slot s = 0; s < ops_.size(); ++s)
    if (const operation& op = ops_[s];
        op.how == settled::failed && !op.observed && !op.cancel_asked)
      return &op;
  return nullptr;
}

machine::ending machine::how_it_ends() {
  ending is{root_how_, last().root_why};
  if (is.how == settled::value) {
    if (const operation* unseen = unseen_failure()) is = {settled::failed, *unseen->why};
  }
  if (is.how == settled::cancelled && is.why.message().empty()) {
    is.why.set_type("cancelled");
    is.why.set_code("FER-1101");
    is.why.set_message(last().cancel_why.empty() ? "cancelled" : last().cancel_why);
  }
  return is;
}

void machine::go_on_ending() {
  if (ended_ || end_produced_ || mismatch_) return;
  // A message that is under way is listed as unread, so the end waits until it is delivered.
  const bool may_produce = live_ && outcomes_under_way_ == 0;
  if (!failing_) {
    if (!may_produce || !root_over_ || in_flight() > 0) return;
    const ending is = how_it_ends();
    if (is.how == settled::value) return produce_end(run_state::completed, {});
    if (!seen().compensations.empty()) return produce_failing(is.how, is.why);
    return produce_end(is.how == settled::cancelled ? run_state::cancelled : run_state::failed,
                       is.why);
  }
  if (undoing_ != 0) {
    if (ops_[undoing_].how == settled::pending) return;
    const bool again = planted("compensation_twice") && seen().undone.size() % 2 != 0;
    if (ops_[undoing_].how == settled::value && again)
      undoing_ = 0;
    else if (ops_[undoing_].how == settled::value)
      extra().compensations.pop_back();
    else
      exhausted_ = true;
    undoing_ = 0;
  }
  if (exhausted_) return;
  if (!seen().compensations.empty()) return next_compensation();
  if (may_produce)
    produce_end(failing_cancelled_ ? run_state::cancelled : run_state::failed, last().failing_why);
}

void machine::produce_failing(settled how, const pb::failure& why) {
  event e = make(event_kind::failing, ops_[0]);
  e.name.clear();
  pb::failing& f = *e.details.mutable_failing();
  *f.mutable_why() = why;
  f.set_cancelled(how == settled::cancelled);
  for (const std::string& id : last().abandoned) f.add_abandoned(id);
  for (const auto& [op, task] : tasks_away()) extra().tasks_gone.push_back(ops_[op].id);
  for (const auto& [name, letters] : seen().mail)
    for (const auto& letter : letters) f.add_unread(letter.second);
  end_produced_ = true;
  produce(std::move(e));
}

void machine::produce_end(run_state how, const pb::failure& why) {
  produced made;
  event& e = made.what;
  e = make(how == run_state::completed   ? event_kind::run_completed
           : how == run_state::cancelled ? event_kind::run_cancelled
                                         : event_kind::run_failed,
           ops_[0]);
  pb::ended& end = *e.details.mutable_ended();
  if (how == run_state::completed) {
    e.value = last().result;
    end.set_result_type(last().result.type);
  } else {
    *end.mutable_why() = why;
  }
  for (const std::string& id : last().abandoned) end.add_abandoned(id);
  for (const auto& [name, letters] : seen().mail)
    for (const auto& letter : letters) end.add_unread(letter.second);
  if (parent_) {
    message m;
    m.id = message_id::of(child_run_id(options_.run, "end", now_));
    m.to = parent_->chain;
    m.kind = message_kind::child_ended;
    m.name = ops_[0].name;
    m.operation = parent_->operation;
    m.sender = options_.run;
    m.value = e.value;
    pb::child_ended& told = *m.details.mutable_child_end();
    told.set_child(std::string(options_.chain.view()));
    told.set_state(static_cast<int>(how));
    if (how != run_state::completed) *told.mutable_why() = why;
    made.send = std::move(m);
  }
  end_produced_ = true;
  produce(std::move(made));
}

void machine::deliver_end(const event& what) {
  const bool by_code = what.kind == event_kind::run_completed ||
                       what.kind == event_kind::run_failed ||
                       what.kind == event_kind::run_cancelled;
  if (by_code && !fold_only_ && !failing_) {
    const settled how = root_over_ ? how_it_ends().how : settled::pending;
    const bool same = what.kind == event_kind::run_failed ? how == settled::failed
                      : what.kind == event_kind::run_cancelled
                          ? how == settled::cancelled
                          : how == settled::value &&
                                (last().result.bytes == what.value.bytes || what.value.erased ||
                                 !last().result.canonical || last().result.type != what.value.type);
    if (!same)
      return differ({.position = what.position,
                     .operation = {},
                     .recorded = describe(what),
                     .recorded_place = {},
                     .asked = root_over_ ? "another result" : "more to do",
                     .asked_place = {},
                     .differs = "result"});
  }
  ended_ = true;
  switch (what.kind) {
    case event_kind::run_completed:
      end_state_ = run_state::completed;
      break;
    case event_kind::run_failed:
      end_state_ = run_state::failed;
      break;
    case event_kind::run_cancelled:
      end_state_ = run_state::cancelled;
      break;
    case event_kind::run_continued:
      end_state_ = run_state::continued;
      break;
    case event_kind::run_expired:
      end_state_ = run_state::expired;
      break;
    default:
      end_state_ = run_state::terminated;
      break;
  }
}

}  // namespace fermata::engine
