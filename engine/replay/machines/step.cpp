// SPDX-License-Identifier: Apache-2.0
// A step: asked, attempted until it succeeds or its policy is exhausted, settled by one outcome.
//
//   asked ──start──▶ running ──value──▶ step_completed
//     ▲                 │ failed, attempts left
//     └── retry timer ◀─┴─▶ attempt_failed          (or step_failed, or step_cancelled)
#include "engine/event/checks.hpp"
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/replay/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fermata::engine {

pb::step_options to_details(const step_plan& plan) {
  pb::step_options o;
  o.set_timeout_ms(plan.timeout_ms);
  o.set_give_up_after_ms(plan.give_up_after_ms);
  o.set_heartbeat_timeout_ms(plan.heartbeat_timeout_ms);
  o.set_max_attempts(plan.max_attempts);
  o.set_first_delay_ms(plan.first_delay_ms);
  o.set_backoff(plan.backoff);
  o.set_max_delay_ms(plan.max_delay_ms);
  o.set_queue(plan.queue);
  o.set_priority(plan.priority);
  o.set_on_crash(plan.on_crash);
  o.set_isolation(plan.isolation);
  return o;
}

step_plan from_details(const pb::step_options& o) {
  step_plan plan;
  plan.timeout_ms = o.timeout_ms();
  plan.give_up_after_ms = o.give_up_after_ms();
  plan.heartbeat_timeout_ms = o.heartbeat_timeout_ms();
  plan.max_attempts = o.max_attempts();
  plan.first_delay_ms = o.first_delay_ms();
  plan.backoff = o.backoff();
  plan.max_delay_ms = o.max_delay_ms();
  plan.queue = o.queue();
  plan.priority = o.priority();
  plan.on_crash = o.on_crash();
  plan.isolation = o.isolation();
  return plan;
}

std::string machine::key_of(const operation& op) const {
  return idempotency_key(origin_, op.id, op.name);
}

void machine::ask_step(slot s, request& what) {
  ++work_pending_;
  ops_[s].step = std::make_unique<step_state>();
  ops_[s].step->plan = std::move(what.plan);
  if (what.undo) {
    const std::uint64_t before = produced_count_;
    ask_compensation(s, *what.undo, ops_[s].input, key_of(ops_[s]));
    if (produced_count_ != before) ops_[s].step->gate = produced_count_;
  }
  ops_[s].step->gate = std::max(ops_[s].step->gate, gate_);
  want_start(s);
}

/// Puts the operation among those to start, unless its next attempt isn't due.
void machine::want_start(slot s) {
  operation& op = ops_[s];
  step_state& step = *op.step;
  if (!live_ || !takes_outcome(op) || exhausted_ || asks_people_ != 0) return;
  if (step.queued || step.running || step.noting || step.refused || step.next_due > clock_) return;
  if (is_away(step) || dangerous(op)) return;
  if (step.plan.on_crash == 2 && vanished(op)) {
    asks_people_ = s;
    return;
  }
  if (step.plan.on_crash == 1 && vanished(op)) {
    attempt_end end;
    end.how = attempt_end::how_t::failed;
    end.number = step.attempts + 1;
    end.why.set_type("crashed");
    end.why.set_code("FER-1106");
    end.why.set_message(
        "the worker went away during an attempt; whether it had an effect is unknown");
    end.why.set_retryable(false);
    return step_failed(s, end);
  }
  if (op.kind == operation_kind::step && !step.plan.queue.empty()) {
    step.queued = true;  // until the code stands: it may take the call back
    return extra().to_put.push_back(s);
  }
  if (step.plan.on_crash != 0) {
    event e = make(event_kind::attempt_started, op);
    pb::attempt& a = *e.details.mutable_attempt();
    a.set_number(step.attempts + 1);
    a.set_started_us(clock_);
    a.set_step(op.name);
    a.set_operation_kind(static_cast<int>(op.kind));
    produce(std::move(e));
    step.gate = produced_count_;
  }
  step.queued = true;
  starts_.push_back(s);
}

std::vector<attempt_start> machine::take_starts() {
  std::vector<attempt_start> out;
  if (exhausted_ || asks_people_ != 0 || mismatch_) return out;
  std::vector<slot> later;
  for (slot s : starts_) {
    operation& op = ops_[s];
    if (!op.is_work() || !op.step->queued || dangerous(op)) continue;
    if (op.step->gate > landed_ && !planted("attempt_before_its_note_is_durable")) {
      later.push_back(s);
      continue;
    }
    op.step->queued = false;
    op.step->running = true;
    retrying_.erase({op.step->next_due, s});
    attempt_start a;
    a.op = s;
    a.kind = op.kind;
    a.operation = op.id;
    a.name = op.name;
    a.key = key_of(op);
    if (planted("key_of_each_attempt")) a.key += std::to_string(op.step->attempts);
    a.undoes = op.step->undoes;
    a.number = op.step->attempts + (planted("attempts_not_counted") ? 0 : 1);
    a.input = op.input;
    a.plan = op.step->plan;
    a.alone = op.step->suspicions >= limits::unattributed_to_isolate;
    a.inherited = op.step->inherited;
    a.place = op.place;
    if (a.plan.give_up_after_ms > 0) {
      const std::int64_t left =
          std::max<std::int64_t>(1, a.plan.give_up_after_ms - (clock_ - op.issued_at) / 1000);
      a.plan.timeout_ms = a.plan.timeout_ms > 0 ? std::min(a.plan.timeout_ms, left) : left;
    }
    out.push_back(std::move(a));
  }
  starts_ = std::move(later);
  return out;
}

void machine::attempt_refused(slot s) {
  operation& op = ops_[s];
  if (!op.is_work() || !op.step->running) return;
  op.step->running = false;
  if (must_stop(op)) {
    stop(s);
    return end_unbegun();
  }
  op.step->refused = true;
  ++refused_;
  if (!op.step->started_noted) return;
  // It never began: nobody may take it for vanished.
  event e = make(event_kind::attempt_failed, op);
  pb::attempt& a = *e.details.mutable_attempt();
  a.set_number(op.step->attempts);
  a.mutable_why()->set_type("not_started");
  a.mutable_why()->set_message("this worker couldn't carry it out");
  a.set_step(op.name);
  a.set_operation_kind(static_cast<int>(op.kind));
  produce(std::move(e));
}

/// Not served here: it waits as between two attempts, until then or for another owner.
void machine::postpone(slot s, time_us until) {
  if (!ops_[s].is_work()) return;
  step_state& step = *ops_[s].step;
  if (std::exchange(step.refused, false)) --refused_;
  retrying_.erase({step.next_due, s});
  step.next_due = until;
  retrying_.emplace(until, s);
}

void machine::attempt_goes_on(slot s) {
  if (ops_[s].is_work()) ops_[s].step->running = true;
}

void machine::attempt_possible(slot s) {
  if (!ops_[s].is_work() || !std::exchange(ops_[s].step->refused, false)) return;
  --refused_;
  want_start(s);
}

event machine::outcome_of(slot s, int number, time_us started) const {
  return outcome_with(ops_[s], payload(ops_[s].input), number, started);
}

event machine::outcome_with(const operation& op, payload&& input, int number,
                            time_us started) const {
  event e = make(event_kind::step_completed, op);
  pb::step_outcome& o = *e.details.mutable_step();
  o.set_operation_kind(static_cast<int>(op.kind));
  o.set_input_hash(op.input_hash);
  o.set_input_type(input.type);
  o.set_attempts(number);
  o.set_started_us(started);
  const time_us first = op.step->first_started;
  if (first != 0 && first != started) o.set_first_started_us(first);
  if (input.present()) {
    if (input.bytes.size() <= options_.record_input_max)
      e.input = std::move(input);
    else
      o.set_input_left_out(true);
  }
  return e;
}

void machine::attempt_committed(slot s) {
  if (!ops_[s].is_work()) return;
  ops_[s].step->running = false;
  ops_[s].answered = true;
  ++outcomes_under_way_;
}

/// Late outcomes are refused: the operation is settled or abandoned, or has one under way.
bool machine::takes_outcome(const operation& op) const {
  const bool answered = op.answered && !planted("second_outcome");
  return op.how == settled::pending && !answered && !mismatch_ && !ended_ && !end_produced_ &&
         (!failing_ || op.undoes());
}

void machine::attempt_ended(slot s, attempt_end&& end) {
  operation& op = ops_[s];
  if (!op.is_work() || op.step->noting || !takes_outcome(op)) return;
  op.step->running = op.step->queued = false;
  // A failure that is known already changes nothing; a value is welcome whenever it comes.
  if (end.how == attempt_end::how_t::failed && end.number <= op.step->attempts)
    return want_start(s);
  if (op.step->first_started == 0) op.step->first_started = end.started;
  if (end.how == attempt_end::how_t::value) {
    event e = outcome_with(op, std::move(op.input), end.number, end.started);
    e.details.mutable_step()->set_result_type(end.value.type);
    e.value = std::move(end.value);
    op.answered = true;
    if (planted("outcome_delivered_before_it_is_durable")) settle(s, settled::value);
    return produce(std::move(e));
  }
  if (end.how == attempt_end::how_t::cancelled || must_stop(op)) {
    event e = outcome_of(s, end.number, end.started);
    e.kind = event_kind::step_cancelled;
    if (!end.why.message().empty()) *e.details.mutable_step()->mutable_why() = end.why;
    op.answered = true;
    return produce(std::move(e));
  }
  step_failed(s, end);
}

/// Full jitter (Brooker, "Exponential backoff and jitter", 2015): uniform between 0 and the delay.
/// Drawn from the run's seed; the note records it.
std::int64_t machine::retry_delay_ms(const operation& op, const attempt_end& end) const {
  if (end.retry_after_ms) return *end.retry_after_ms;
  const step_plan& plan = op.step->plan;
  const double grown =
      static_cast<double>(plan.first_delay_ms) * std::pow(plan.backoff, end.number - 1);
  const double bound = std::min(grown, static_cast<double>(plan.max_delay_ms));
  const std::uint64_t drawn = siphash24(seed_, fmt::format("{}!{}", op.id, end.number));
  return static_cast<std::int64_t>(bound * (static_cast<double>(drawn >> 11) * 0x1p-53));
}

void machine::step_failed(slot s, const attempt_end& end) {
  operation& op = ops_[s];
  const step_plan& plan = op.step->plan;
  const time_us next = later(clock_, retry_delay_ms(op, end));
  const int most = plan.max_attempts + (planted("retry_past_policy") ? 1 : 0);
  bool again = end.why.retryable() && end.number < most;
  pb::failure why = end.why;
  if (again && plan.give_up_after_ms > 0 && (next - op.issued_at) / 1000 > plan.give_up_after_ms) {
    again = false;
    why.set_message(fmt::format("gave up after {} ms and {} attempts; the last: {}",
                                plan.give_up_after_ms, end.number, end.why.message()));
  }
  if (!again && !op.undoes()) {
    event e = outcome_of(s, end.number, end.started);
    e.kind = event_kind::step_failed;
    *e.details.mutable_step()->mutable_why() = why;
    op.answered = true;
    return produce(std::move(e));
  }
  event e = make(event_kind::attempt_failed, op);
  pb::attempt& a = *e.details.mutable_attempt();
  a.set_number(end.number);
  *a.mutable_why() = why;
  a.set_next_due_us(again ? next : 0);
  a.set_started_us(end.started);
  a.set_step(op.name);
  a.set_operation_kind(static_cast<int>(op.kind));
  if (is_away(*op.step)) a.set_queue(op.step->task_queue.str());
  op.step->noting = true;
  produce(std::move(e));
}

void machine::deliver_step(event& what) {
  const slot s = expect(what);
  if (s == 0) return;
  if (what.kind == event_kind::step_completed) {
    ops_[s].value = std::move(what.value);
    settle(s, settled::value);
  } else if (what.kind == event_kind::step_cancelled) {
    settle(s, settled::cancelled);
  } else {
    fail(s, what.details.step().why());
  }
  if (failing_) go_on_ending();
}

void machine::deliver_attempt(const event& what) {
  if (what.operation.empty()) {
    if (what.kind == event_kind::attempt_crashed) ++code_crashes_;
    return;
  }
  const slot s = find(what.operation);
  if (s == 0 || !ops_[s].is_work() || (failing_ && !ops_[s].undoes())) return;
  if (what.kind == event_kind::attempt_crashed || what.kind == event_kind::suspicion)
    return deliver_crash(s, what);
  step_state& step = *ops_[s].step;
  if (what.kind == event_kind::attempt_started) {
    step.started_noted = true;
    if (!what.details.attempt().queue().empty()) task_is_put(s, what);
    return;
  }
  if (what.kind != event_kind::attempt_failed) return;
  const pb::attempt& a = what.details.attempt();
  step.started_noted = false;
  task_is_gone(s);
  if (a.number() <= step.attempts) {  // it was refused, or given back: it didn't fail
    if (!std::exchange(step.noting, false)) return;
    must_stop(ops_[s]) ? stop(s) : want_start(s);
    return take_postponed();
  }
  retrying_.erase({step.next_due, s});
  step.attempts = a.number();
  step.next_due = a.next_due_us();
  step.last_failure = a.why();
  step.crashes = step.suspicions = step.suspicions_alone = 0;
  step.noting = false;
  if (step.first_started == 0) step.first_started = a.started_us();
  if (step.next_due == 0) {
    exhausted_ = true;
    return;
  }
  retrying_.emplace(step.next_due, s);
  must_stop(ops_[s]) ? stop(s) : want_start(s);
  take_postponed();
}

}  // namespace fermata::engine
