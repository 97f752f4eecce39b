// SPDX-License-Identifier: Apache-2.0
// Remote steps, from both sides: tasks that this worker executes for others' runs (or its own), and
// what it looks after of those that its runs have put.
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/store/tasks.hpp"
#include "src/convert.hpp"
#include "worker/runtime/loop.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::runtime {

// ---- executing ----

std::vector<engine::task_room> run_loop::rooms() const {
  if (!tasks_to_begin_.empty()) return {};  // one waits to be alone, or for the lease
  std::vector<int> left;
  for (const lane& one : lanes_) left.push_back(one.places - one.running);
  left[0] -= static_cast<int>(backlog_.size());  // of the worker's own runs: they go first
  std::vector<engine::task_room> free;
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    if (!lanes_[i].queues.empty() && left[i] > 0) free.push_back({lanes_[i].queues, left[i]});
  return free;
}

std::vector<engine::task_name> run_loop::holds() const {
  std::vector<engine::task_name> names;
  for (const auto& [key, a] : tasks_)
    if (!a->answered && !a->stop_requested()) names.push_back(engine::name_of(*a->task()));
  return names;
}

/// Of a claim that was sent then, by CLOCK_BOOTTIME. 0: they are found now, and were taken some time ago,
/// which the store's clock alone tells.
void run_loop::take_tasks(std::vector<engine::task_row>&& tasks, std::int64_t sent) {
  for (engine::task_row& task : tasks) {
    const std::int64_t age = std::max<std::int64_t>(0, store_.now() - task.taken);
    take_task(std::move(task), sent != 0 ? sent : store_.boot_now() - age);
  }
  if (!tasks.empty()) {
    const std::int64_t steady = journal_.time().steady_now_us();
    next_look_ = std::min(next_look_, steady + engine::limits::renew_ms * 1000);
    dispatch();
  }
}

/// `taken`: then or later, by CLOCK_BOOTTIME. Its run's owner gives it up `late_task_ms` after a time-out that
/// counts from there, or when all its time is over; before that it must have begun here, or not at all.
void run_loop::take_task(engine::task_row&& task, std::int64_t taken) {
  engine::attempt_start start;
  start.operation = task.operation;
  start.name = task.step;
  start.key = task.key;
  start.undoes = task.undoes;
  start.number = task.attempt;
  start.input = std::move(task.input);
  start.alone = task.alone;
  start.plan.heartbeat_timeout_ms = task.heartbeat_timeout_ms;
  start.plan.timeout_ms = task.timeout_ms;
  std::int64_t late_from = INT64_MAX;
  const std::int64_t counts_from = taken + engine::limits::task_begins_ms * 1000;
  for (const std::int64_t patience_ms : {task.timeout_ms, task.heartbeat_timeout_ms})
    if (patience_ms > 0) late_from = std::min(late_from, counts_from + patience_ms * 1000);
  if (task.give_up_at != 0) {
    late_from = std::min(late_from, store_.boot_now() + task.give_up_at - now_);
    const std::int64_t left = std::max<std::int64_t>(1, (task.give_up_at - now_) / 1000);
    start.plan.timeout_ms = task.timeout_ms > 0 ? std::min(task.timeout_ms, left) : left;
  }
  auto made = std::make_shared<live_attempt>(std::move(start), task, host_);
  made->counts_from_us = counts_from;
  if (!engine::planted("late_task_begins")) made->late_from_us = late_from;
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    if (std::find(lanes_[i].queues.begin(), lanes_[i].queues.end(), task.queue) !=
        lanes_[i].queues.end())
      made->lane = i;
  ++held_;
  tasks_.emplace(key_of(engine::name_of(task)), made);
  if (is_journal_transaction(*made)) {
    engine::attempt_end end;
    end.how = engine::attempt_end::how_t::failed;
    end.number = made->attempt();
    end.why.set_type("not_in_this_version");
    end.why.set_code(std::string(codes::not_in_this_version.code));
    end.why.set_message(
        fmt::format("step '{}' is a transaction in the journal, which only the worker of its run "
                    "can make: call it without a queue [{}]",
                    made->start().name, codes::not_in_this_version.code));
    return report_task(*made, std::move(end));
  }
  tasks_to_begin_.push_back(std::move(made));
}

void run_loop::dispatch_tasks(std::vector<step_pool::task>& to) {
  std::vector<std::shared_ptr<live_attempt>> later;
  for (std::shared_ptr<live_attempt>& a : std::exchange(tasks_to_begin_, {})) {
    if (a->answered) continue;
    // Behind one that has to be alone nothing begins, or it would wait for ever.
    if (!later.empty() || alone_ || (a->start().alone && !running_.empty())) {
      later.push_back(std::move(a));
      continue;
    }
    auto beat = store_.heartbeat(a->run(), a->start().operation);
    if (beat.ok() && *beat && (*beat)->details.present())
      a->saved_beat = detail::to_sdk((*beat)->details);
    if (store_.boot_now() >= a->late_from_us) {
      outside_.log(
          level::warning,
          fmt::format("run {}: attempt {} of step '{}' (operation {}) could not begin in "
                      "time, and is given back",
                      a->run().text(), a->attempt(), a->start().name, a->start().operation));
      not_begun(*a);
      continue;
    }
    alone_ = a->start().alone;
    now_running(a);
    a->running = true;
    a->started = now_;
    time_from_now(*a);
    to.push_back(body_of(std::move(a)));
  }
  tasks_to_begin_ = std::move(later);
}

