// SPDX-License-Identifier: Apache-2.0
// A history in any order, of any events, against code that asks for anything: the machine folds it, finds
// a difference or goes on, and never breaks.
#include "engine/replay/machine.hpp"
#include "tests/fuzz/stored_event.hpp"

#include <vector>

using namespace fermata::engine;

namespace {

std::string operation_of(std::uint8_t which) {
  static const char* const ids[] = {"", "1", "2", "3", "3.1", "c.1", "c.2", "x", "3.", "code"};
  return ids[which % std::size(ids)];
}

std::string name_of(std::uint8_t which) {
  static const char* const names[] = {"", "a", "b", "c"};
  return names[which % std::size(names)];
}

constexpr operation_kind kinds[] = {
    operation_kind::step,         operation_kind::local,   operation_kind::child,
    operation_kind::timer,        operation_kind::receive, operation_kind::publish,
    operation_kind::tag,          operation_kind::send,    operation_kind::branch,
    operation_kind::compensation,
};

/// An event that our decoder would answer: its details are a message that can be read.
event read_event(fuzz::reader& from, position_t position) {
  event e;
  e.position = position;
  e.kind = position == 1 ? event_kind::run_started : static_cast<event_kind>(from.byte());
  e.epoch = from.byte();
  e.at = static_cast<time_us>(from.number(2)) * 1'000;
  const std::uint8_t names = from.byte();
  e.operation = operation_of(names);
  e.name = name_of(names >> 4U);
  if (!e.details.ParseFromString(from.text())) e.details.Clear();
  return e;
}

void ask_something(machine& code, fuzz::reader& from) {
  const std::uint8_t how = from.byte();
  const auto any = static_cast<slot>(from.byte() % code.size());
  switch (how % 8) {
    case 0:
    case 1:
    case 2: {
      request what{.kind = kinds[how / 8 % std::size(kinds)], .name = name_of(from.byte())};
      if ((how & 64U) != 0) what.patience_ms = from.byte();
      if ((how & 128U) != 0 || what.kind == operation_kind::compensation)
        what.undo = undo_plan{.name = "undo"};
      if (what.kind == operation_kind::branch) {
        (void)code.open_branch(0, (how & 64U) != 0);
      } else {
        (void)code.ask(0, std::move(what));
      }
      return;
    }
    case 3:
      return code.cancel(any);
    case 4:
      (void)code.patched(0, name_of(from.byte()), {});
      return;
    case 5:
      return code.observe(any);
    default:
      return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::reader from(data, size);
  const std::uint8_t mode = from.byte();
  machine_options options;
  options.run = fuzz::any_run();
  options.chain = options.run;
  machine code(std::move(options));
  std::vector<event> history;
  const std::size_t events = 1 + from.byte() % 12;
  for (position_t position = 1; position <= events; ++position)
    history.push_back(read_event(from, position));
  if ((mode & 1U) != 0) code.fold_only();
  for (const event& e : history)
    if (class_of(e.kind) == event_class::command) code.foresee(e);
  code.history_ends_at(events);

  for (event& e : history) {
    const bool ends = class_of(e.kind) == event_class::end;
    code.deliver(std::move(e));
    if (ends) break;  // no store takes an event behind it: one there is our bug
    while (code.code_runs() && code.difference().empty() && !from.empty() && (mode & 2U) != 0) {
      ask_something(code, from);
      if (from.byte() < 128) break;
    }
    (void)code.take_settled();
    code.stand();
  }
  if (code.difference().empty()) {
    code.set_time(1'000'000);
    code.go_live();
    (void)code.take_starts();
    code.fire_timers();
    (void)code.take_events();
  }
  (void)code.stands();
  (void)code.quarantined();
  (void)code.difference().text(fuzz::any_run());
  return 0;
}
