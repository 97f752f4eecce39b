// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fermata::engine {

/// What an event says. The numbers are the format: written into journals, never reused.
/// FORMAT.md §3 says what each carries.
enum class event_kind : std::uint8_t {
  run_started = 1,

  // Commands: the n-th in the journal must equal the n-th that the code asks.
  timer_set = 10,
  child_started = 11,
  marker = 12,
  published = 13,
  tagged = 14,
  signal_sent = 15,
  compensation_registered = 16,
  cancel_requested = 17,
  // 18 stream_written, 19 token_opened: reserved

  // Outcomes: answer one operation, or carry a message; delivered to the code.
  step_completed = 40,
  step_failed = 41,
  step_cancelled = 42,
  timer_fired = 43,
  signal_received = 44,
  child_completed = 45,
  child_failed = 46,
  cancel_received = 47,
  // 48 update_accepted, 49 token_answered, 50 token_expired: reserved

  // Notes: neither compared nor delivered; the machine folds them.
  step_scheduled = 70,
  attempt_started = 71,
  attempt_failed = 72,
  attempt_crashed = 73,
  suspicion = 74,
  owner_changed = 75,
  failing = 76,
  operator_act = 77,
  // 78 update_completed, 79 update_rejected: reserved

  // Ends: the last event of a run.
  run_completed = 100,
  run_failed = 101,
  run_cancelled = 102,
  run_terminated = 103,
  run_continued = 104,
  run_expired = 105,
};

enum class event_class : std::uint8_t { start, command, outcome, note, end };

constexpr event_class class_of(event_kind kind) noexcept {
  const auto n = static_cast<unsigned>(kind);
  if (n >= 100) return event_class::end;
  if (n >= 70) return event_class::note;
  if (n >= 40) return event_class::outcome;
  if (n >= 10) return event_class::command;
  return event_class::start;
}

/// `timer_set`, `step_completed` …; empty for a number that this version doesn't know.
std::string_view text_of(event_kind kind) noexcept;
std::optional<event_kind> event_kind_of(std::string_view text) noexcept;

/// What an operation is; recorded with its outcome and compared on replay.
enum class operation_kind : std::uint8_t {
  step = 1,
  local = 2,        // ctx.run
  transaction = 3,  // ctx.transaction
  child = 4,
  timer = 5,
  receive = 6,
  publish = 7,
  tag = 8,
  send = 9,
  marker = 10,
  compensation = 11,
  cancel = 12,
  branch = 13,  // never recorded: replay makes it anew
};
std::string_view text_of(operation_kind kind) noexcept;

/// Folded from the journal; `verify` compares it with the run's row. PROTOCOL §8.
enum class run_state : std::uint8_t {
  waiting_to_start = 0,
  running = 1,
  compensating = 2,
  completed = 3,
  failed = 4,
  cancelled = 5,
  terminated = 6,
  continued = 7,
  expired = 8,
};
std::string_view text_of(run_state state) noexcept;
std::optional<run_state> run_state_of(std::string_view text) noexcept;
constexpr bool ended(run_state state) noexcept { return state >= run_state::completed; }

/// Why a run isn't worked on although it could be. Not folded: losing it costs one more try.
enum class attention : std::uint8_t {
  none = 0,
  blocked = 1,
  quarantined = 2,
  paused = 3,
  needs_attention = 4,
};
std::string_view text_of(attention what) noexcept;
std::optional<attention> attention_of(std::string_view text) noexcept;

}  // namespace fermata::engine
