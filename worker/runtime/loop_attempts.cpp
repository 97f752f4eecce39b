// SPDX-License-Identifier: Apache-2.0
// Attempts: from the machine's wish to the step's thread and back.
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "src/convert.hpp"
#include "worker/runtime/loop.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::runtime {

namespace {
constexpr std::int64_t unserved_again_us = 5'000'000;

bool is_local(engine::operation_kind kind) {
  return kind == engine::operation_kind::local || kind == engine::operation_kind::transaction;
}
}  // namespace

void run_loop::want_attempts(active& run) {
  engine::machine& machine = run.live->machine();
  for (const engine::slot op : machine.take_stops()) {
    auto found = run.attempts.find(machine.look(op).id);
    if (found == run.attempts.end()) continue;
    std::shared_ptr<live_attempt> a = found->second;
    a->stop();
    if (a->running) continue;
    std::erase(backlog_, a);
    engine::attempt_end end;
    end.how = engine::attempt_end::how_t::cancelled;
    end.number = a->attempt();
    report(run, *a, std::move(end));
  }
  for (engine::attempt_start& start : machine.take_starts()) {
    if (run.attempts.contains(start.operation)) continue;  // it goes on since before an eviction
    if (start.kind == engine::operation_kind::step && serves_.step(start.name) == nullptr) {
      not_served(run, start);
      continue;
    }
    const engine::slot slot = start.op;
    auto made = std::make_shared<live_attempt>(std::move(start), run.row.run, run.row.epoch, host_);
    made->slot = slot;
    run.attempts.emplace(made->start().operation, made);
    const auto place = std::upper_bound(
        backlog_.begin(), backlog_.end(), made->start().plan.priority,
        [](int priority, const auto& a) { return priority > a->start().plan.priority; });
    backlog_.insert(place, std::move(made));
  }
}

/// Another worker may serve it: the run is looked at again later, here or there.
void run_loop::not_served(active& run, const engine::attempt_start& what) {
  run.live->machine().attempt_refused(what.op);
  run.unserved = what.op;
  outside_.log(level::warning, fmt::format("run {} waits: no worker here serves step '{}'",
                                           run.row.run.text(), what.name));
  run.live->machine().postpone(what.op, now_ + unserved_again_us);
  out_of(run).changes.timers_set.push_back(
      {run.row.run, what.operation, now_ + unserved_again_us, engine::timer_purpose::retry});
}

void run_loop::dispatch() {
  if (backlog_.empty() && tasks_to_begin_.empty()) return;
  if (!may_begin() || !host_->has_lease()) return;
  std::vector<step_pool::task> tasks;
  dispatch_tasks(tasks);
  std::size_t taken = 0;
  for (; taken < backlog_.size() && tasks_to_begin_.empty(); ++taken) {
    std::shared_ptr<live_attempt> a = backlog_[taken];
    if (alone_ || lanes_[0].running >= lanes_[0].places) break;
    if (a->start().alone && !running_.empty()) break;
    auto found = runs_.find(a->run());
    if (found == runs_.end() || !found->second->live) continue;
    alone_ = a->start().alone;
    now_running(a);
    a->running = true;
    a->started = now_;
    if (is_journal_transaction(*a)) {
      if (is_local(a->start().kind)) {
        a->local = found->second->live->begin_body(a->slot);
        (void)a->enter_frame();
      }
      found->second->to_commit.push_back(a);
      want_append(*found->second);
      continue;
    }
    tasks.push_back(task_of(*found->second, std::move(a)));
  }
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (!tasks.empty()) outside_.execute(std::move(tasks));
}

bool run_loop::is_journal_transaction(const live_attempt& what) const {
  std::string_view database;
  if (what.start().kind == engine::operation_kind::transaction) {
    auto found = runs_.find(what.run());
    database = found->second->live->database_of(what.slot);
  } else if (what.start().kind == engine::operation_kind::step) {
    const auto* body =
        std::get_if<detail::transactional_body>(&serves_.step(what.start().name)->body);
    if (body == nullptr) return false;
    database = body->database;
  } else {
    return false;
  }
  const detail::connector* how = serves_.database(database);
  return how != nullptr && !*how;
}

