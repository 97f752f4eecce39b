// SPDX-License-Identifier: Apache-2.0
// A step on a queue of its own: its attempt is a task, put with the note that it begins, executed by
// whoever serves the queue, and answered by a message. What follows is decided here alone.
//
//   asked ──attempt_started, task──▶ away ──value──▶ step_completed
//     ▲                               │ failed       attempt_failed (or step_failed)
//     └───────────────────────────────┤ lost         attempt_crashed, suspicion
//                                     └ given back   attempt_failed under the number before
#include "engine/limits.hpp"
#include "engine/replay/machine.hpp"
#include "engine/utf8.hpp"

namespace fermata::engine {

void machine::put_tasks() {
  for (const slot s : taken(&extras::to_put)) {
    if (!ops_[s].is_work() || !std::exchange(ops_[s].step->queued, false)) continue;
    if (takes_outcome(ops_[s]) && !exhausted_ && asks_people_ == 0) put_task(s);
  }
}

void machine::put_task(slot s) {
  operation& op = ops_[s];
  step_state& step = *op.step;
  task_row task;
  task.run = options_.run;
  task.chain = options_.chain;
  task.space = options_.space;
  task.operation = op.id;
  task.attempt = step.attempts + 1;
  task.queue = step.plan.queue;
  task.priority = step.plan.priority;
  task.not_before = clock_;
  task.step = op.name;
  task.input = op.input;
  task.key = key_of(op);
  task.undoes = step.undoes;
  task.timeout_ms = step.plan.timeout_ms;
  task.heartbeat_timeout_ms = step.plan.heartbeat_timeout_ms;
  if (step.plan.give_up_after_ms > 0)
    task.give_up_at = later(op.issued_at, step.plan.give_up_after_ms);
  task.alone = step.suspicions >= limits::unattributed_to_isolate;

  produced made;
  made.what = make(event_kind::attempt_started, op);
  pb::attempt& a = *made.what.details.mutable_attempt();
  a.set_number(task.attempt);
  a.set_step(op.name);
  a.set_operation_kind(static_cast<int>(op.kind));
  a.set_queue(task.queue);
  a.set_alone(task.alone);
  made.task = std::move(task);
  retrying_.erase({step.next_due, s});
  step.putting = true;
  step.task_queue = std::string_view(step.plan.queue);
  task_put_ = true;
  ++away_;
  produce(std::move(made));
}

void machine::task_is_put(slot s, const event& what) {
  step_state& step = *ops_[s].step;
  if (!is_away(step)) ++away_;
  retrying_.erase({step.next_due, s});
  step.putting = false;
  step.withdrawn = false;
  step.task = what.position;
  step.task_queue = std::string_view(what.details.attempt().queue());
  task_put_ = true;
  if (must_stop(ops_[s])) stop(s);
  take_postponed();
}

void machine::task_is_gone(slot s) {
  step_state& step = *ops_[s].step;
  if (!is_away(step)) return;
  step.putting = false;
  step.task = 0;
  --away_;
}

/// Who executes it is told by its store; what it says then is awaited. One that is being put is
/// withdrawn once it is there.
void machine::withdraw_task(slot s) {
  step_state& step = *ops_[s].step;
  if (step.task == 0 || std::exchange(step.withdrawn, true)) return;
  extra().tasks_withdrawn.push_back(ops_[s].id);
}

std::vector<std::pair<slot, std::uint64_t>> machine::tasks_away() const {
  std::vector<std::pair<slot, std::uint64_t>> found;
  if (away_ == 0) return found;
  for (slot s = first_pending_; s < ops_.size(); ++s)
    if (ops_[s].is_work() && is_away(*ops_[s].step)) found.emplace_back(s, ops_[s].step->task);
  return found;
}

void machine::take_task_end(const message& what) {
  const slot s = find(what.operation);
  if (s == 0 || !ops_[s].is_work() || !takes_outcome(ops_[s])) {
    extra().dropped.push_back(what.seq);
    return;
  }
  // What is being written about it comes first.
  if (ops_[s].step->noting || ops_[s].step->putting) return extra().postponed.push_back(what);
  consuming_ = what.seq;
  task_ended(s, what);
  if (std::exchange(consuming_, 0) != 0) extra().dropped.push_back(what.seq);
}

void machine::take_postponed() {
  for (const message& what : taken(&extras::postponed)) receive(what);
}

void machine::task_ended(slot s, const message& what) {
  const pb::task_ended& said = what.details.task_end();
  operation& op = ops_[s];
  const bool late = op.step->task != said.epoch();
  attempt_end end;
  end.number = said.attempt();
  end.started = said.started_us();
  switch (static_cast<task_end>(said.how())) {
    case task_end::value:
      // Welcome whenever it comes; an attempt that was put since isn't needed any more.
      if (late && is_away(*op.step)) extra().tasks_gone.push_back(op.id);
      end.value = what.value;
      return attempt_ended(s, std::move(end));
    case task_end::failed:
      if (late) return;
      end.how = attempt_end::how_t::failed;
      end.why = said.why();
      if (said.has_retry_after_ms()) end.retry_after_ms = said.retry_after_ms();
      return attempt_ended(s, std::move(end));
    case task_end::cancelled:
    case task_end::given_back:
    case task_end::lost:
      if (late) return;
      if (!must_stop(op)) return note_lost(s, said, said.started_us() != 0);
      end.how = attempt_end::how_t::cancelled;
      if (said.started_us() == 0) end.number = op.step->attempts;  // it hadn't begun
      return attempt_ended(s, std::move(end));
  }
}

/// Its worker is gone, or has given it back. `in_doubt`: it may have had an effect.
void machine::note_lost(slot s, const pb::task_ended& end, bool in_doubt) {
  operation& op = ops_[s];
  step_state& step = *op.step;
  const bool lost = static_cast<task_end>(end.how()) == task_end::lost;
  const bool counts = lost || (in_doubt && step.plan.on_crash != 0);
  event e = make(!counts             ? event_kind::attempt_failed
                 : end.signal() != 0 ? event_kind::attempt_crashed
                                     : event_kind::suspicion,
                 op);
  pb::attempt& a = *e.details.mutable_attempt();
  a.set_number(counts ? step.attempts + 1 : step.attempts);
  a.set_step(op.name);
  a.set_operation_kind(static_cast<int>(op.kind));
  a.set_queue(step.task_queue.str());
  a.set_worker(as_utf8(end.worker()));
  if (counts) {
    a.set_signal(end.signal());
    a.set_backtrace(as_utf8(end.backtrace()));
    a.set_alone(end.alone());
  } else {
    a.mutable_why()->set_type("given_back");
    a.mutable_why()->set_message("its worker gave it back");
  }
  step.noting = true;
  produce(std::move(e));
}

void machine::task_late(slot s, attempt_end&& end) {
  operation& op = ops_[s];
  if (!live_ || !op.is_work() || op.step->task == 0 || op.step->noting || !takes_outcome(op))
    return;
  extra().tasks_gone.push_back(op.id);
  attempt_ended(s, std::move(end));
}

void machine::task_missing(slot s) {
  operation& op = ops_[s];
  if (!live_ || !op.is_work() || op.step->task == 0 || op.step->noting || !takes_outcome(op))
    return;
  pb::task_ended end;
  end.set_how(static_cast<int>(task_end::given_back));
  note_lost(s, end, true);
}

}  // namespace fermata::engine
