// SPDX-License-Identifier: Apache-2.0
// What is known of attempts that took their process down. A death that the signal handler attributes
// to the attempt counts; one without attribution is a suspicion: after two in a row the operation is
// executed alone, after five more it is too dangerous. Any outcome resets both. PROTOCOL §4.
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/replay/machine.hpp"
#include "engine/utf8.hpp"

#include <algorithm>

namespace fermata::engine {

void machine::crashed(std::string_view operation, int number, int signal,
                      std::string_view backtrace, std::string_view worker, bool alone) {
  const slot s = find(operation);
  if (!operation.empty() && (s == 0 || !ops_[s].is_work() || !takes_outcome(ops_[s]))) return;
  event e = make(signal != 0 ? event_kind::attempt_crashed : event_kind::suspicion, ops_[s]);
  pb::attempt& a = *e.details.mutable_attempt();
  a.set_number(number);
  a.set_signal(signal);
  a.set_backtrace(as_utf8(backtrace));
  a.set_worker(as_utf8(worker));
  a.set_step(ops_[s].name);
  a.set_alone(alone);
  produce(std::move(e));
  if (s == 0) return;
  ops_[s].step->running = ops_[s].step->queued = false;
  ops_[s].step->noting = true;
}

void machine::deliver_crash(slot s, const event& what) {
  step_state& step = *ops_[s].step;
  step.noting = false;
  // Found in a black box: an attempt of before, whose task had been taken back.
  if (is_away(step) && what.details.attempt().queue().empty()) return;
  task_is_gone(s);
  if (what.kind == event_kind::attempt_crashed || planted("suspects_are_guilty"))
    ++step.crashes;
  else
    ++(what.details.attempt().alone() ? step.suspicions_alone : step.suspicions);
  if (step.plan.on_crash != 0) step.started_noted = true;
  std::vector<slot>& suspects = extra().suspects;
  if (std::find(suspects.begin(), suspects.end(), s) == suspects.end()) suspects.push_back(s);
  step.queued = false;
  must_stop(ops_[s]) ? stop(s) : want_start(s);
  take_postponed();
}

/// An owner before this one began an attempt and didn't end it.
bool machine::vanished(const operation& op) const {
  return op.step->plan.on_crash != 0 && op.step->started_noted && !op.step->running &&
         !is_away(*op.step);
}

bool machine::dangerous(const operation& op) const {
  if (planted("never_quarantined")) return false;
  return op.step->crashes >= limits::crashes_to_quarantine ||
         op.step->suspicions_alone >= limits::unattributed_alone_to_quarantine;
}

bool code_is_dangerous(std::span<const event> history) {
  int crashes = 0;
  for (const event& e : history) {
    const event_class c = class_of(e.kind);
    const bool goes_on = c == event_class::command || c == event_class::outcome;
    if (goes_on || (e.kind == event_kind::operator_act && e.details.act().act() == "retry"))
      crashes = 0;
    else if (e.kind == event_kind::attempt_crashed && e.operation.empty())
      ++crashes;
  }
  return crashes >= limits::crashes_to_quarantine;
}

std::string machine::quarantined() const {
  if (code_crashes_ >= limits::crashes_to_quarantine) return "code";
  for (slot s : seen().suspects)
    if (ops_[s].is_work() && dangerous(ops_[s])) return ops_[s].id;
  return {};
}

}  // namespace fermata::engine