/// Or from a little earlier, for a task that begins late: its owner counts from when it was taken.
void run_loop::time_from_now(live_attempt& a) {
  const std::int64_t late = std::max<std::int64_t>(0, store_.boot_now() - a.counts_from_us);
  const std::int64_t since = journal_.time().steady_now_us() - late;
  if (a.start().plan.timeout_ms > 0)
    check_by(a.deadline_us = since + a.start().plan.timeout_ms * 1000);
  a.begin_silence(since);
  if (a.start().plan.heartbeat_timeout_ms > 0)
    check_by(since + a.start().plan.heartbeat_timeout_ms * 1000);
}

step_pool::task run_loop::task_of(active& run, std::shared_ptr<live_attempt> a) {
  // An attempt that its process didn't survive isn't counted. A fresh run's first ones have none
  // before them: no statement for these.
  const bool taken_over = a->start().inherited && run.row.epoch > 1;
  if (a->attempt() > 1 || taken_over) {
    auto beat = store_.heartbeat(run.row.run, a->start().operation);
    if (beat.ok() && *beat) a->saved_beat = detail::to_sdk((*beat)->details);
  }
  if (is_local(a->start().kind)) a->local = run.live->begin_body(a->slot);
  time_from_now(*a);
  return body_of(std::move(a));
}

step_pool::task run_loop::body_of(std::shared_ptr<live_attempt> a) {
  // Nothing of the loop: it may be gone when the step comes back.
  return [to = mail_, a = std::move(a)]() mutable {
    attempt_host& host = a->host();
    const auto post = [](auto& box, const attempt_host& of, attempt_done&& done) {
      if (box->post(std::move(done))) of.wake();
    };
    attempt_done done;
    done.what = a;
    const bool in_time = (host.has_lease() || engine::planted("step_begins_without_a_lease")) &&
                         host.time().boot_now_us() < a->late_from_us;
    if (!in_time || (is_local(a->start().kind) && !a->enter_frame())) {
      done.refused = true;
      a->leave_frame();
      return post(to, host, std::move(done));
    }
    // It waited for its thread so long that it has failed meanwhile, or isn't wanted any more.
    if (a->stop_requested()) {
      done.problem = std::make_exception_ptr(cancelled("stopped before it began"));
      a->leave_frame();
      return post(to, host, std::move(done));
    }
    if (const auto* entry = host.serves().step(a->start().name);
        a->start().kind == engine::operation_kind::step &&
        std::holds_alternative<detail::async_body>(entry->body)) {
      const std::shared_ptr<void> io = host.io();
      if (!io) return;
      // The black box has it until it is done, on whichever thread.
      a->enter_box(host.box());
      std::get<detail::async_body>(entry->body)(
          io.get(), detail::to_sdk(a->take_input()), a->context(),
          [to, a, post](std::exception_ptr problem, detail::payload value) {
            a->leave_box();
            attempt_done later;
            later.what = a;
            later.problem = problem;
            if (!problem) later.value = detail::to_engine(std::move(value));
            post(to, a->host(), std::move(later));
          });
      return a->waits();
    }
    host.execute(*a, done);
    a->leave_frame();
    post(to, host, std::move(done));
  };
}

void run_loop::now_running(const std::shared_ptr<live_attempt>& a) {
  a->among_running = running_.size();
  running_.push_back(a);
  ++lanes_[a->lane].running;
}

void run_loop::no_longer_running(const live_attempt& a) {
  if (a.among_running >= running_.size() || running_[a.among_running].get() != &a) return;
  running_.back()->among_running = a.among_running;
  std::swap(running_[a.among_running], running_.back());
  running_.pop_back();
  --lanes_[a.lane].running;
}

