// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/order.hpp"

#include "tests/attack/power/disk.hpp"

#include "engine/store/projection.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace fermata::attack::power {

using namespace fermata::engine;

namespace {

constexpr time_us sleep_us = 5'000'000;
constexpr std::size_t too_large_for_a_row = 17'000;

event of(event_kind kind, std::string operation = "", std::string name = "") {
  event what;
  what.kind = kind;
  what.operation = std::move(operation);
  what.name = std::move(name);
  what.place = "orders.cpp:41";
  return what;
}

event completed(std::string operation, std::string name, int attempts, std::string_view result) {
  event what = of(event_kind::step_completed, std::move(operation), std::move(name));
  what.details.mutable_step()->set_attempts(attempts);
  what.value = text_payload(result);
  return what;
}

event with_value(event what, std::string_view value) {
  what.value = text_payload(value);
  return what;
}

append blank(const pen& run) {
  append what;
  what.run = run.run;
  what.chain = run.chain;
  what.row = run.row;
  what.epoch = run.epoch;
  what.after = run.last.position;
  what.after_hash = run.last.hash;
  return what;
}

append write(const pen& run, const moment& at, std::vector<event> events) {
  append what = blank(run);
  head last = run.last;
  for (event& one : events) {
    one.position = ++last.position;
    one.epoch = run.epoch;
    one.at = at.now;
    fold_changes(run.run, one, what.changes);
    const auto salt = at.chance.salt16();
    what.events.push_back(encode(run.run, last.hash, one, {salt.data(), salt.size()}));
    last.hash = what.events.back().chain;
  }
  return what;
}

append park(const pen& run, std::string waits) {
  append what = blank(run);
  what.then = then::park;
  what.looked = true;
  what.waits = std::move(waits);
  return what;
}

const message* find(const pen& run, message_kind kind) {
  for (const message& one : run.inbox)
    if (one.kind == kind) return &one;
  return nullptr;
}

append first_steps(const pen& run, const moment& at) {
  append what = write(run, at,
                      {completed("1", "charge", 1, result_of_first_step(run.run)),
                       with_value(of(event_kind::tagged, "2", "state"), "paid"),
                       with_value(of(event_kind::published, "3", "total"), "42 EUR")});
  what.logs.push_back({.run = run.run,
                       .position = run.last.position,
                       .at = at.now,
                       .text = "paid",
                       .place = "orders.cpp:42"});
  what.status = "paid";
  return what;
}

append sleeps(const pen& run, const moment& at) {
  event what = of(event_kind::timer_set, "4");
  what.details.mutable_timer()->set_due_us(at.now + sleep_us);
  return write(run, at, {what});
}

append receives(const pen& run, const moment& at, const message& signal) {
  event what = with_value(of(event_kind::signal_received, "5", signal.name), signal.value.bytes);
  what.details.mutable_signal()->set_message(std::string(signal.id.view()));
  append made = write(run, at, {what});
  made.consumed.push_back(signal.seq);
  return made;
}

append starts_child(const pen& run, const moment& at) {
  start_request child;
  child.run = child_run_id(run.run, "6", 0);
  child.chain = child.run;
  child.origin = child.run;
  child.seed = std::string(16, 'c');
  child.workflow = "ship";
  child.input = text_payload("parcel");
  child.requested = at.now;
  child.parent = run.run;
  child.parent_chain = run.chain;
  child.parent_operation = "6";
  event what = of(event_kind::child_started, "6", "ship");
  what.details.mutable_child()->set_child(std::string(child.run.view()));
  append made = write(run, at, {what});
  made.children.push_back(std::move(child));
  return made;
}

/// Puts an attempt at the step on a queue, behind what is said before.
append puts_task(const pen& run, const moment& at, std::vector<event> events) {
  task_row task;
  task.run = run.run;
  task.chain = run.chain;
  task.operation = "7";
  task.attempt = run.known.failed + 1;
  if (!events.empty() && events.back().kind == event_kind::attempt_failed) ++task.attempt;
  task.queue = "gpu";
  task.step = "render";
  task.not_before = at.now;
  task.input = text_payload("picture, please");
  task.key = idempotency_key(run.run, "7", "render");
  event began = of(event_kind::attempt_started, "7", "render");
  began.details.mutable_attempt()->set_number(task.attempt);
  began.details.mutable_attempt()->set_queue("gpu");
  events.push_back(began);
  append made = write(run, at, std::move(events));
  task.epoch = made.events.back().position;
  made.tasks.push_back(std::move(task));
  return made;
}

append hears_child(const pen& run, const moment& at, const message& end) {
  event what = of(event_kind::child_completed, "6", "ship");
  *what.details.mutable_child_end() = end.details.child_end();
  append made = puts_task(run, at, {what});
  made.consumed.push_back(end.seq);
  return made;
}

append hears_step(const pen& run, const moment& at, const message& outcome) {
  const auto how = static_cast<task_end>(outcome.details.task_end().how());
  append made;
  if (how == task_end::value) {
    made = write(run, at, {completed("7", "render", run.known.failed + 1, outcome.value.bytes)});
  } else {
    event failed = of(event_kind::attempt_failed, "7", "render");
    failed.details.mutable_attempt()->set_number(run.known.failed + 1);
    failed.details.mutable_attempt()->set_queue("gpu");
    made = puts_task(run, at, {failed});
  }
  made.consumed.push_back(outcome.seq);
  return made;
}

append ends(const pen& run, const moment& at) {
  append what = write(run, at, {with_value(of(event_kind::run_completed), "done")});
  what.then = then::end;
  if (run.parent.empty()) return what;
  message told;
  told.id = message_id::of(child_run_id(run.run, "end", 0));
  told.to = run.parent_chain;
  told.kind = message_kind::child_ended;
  told.operation = "6";
  told.sender = run.run;
  told.details.mutable_child_end()->set_child(std::string(run.run.view()));
  told.details.mutable_child_end()->set_state(static_cast<int>(run_state::completed));
  told.details.mutable_child_end()->set_message(std::string(told.id.view()));
  what.messages.push_back(std::move(told));
  return what;
}

append next_of_order(const pen& run, const moment& at) {
  const journal_facts& known = run.known;
  const message* signal = find(run, message_kind::signal);
  const message* end = find(run, message_kind::child_ended);
  const message* outcome = find(run, message_kind::step_outcome);
  if (known.rendered) return ends(run, at);
  if (!known.paid) return first_steps(run, at);
  if (!known.timer_set) return sleeps(run, at);
  if (signal != nullptr) return receives(run, at, *signal);
  if (!known.timer_fired) {
    if (at.now >= known.due) return write(run, at, {of(event_kind::timer_fired, "4")});
    return park(run, "timer 4");
  }
  if (!known.signalled) return park(run, "signal go");
  if (!known.child_started) return starts_child(run, at);
  if (end != nullptr) return hears_child(run, at, *end);
  if (!known.child_ended) return park(run, "child 6");
  if (outcome != nullptr) return hears_step(run, at, *outcome);
  return park(run, "step 7");
}

}  // namespace

