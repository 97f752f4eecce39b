// SPDX-License-Identifier: Apache-2.0
#include "engine/event/kind.hpp"

#include <array>

namespace fermata::engine {
namespace {

template <class Enum>
struct word {
  Enum value;
  std::string_view text;
};

constexpr word<event_kind> event_kinds[] = {
    {event_kind::run_started, "run_started"},
    {event_kind::timer_set, "timer_set"},
    {event_kind::child_started, "child_started"},
    {event_kind::marker, "marker"},
    {event_kind::published, "published"},
    {event_kind::tagged, "tagged"},
    {event_kind::signal_sent, "signal_sent"},
    {event_kind::compensation_registered, "compensation_registered"},
    {event_kind::cancel_requested, "cancel_requested"},
    {event_kind::step_completed, "step_completed"},
    {event_kind::step_failed, "step_failed"},
    {event_kind::step_cancelled, "step_cancelled"},
    {event_kind::timer_fired, "timer_fired"},
    {event_kind::signal_received, "signal_received"},
    {event_kind::child_completed, "child_completed"},
    {event_kind::child_failed, "child_failed"},
    {event_kind::cancel_received, "cancel_received"},
    {event_kind::step_scheduled, "step_scheduled"},
    {event_kind::attempt_started, "attempt_started"},
    {event_kind::attempt_failed, "attempt_failed"},
    {event_kind::attempt_crashed, "attempt_crashed"},
    {event_kind::suspicion, "suspicion"},
    {event_kind::owner_changed, "owner_changed"},
    {event_kind::failing, "failing"},
    {event_kind::operator_act, "operator_act"},
    {event_kind::run_completed, "run_completed"},
    {event_kind::run_failed, "run_failed"},
    {event_kind::run_cancelled, "run_cancelled"},
    {event_kind::run_terminated, "run_terminated"},
    {event_kind::run_continued, "run_continued"},
    {event_kind::run_expired, "run_expired"},
};

constexpr word<operation_kind> operation_kinds[] = {
    {operation_kind::step, "step"},
    {operation_kind::local, "local"},
    {operation_kind::transaction, "transaction"},
    {operation_kind::child, "child"},
    {operation_kind::timer, "timer"},
    {operation_kind::receive, "receive"},
    {operation_kind::publish, "publish"},
    {operation_kind::tag, "tag"},
    {operation_kind::send, "send"},
    {operation_kind::marker, "marker"},
    {operation_kind::compensation, "compensation"},
    {operation_kind::cancel, "cancel"},
    {operation_kind::branch, "branch"},
};

constexpr word<run_state> run_states[] = {
    {run_state::waiting_to_start, "waiting_to_start"},
    {run_state::running, "running"},
    {run_state::compensating, "compensating"},
    {run_state::completed, "completed"},
    {run_state::failed, "failed"},
    {run_state::cancelled, "cancelled"},
    {run_state::terminated, "terminated"},
    {run_state::continued, "continued"},
    {run_state::expired, "expired"},
};

constexpr word<attention> attentions[] = {
    {attention::none, "none"},
    {attention::blocked, "blocked"},
    {attention::quarantined, "quarantined"},
    {attention::paused, "paused"},
    {attention::needs_attention, "needs_attention"},
};

template <class Enum, std::size_t N>
std::optional<Enum> value_in(const word<Enum> (&words)[N], std::string_view text) noexcept {
  for (const word<Enum>& each : words) {
    if (each.text == text) return each.value;
  }
  return std::nullopt;
}

/// By number: decode asks this for every event.
template <class Enum, std::size_t N>
constexpr std::array<std::string_view, 256> by_number(const word<Enum> (&words)[N]) {
  std::array<std::string_view, 256> texts{};
  for (const word<Enum>& each : words) texts[static_cast<std::uint8_t>(each.value)] = each.text;
  return texts;
}

constexpr auto event_kind_texts = by_number(event_kinds);
constexpr auto operation_kind_texts = by_number(operation_kinds);
constexpr auto run_state_texts = by_number(run_states);
constexpr auto attention_texts = by_number(attentions);

}  // namespace

std::string_view text_of(event_kind kind) noexcept {
  return event_kind_texts[static_cast<std::uint8_t>(kind)];
}
std::optional<event_kind> event_kind_of(std::string_view text) noexcept {
  return value_in(event_kinds, text);
}

std::string_view text_of(operation_kind kind) noexcept {
  return operation_kind_texts[static_cast<std::uint8_t>(kind)];
}

std::string_view text_of(run_state state) noexcept {
  return run_state_texts[static_cast<std::uint8_t>(state)];
}
std::optional<run_state> run_state_of(std::string_view text) noexcept {
  return value_in(run_states, text);
}

std::string_view text_of(attention what) noexcept {
  return attention_texts[static_cast<std::uint8_t>(what)];
}
std::optional<attention> attention_of(std::string_view text) noexcept {
  return value_in(attentions, text);
}

}  // namespace fermata::engine
