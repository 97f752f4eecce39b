// SPDX-License-Identifier: Apache-2.0
// Compensation is data: registered by events, carried out newest first after `failing`, from the
// journal alone. The n-th that is executed is operation `c.n`.
#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/replay/machine.hpp"

#include <fmt/format.h>

namespace fermata::engine {

void machine::ask_compensation(slot of, const undo_plan& undo, payload input, std::string undoes) {
  operation asked;
  asked.kind = operation_kind::compensation;
  asked.id = ops_[of].id;
  asked.name = undo.name;
  asked.place = ops_[of].place;
  asked.input_hash = ops_[of].input_hash;
  asked.input.type = input.type;
  foreseen was{};
  if (ask_command(event_kind::compensation_registered, asked, &was)) {
    event e = make(event_kind::compensation_registered, asked);
    e.input = input;
    pb::compensation& c = *e.details.mutable_compensation();
    c.set_operation_kind(static_cast<int>(undo.kind));
    *c.mutable_options() = to_details(undo.plan);
    c.set_input_hash(asked.input_hash);
    c.set_input_type(input.type);
    c.set_undoes(undoes);
    if (!undoes.empty()) c.set_undoes_operation(asked.id);
    produce(std::move(e));
  }
  // What is recorded holds, also when new code would register it with another type of input: so it is
  // once the code isn't run any more.
  if (was.registered)
    extra().compensations.push_back(std::move(*was.registered));
  else
    extra().compensations.push_back({undo, std::move(input), std::move(undoes), asked.place});
}

/// Without the code: what was registered is read from the events.
void machine::deliver_compensation(const event& what) {
  extra().compensations.push_back(registered_by(what));
}

machine::compensation machine::registered_by(const event& what) {
  const pb::compensation& c = what.details.compensation();
  undo_plan undo{what.name, static_cast<operation_kind>(c.operation_kind()),
                 from_details(c.options())};
  return {std::move(undo), what.input, c.undoes(), what.place};
}

void machine::deliver_failing(const event& what) {
  if (!fold_only_ && !root_over_)
    return differ({.position = what.position,
                   .operation = {},
                   .recorded = "the end of the code by a failure",
                   .recorded_place = {},
                   .asked = "more to do",
                   .asked_place = {},
                   .differs = "result"});
  const pb::failing& f = what.details.failing();
  failing_ = true;
  last().failing_why = f.why();
  failing_cancelled_ = f.cancelled();
  last().abandoned.assign(f.abandoned().begin(), f.abandoned().end());
  end_produced_ = false;
  // What the code took from the mail only the code knows, and it isn't run from here on.
  (void)taken(&extras::mail);
  for (const std::string& id : f.unread()) extra().mail[{}].emplace_back(payload{}, id);
  starts_.clear();
  (void)taken(&extras::to_put);
  asks_people_ = 0;
  go_on_ending();
}

void machine::next_compensation() {
  FERMATA_CHECK(!seen().compensations.empty(), "run {}: no compensation is left",
                options_.run.text());
  const compensation& c = planted("oldest_compensation_first") ? seen().compensations.front()
                                                               : seen().compensations.back();
  operation made;
  made.kind = c.undo.kind;
  made.id = fmt::format("c.{}", seen().undone.size() + 1);
  made.name = c.undo.name;
  made.place = c.place;
  made.input = c.input;
  made.input_hash = hash_of(c.input);
  made.issued_at = now_;
  made.observed = true;
  request ask;
  ask.child.queue = c.undo.plan.queue;
  ask.child.priority = c.undo.plan.priority;
  const slot s = undoing_ = add(std::move(made));
  ++pending_;
  if (ops_[s].kind == operation_kind::child) return ask_child(s, ask);
  ++work_pending_;
  ops_[s].step = std::make_unique<step_state>();
  ops_[s].step->plan = c.undo.plan;
  ops_[s].step->undoes = c.undoes;
  want_start(s);
}

/// An operator says: go on. Crash counts begin anew, and so do the attempts of a compensation.
void machine::deliver_act(const event& what) {
  if (what.details.act().act() != "retry") return;
  code_crashes_ = 0;
  exhausted_ = false;
  asks_people_ = 0;
  for (slot s = first_pending_; s < ops_.size(); ++s) {
    if (!ops_[s].is_work()) continue;
    step_state& step = *ops_[s].step;
    step.crashes = step.suspicions = step.suspicions_alone = 0;
    if (step.plan.on_crash == 2) step.started_noted = false;
    if (ops_[s].undoes()) {
      retrying_.erase({step.next_due, s});
      step.attempts = 0;
      step.next_due = 0;
    }
    want_start(s);
  }
  if (failing_) go_on_ending();
}

}  // namespace fermata::engine