/// Withdrawn, or taken back: what it says is reported all the same, and refused where it is too late.
void run_loop::stop_task(const engine::task_name& name) {
  const auto found = tasks_.find(key_of(name));
  if (found == tasks_.end()) return;
  live_attempt& a = *found->second;
  a.stop();
  if (a.running || a.answered) return;
  std::erase(tasks_to_begin_, found->second);
  not_begun(a);
}

/// Its run's owner doesn't count it as an attempt.
void run_loop::not_begun(live_attempt& a) {
  engine::attempt_end end;
  end.how = engine::attempt_end::how_t::cancelled;
  end.number = a.attempt();
  report_task(a, std::move(end));
}

void run_loop::finish_task(attempt_done&& done) {
  live_attempt& a = *done.what;
  if (a.answered) return;
  if (a.draining && done.problem) {
    a.answered = true;  // given back when the worker leaves
    return;
  }
  if (done.refused) {
    a.running = false;
    tasks_to_begin_.push_back(std::move(done.what));  // until the lease counts again
    return;
  }
  const bool unreadable = done.problem && detail::is_undecodable_input(done.problem);
  engine::attempt_end end = end_of(a, std::move(done));
  if (unreadable) {
    end.why.set_retryable(true);  // another worker's build may know the type
    end.why.set_message(fmt::format("the input of step '{}' can't be read: {} [{}]", a.start().name,
                                    end.why.message(), codes::undecodable.code));
  }
  report_task(a, std::move(end));
}

void run_loop::report_task(live_attempt& a, engine::attempt_end&& end) {
  using how = engine::attempt_end::how_t;
  const engine::task_end as = end.how == how::value    ? engine::task_end::value
                              : end.how == how::failed ? engine::task_end::failed
                                                       : engine::task_end::cancelled;
  engine::message told = engine::outcome_of(*a.task(), as);
  pb::task_ended& said = *told.details.mutable_task_end();
  said.set_started_us(end.started);
  if (end.how != how::value) *said.mutable_why() = std::move(end.why);
  if (end.retry_after_ms) said.set_retry_after_ms(*end.retry_after_ms);
  told.value = std::move(end.value);
  a.answered = true;
  to_finish_.push_back({engine::name_of(*a.task()), std::move(told)});
}

void run_loop::take_finished(const commit_answer& what) {
  for (std::size_t i = 0; i < what.finishes.size(); ++i) {
    auto node = tasks_.extract(what.finishes[i]);
    if (node.empty()) continue;
    const live_attempt& a = *node.mapped();
    --held_;
    poked_ = true;  // its run may be this worker's; there may be more tasks
    if (what.answer->finished[i] == engine::finish_result::gone)
      outside_.log(a.stop_requested() ? level::info : level::warning,
                   fmt::format("run {}: what attempt {} of step '{}' (operation {}) came to is too "
                               "late: its task was taken back, or the run has ended",
                               a.run().text(), a.attempt(), a.start().name, a.start().operation));
  }
}

/// A claim whose answer was an error may have taken some all the same.
void run_loop::find_lost_tasks() {
  auto held = store_.held_tasks(worker_);
  if (!held.ok()) {
    claim_failed_ = true;
    return;
  }
  std::erase_if(*held, [this](const engine::task_row& task) {
    return tasks_.contains(key_of(engine::name_of(task)));
  });
  take_tasks(std::move(*held), 0);
}

// ---- looking after ----

/// The timer of a task is due. Its worker reports a time-out by itself, if it can.
void run_loop::look_after(active& run, const engine::timer_row& due) {
  engine::machine& machine = run.live->machine();
  const engine::slot op = machine.slot_of(due.operation);
  const auto tasks = store_.tasks(run.row.run);
  if (op == 0 || !tasks.ok()) return;
  const auto found = std::find_if(tasks->begin(), tasks->end(), [&](const engine::task_row& t) {
    return t.operation == due.operation;
  });
  if (found == tasks->end()) return;
  const engine::task_row& task = *found;
  const engine::time_us at = engine::due_of(task);
  if (at == 0 || at > now_) return;  // it has moved: a heartbeat came
  engine::attempt_end end;
  end.how = engine::attempt_end::how_t::failed;
  end.number = task.attempt;
  end.started = task.taken;
  const engine::time_us late_us = engine::limits::late_task_ms * 1000;
  const bool over = task.give_up_at != 0 && task.give_up_at <= now_;
  const bool took_long = task.timeout_ms > 0 && task.taken != 0 &&
                         task.taken + task.timeout_ms * 1000 + late_us <= now_;
  end.why = timed_out(task.step,
                      over && task.taken == 0
                          ? fmt::format("waited in queue '{}' until its time was over", task.queue)
                      : over      ? std::string("wasn't finished within all the time it had")
                      : took_long ? fmt::format("took longer than {} ms", task.timeout_ms)
                                  : fmt::format("was silent for {} ms", task.heartbeat_timeout_ms));
  machine.task_late(op, std::move(end));
}

/// Out by the journal, and neither in its queue nor executed nor answered: as after a copy of the
/// journal's first part, which has the note and not the task.
void run_loop::find_missing_tasks(active& run, const engine::claimed& found) {
  engine::machine& machine = run.live->machine();
  for (const auto& [op, epoch] : machine.tasks_away()) {
    if (epoch == 0 || epoch > found.head.position) continue;
    const engine::task_name name{run.row.run, machine.look(op).id, epoch};
    const bool there = std::find(found.tasks.begin(), found.tasks.end(), name) != found.tasks.end();
    const bool told =
        std::any_of(found.inbox.begin(), found.inbox.end(), [&](const engine::message& m) {
          return m.kind == engine::message_kind::step_outcome && m.operation == name.operation &&
                 m.details.task_end().epoch() == epoch;
        });
    if (!there && !told) machine.task_missing(op);
  }
}

}  // namespace fermata::runtime