void run_loop::finish(attempt_done&& done) {
  live_attempt& a = *done.what;
  no_longer_running(a);
  if (a.start().alone) alone_ = false;
  if (a.task() != nullptr) return finish_task(std::move(done));
  auto found = runs_.find(a.run());
  if (found == runs_.end() || a.answered) return;
  active& run = *found->second;
  if (!run.live && !load(run)) return;
  const bool dropped = !may_begin() && engine::planted("drain_drops_outcomes");
  if (dropped || (a.draining && done.problem)) {
    // It stays an attempt under way: a run without one would park, and nobody would look for it.
    // So it is this worker's until it leaves, and ready work then.
    a.answered = true;
    return;
  }
  if (done.refused) {
    a.answered = true;
    engine::machine& machine = run.live->machine();
    const engine::slot slot = machine.slot_of(a.start().operation);
    run.attempts.erase(a.start().operation);
    machine.attempt_refused(slot);
    machine.attempt_possible(slot);  // once the lease counts again, or with a new frame
    return mark(run);
  }
  if (done.problem && detail::is_undecodable_input(done.problem)) {
    a.answered = true;
    const std::string why = detail::failure_of(done.problem).message();
    run.attempts.erase(a.start().operation);
    return block(
        run, engine::attention::blocked,
        fmt::format("run {}: the input of step '{}' can't be read: {}; deploy a build whose "
                    "types can [{}]",
                    run.row.run.text(), a.start().name, why, codes::undecodable.code));
  }
  report(run, a, end_of(a, std::move(done)));
}

engine::attempt_end run_loop::end_of(const live_attempt& a, attempt_done&& done) const {
  engine::attempt_end end;
  end.number = a.attempt();
  end.started = a.started;
  if (!done.problem && done.value.bytes.size() > engine::limits::payload_max) {
    end.how = engine::attempt_end::how_t::failed;
    end.why.set_type("payload_too_large");
    end.why.set_code(std::string(codes::payload_too_large.code));
    end.why.set_message(fmt::format("the result of step '{}' has {} bytes, the limit is {}",
                                    a.start().name, done.value.bytes.size(),
                                    engine::limits::payload_max));
  } else if (!done.problem) {
    end.value = std::move(done.value);
  } else {
    std::int64_t retry_after = -1;
    end.why = detail::failure_of(done.problem, &retry_after);
    if (retry_after >= 0) end.retry_after_ms = retry_after;
    const bool stopped = a.stop_requested() && detail::is_cancelled(done.problem);
    end.how = stopped ? engine::attempt_end::how_t::cancelled : engine::attempt_end::how_t::failed;
  }
  return end;
}

void run_loop::report(active& run, live_attempt& a, engine::attempt_end&& end) {
  a.answered = true;
  const std::string operation = a.start().operation;
  engine::machine& machine = run.live->machine();
  machine.set_time(now_);
  const engine::slot slot = machine.slot_of(operation);
  run.attempts.erase(operation);
  if (slot != 0) machine.attempt_ended(slot, std::move(end));
  mark(run);
}

pb::failure run_loop::timed_out(std::string_view step, std::string_view why) {
  pb::failure told;
  told.set_type("timed_out");
  told.set_code(std::string(codes::timed_out.code));
  told.set_retryable(true);
  told.set_message(fmt::format("step '{}' {}", step, why));
  return told;
}

/// The attempt has failed, whether its thread comes back or not.
void run_loop::time_out(live_attempt& a, std::string_view why) {
  a.stop();
  engine::attempt_end end;
  end.how = engine::attempt_end::how_t::failed;
  end.number = a.attempt();
  end.started = a.started;
  end.why = timed_out(a.start().name, why);
  if (a.task() != nullptr) return report_task(a, std::move(end));
  auto found = runs_.find(a.run());
  if (found == runs_.end() || (!found->second->live && !load(*found->second))) {
    a.answered = true;
    return;
  }
  report(*found->second, a, std::move(end));
}

}  // namespace fermata::runtime
