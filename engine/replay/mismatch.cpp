// SPDX-License-Identifier: Apache-2.0
#include "engine/replay/mismatch.hpp"

#include <fmt/format.h>

namespace fermata::engine {

std::string describe(operation_kind kind, std::string_view name) {
  switch (kind) {
    case operation_kind::step:
      return fmt::format("step '{}'", name);
    case operation_kind::local:
      return fmt::format("local step '{}'", name);
    case operation_kind::transaction:
      return fmt::format("transaction '{}'", name);
    case operation_kind::child:
      return fmt::format("child '{}'", name);
    case operation_kind::timer:
      return "timer";
    case operation_kind::receive:
      return fmt::format("signal '{}'", name);
    case operation_kind::publish:
      return fmt::format("published value '{}'", name);
    case operation_kind::tag:
      return fmt::format("tag '{}'", name);
    case operation_kind::send:
      return fmt::format("signal '{}' to another run", name);
    case operation_kind::marker:
      return fmt::format("patch '{}'", name);
    case operation_kind::compensation:
      return fmt::format("compensation '{}'", name);
    case operation_kind::cancel:
      return fmt::format("cancellation of '{}'", name);
    case operation_kind::branch:
      return "branch";
  }
  return std::string(name);
}

std::string describe(event_kind kind, std::string_view name) {
  switch (kind) {
    case event_kind::child_started:
    case event_kind::child_completed:
    case event_kind::child_failed:
      return describe(operation_kind::child, name);
    case event_kind::timer_set:
    case event_kind::timer_fired:
      return name.empty() || name == "sleep" ? "timer" : describe(operation_kind::receive, name);
    case event_kind::marker:
      return describe(operation_kind::marker, name);
    case event_kind::published:
      return describe(operation_kind::publish, name);
    case event_kind::tagged:
      return describe(operation_kind::tag, name);
    case event_kind::signal_received:
      return describe(operation_kind::receive, name);
    case event_kind::signal_sent:
      return describe(operation_kind::send, name);
    case event_kind::compensation_registered:
      return describe(operation_kind::compensation, name);
    case event_kind::cancel_requested:
      return describe(operation_kind::cancel, name);
    case event_kind::run_completed:
      return "the end with a result";
    case event_kind::run_failed:
      return "the end by a failure";
    case event_kind::run_cancelled:
      return "the end by a cancel";
    default:
      return fmt::format("{}{}", text_of(kind), name.empty() ? "" : fmt::format(" '{}'", name));
  }
}

std::string describe(const event& what) {
  if (what.details.has_step())
    return describe(static_cast<operation_kind>(what.details.step().operation_kind()), what.name);
  return describe(what.kind, what.name);
}

std::string mismatch::text(const run_id& run) const {
  auto at = [](const std::string& place) { return place.empty() ? "" : " (" + place + ")"; };
  if (differs == "value")
    return fmt::format(
        "run {}, after position {}: {}{} [FER-1201]; deploy a build whose types can read what is "
        "recorded",
        run.text(), position, asked, at(asked_place));
  std::string what;
  if (asked.empty())
    what = fmt::format("the journal has {}{}, the code doesn't ask for it", recorded,
                       at(recorded_place));
  else if (differs == "result")
    what = fmt::format("the journal has {}, the code has {}", recorded, asked);
  else if (differs == "input")
    what = fmt::format("{}{} is asked with another input than the journal has{}", asked,
                       at(asked_place), at(recorded_place));
  else
    what = fmt::format("the journal has {}{}, the code asks {}{}", recorded, at(recorded_place),
                       asked, at(asked_place));
  return fmt::format(
      "run {}, position {}, operation {}: {}; use ctx.patched() to change running "
      "workflows [FER-1203]",
      run.text(), position, operation.empty() ? "–" : operation, what);
}

}  // namespace fermata::engine
