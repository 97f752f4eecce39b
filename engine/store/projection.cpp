// SPDX-License-Identifier: Apache-2.0
#include "engine/store/projection.hpp"

#include "engine/planted.hpp"
#include "engine/utf8.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

// README.md has the table of what each event means.
namespace fermata::engine {
namespace {

/// Stores apply removals before settings, so a setting takes the removal's place and the other way
/// round: whichever came later is what is left.
void set_timer(run_changes& changes, timer_row timer) {
  std::erase(changes.timers_removed, timer.operation);
  std::erase_if(changes.timers_set,
                [&](const timer_row& other) { return other.operation == timer.operation; });
  changes.timers_set.push_back(std::move(timer));
}

void remove_timer(run_changes& changes, const std::string& operation) {
  std::erase_if(changes.timers_set,
                [&](const timer_row& other) { return other.operation == operation; });
  if (std::ranges::find(changes.timers_removed, operation) == changes.timers_removed.end()) {
    changes.timers_removed.push_back(operation);
  }
}

void remove_all_timers(run_changes& changes) {
  changes.timers_set.clear();
  changes.timers_removed.clear();
  changes.all_timers_removed = true;
}

/// "payment_declined: card expired", on one line.
std::string one_line(const pb::failure& why) {
  std::string text = why.type();
  if (!text.empty() && !why.message().empty()) text += ": ";
  text += why.message();
  std::ranges::replace_if(text, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

void fold_start(const run_id& run, const event& what, run_changes& changes) {
  const pb::started& started = what.details.started();
  changes.state = run_state::running;
  if (started.deadline_us() != 0) {
    set_timer(changes, {run, "", started.deadline_us(), timer_purpose::deadline});
  }
  for (const auto& [name, value] : started.tags()) changes.tags[name] = value;
}

void fold_end(const event& what, run_state state, run_changes& changes) {
  changes.state = state;
  changes.ended = what.at;
  changes.error = one_line(what.details.ended().why());
  remove_all_timers(changes);
}

void fold_retry(const run_id& run, const event& what, run_changes& changes) {
  const time_us due = what.details.attempt().next_due_us();
  if (due != 0) set_timer(changes, {run, what.operation, due, timer_purpose::retry});
}

timer_row timer_of(const run_id& run, const event& what) {
  const pb::timer_set& timer = what.details.timer();
  const auto purpose = timer.purpose() == 1 ? timer_purpose::patience : timer_purpose::sleep;
  return {run, what.operation, timer.due_us(), purpose};
}

run_state state_after(event_kind end) {
  switch (end) {
    case event_kind::run_completed:
      return run_state::completed;
    case event_kind::run_failed:
      return run_state::failed;
    case event_kind::run_cancelled:
      return run_state::cancelled;
    case event_kind::run_continued:
      return run_state::continued;
    case event_kind::run_expired:
      return run_state::expired;
    default:
      return run_state::terminated;
  }
}

}  // namespace

void fold_changes(const run_id& run, const event& what, run_changes& changes) {
  switch (what.kind) {
    case event_kind::run_started:
      return fold_start(run, what, changes);
    case event_kind::failing:
      changes.state = run_state::compensating;
      return;

    case event_kind::timer_set:
      return set_timer(changes, timer_of(run, what));
    case event_kind::timer_fired:
      if (planted("fired_timer_stays")) return;
      return remove_timer(changes, what.operation);
    case event_kind::cancel_requested:
      return remove_timer(changes, what.details.cancel_request().target());
    case event_kind::attempt_failed:
    case event_kind::attempt_crashed:
      return fold_retry(run, what, changes);
    case event_kind::step_completed:
    case event_kind::step_failed:
    case event_kind::step_cancelled:
      if (what.details.step().attempts() > 1) remove_timer(changes, what.operation);
      return;

    case event_kind::cancel_received:
      // The run's deadline passed: its timer, whose operation is empty, has fired.
      if (what.details.cancel().by() == "deadline") remove_timer(changes, "");
      return;

    case event_kind::tagged:
      changes.tags[what.name] = what.value.bytes;
      return;
    case event_kind::published:
      changes.published[what.name] = what.position;
      return;

    case event_kind::child_started:
    case event_kind::marker:
    case event_kind::signal_sent:
    case event_kind::compensation_registered:
    case event_kind::signal_received:
    case event_kind::child_completed:
    case event_kind::child_failed:
    case event_kind::step_scheduled:
    case event_kind::attempt_started:
    case event_kind::suspicion:
    case event_kind::owner_changed:
    case event_kind::operator_act:
      return;

    case event_kind::run_completed:
    case event_kind::run_failed:
    case event_kind::run_cancelled:
    case event_kind::run_terminated:
    case event_kind::run_continued:
    case event_kind::run_expired:
      return fold_end(what, state_after(what.kind), changes);
  }
}

event make_start_event(const start_request& request, time_us now, epoch_t epoch,
                       std::string_view build) {
  event start{.position = 1, .kind = event_kind::run_started, .epoch = epoch, .at = now};
  start.name = request.workflow;
  start.value = request.input;

  const auto put = [](std::string* to, const ulid& id) {
    if (!id.empty()) to->assign(id.view());
  };
  pb::started& started = *start.details.mutable_started();
  put(started.mutable_chain(), request.chain);
  started.set_seed(request.seed);
  put(started.mutable_origin(), request.origin);
  put(started.mutable_parent(), request.parent);
  put(started.mutable_parent_chain(), request.parent_chain);
  started.set_parent_operation(request.parent_operation);
  started.set_close_policy(request.close_policy);
  started.set_tenant(as_utf8(request.space));
  started.set_queue(as_utf8(request.queue));
  started.set_priority(request.priority);
  started.set_deadline_us(request.deadline);
  started.set_key(as_utf8(request.key));
  for (const auto& [name, value] : request.tags)
    (*started.mutable_tags())[as_utf8(name)] = as_utf8(value);
  started.set_build(as_utf8(build));
  started.set_format_level(1);
  started.set_traceparent(as_utf8(request.traceparent));
  started.set_input_type(request.input.type);
  started.set_requested_us(request.requested);
  put(started.mutable_previous_run(), request.previous_run);
  if (!request.previous_run.empty()) {
    started.set_previous_hash(request.previous_hash.data(), request.previous_hash.size());
  }
  return start;
}

run_row row_of_start(const start_request& request, const event& start) {
  run_row row;
  row.run = request.run;
  row.chain = request.chain;
  row.space = request.space;
  row.workflow = request.workflow;
  row.key = request.key;
  row.queue = request.queue;
  row.priority = request.priority;
  row.parent = request.parent;
  row.parent_chain = request.parent_chain;
  row.parent_operation = request.parent_operation;
  row.close_policy = request.close_policy;
  row.origin = request.origin;
  row.build = start.details.started().build();
  row.requested = request.requested;
  row.started = start.at;
  row.deadline = request.deadline;
  row.not_before = request.not_before;
  row.tags = request.tags;
  row.state = run_state::running;
  row.epoch = start.epoch;
  row.updated = start.at;
  return row;
}

run_row row_of_request(const start_request& request) {
  run_row row = row_of_start(request, event{});
  row.started = 0;
  row.epoch = 0;
  row.state = run_state::waiting_to_start;
  row.updated = request.requested;
  return row;
}

void merge_changes(run_changes& changes, const run_changes& more) {
  if (more.state) changes.state = more.state;
  if (more.ended) changes.ended = more.ended;
  if (more.error) changes.error = more.error;
  if (more.all_timers_removed) remove_all_timers(changes);
  for (const std::string& operation : more.timers_removed) remove_timer(changes, operation);
  for (const timer_row& timer : more.timers_set) set_timer(changes, timer);
  for (const auto& [name, value] : more.tags) changes.tags[name] = value;
  for (const auto& [name, position] : more.published) changes.published[name] = position;
}

}  // namespace fermata::engine