ulid id_of(std::uint64_t number) {
  dice chance(number);
  std::array<std::uint8_t, 10> random;
  for (std::uint8_t& one : random) one = static_cast<std::uint8_t>(chance.next());
  return ulid::make(1'704'067'200'000'000 + static_cast<time_us>(number % 1'000) * 1'000, random);
}

run_id order_id(std::uint64_t seed, int number) {
  return run_id::of(id_of(seed * 1'000 + static_cast<std::uint64_t>(number)));
}

payload text_payload(std::string_view bytes) {
  return {.bytes = std::string(bytes), .content_type = "text/plain", .type = 1};
}

std::string result_of_first_step(const run_id& run) {
  dice chance(run.bytes[15]);
  if (run.bytes[15] % 2 == 0) return "charged";
  std::string bytes(too_large_for_a_row, ' ');  // and of chance, so that it can't be compressed
  for (char& one : bytes) one = static_cast<char>(chance.next());
  return bytes;
}

void journal_facts::take(const event& what) {
  switch (what.kind) {
    case event_kind::step_completed:
      (what.operation == "1" ? paid : rendered) = true;
      break;
    case event_kind::timer_set:
      timer_set = true;
      due = what.details.timer().due_us();
      break;
    case event_kind::timer_fired:
      timer_fired = true;
      break;
    case event_kind::signal_received:
      signalled = true;
      break;
    case event_kind::child_started:
      child_started = true;
      break;
    case event_kind::child_completed:
      child_ended = true;
      break;
    case event_kind::attempt_started:
      ++attempts;
      break;
    case event_kind::attempt_failed:
      ++failed;
      break;
    default:
      break;
  }
}

pen::pen(const claimed& from)
    : run(from.run.run),
      chain(from.run.chain),
      parent(from.run.parent),
      parent_chain(from.run.parent_chain),
      workflow(from.run.workflow),
      row(from.run.row),
      epoch(from.run.epoch),
      last(from.head),
      inbox(from.inbox) {}

void pen::went_on(const std::vector<encoded_event>& events,
                  const std::vector<std::uint64_t>& consumed) {
  for (const encoded_event& stored : events) {
    if (const auto what = decode(run, stored); what.ok()) known.take(*what);
    last = {stored.position, stored.chain};
  }
  for (const std::uint64_t seq : consumed)
    std::erase_if(inbox, [&](const message& one) { return one.seq == seq; });
}

append next_append(const pen& run, const moment& at) {
  if (run.workflow == "order") return next_of_order(run, at);
  if (run.known.paid) return ends(run, at);
  return write(run, at, {completed("1", "pack", 1, result_of_first_step(run.run))});
}

}  // namespace fermata::attack::power
