// SPDX-License-Identifier: Apache-2.0
#include "engine/event/fingerprints.hpp"

namespace fermata::engine {
namespace {

/// The kind's message, unless details hold another one.
template <class Message>
Message* fitting(pb::details& details, pb::details::OfCase wanted,
                 Message* (pb::details::*mutable_message)()) {
  const bool fits = details.of_case() == wanted || details.of_case() == pb::details::OF_NOT_SET;
  return fits ? (details.*mutable_message)() : nullptr;
}

template <class Message>
void put_type(Message* message, std::uint64_t type) {
  if (message != nullptr && type != 0) message->set_type(type);
}
template <class Message>
void put_input_type(Message* message, std::uint64_t type) {
  if (message != nullptr && type != 0) message->set_input_type(type);
}
template <class Message>
void put_result_type(Message* message, std::uint64_t type) {
  if (message != nullptr && type != 0) message->set_result_type(type);
}

}  // namespace

std::uint64_t value_type_of(const pb::details& details) noexcept {
  switch (details.of_case()) {
    case pb::details::kStarted:
      return details.started().input_type();
    case pb::details::kCompensation:
      return details.compensation().input_type();
    case pb::details::kStep:
      return details.step().result_type();
    case pb::details::kWritten:
      return details.written().type();
    case pb::details::kSent:
      return details.sent().type();
    case pb::details::kSignal:
      return details.signal().type();
    case pb::details::kChildEnd:
      return details.child_end().result_type();
    case pb::details::kEnded:
      return details.ended().result_type();
    default:
      return 0;
  }
}

std::uint64_t input_type_of(const pb::details& details) noexcept {
  return details.step().input_type();
}

bool lacks_types(const event& what) noexcept {
  const auto lacks = [](const payload& of, std::uint64_t known) {
    return of.present() && of.type != 0 && of.type != known;
  };
  return lacks(what.value, value_type_of(what.details)) ||
         lacks(what.input, input_type_of(what.details));
}

void put_types(const event& what, pb::details& details) {
  using of = pb::details;
  const std::uint64_t value = what.value.present() ? what.value.type : 0;
  const std::uint64_t input = what.input.present() ? what.input.type : 0;
  switch (what.kind) {
    case event_kind::run_started:
      return put_input_type(fitting(details, of::kStarted, &of::mutable_started), value);
    case event_kind::compensation_registered:
      return put_input_type(fitting(details, of::kCompensation, &of::mutable_compensation), value);
    case event_kind::step_completed:
    case event_kind::step_failed:
    case event_kind::step_cancelled:
      put_input_type(fitting(details, of::kStep, &of::mutable_step), input);
      return put_result_type(fitting(details, of::kStep, &of::mutable_step), value);
    case event_kind::published:
    case event_kind::tagged:
      return put_type(fitting(details, of::kWritten, &of::mutable_written), value);
    case event_kind::signal_sent:
      return put_type(fitting(details, of::kSent, &of::mutable_sent), value);
    case event_kind::signal_received:
      return put_type(fitting(details, of::kSignal, &of::mutable_signal), value);
    case event_kind::child_completed:
    case event_kind::child_failed:
      return put_result_type(fitting(details, of::kChildEnd, &of::mutable_child_end), value);
    default:
      if (class_of(what.kind) == event_class::end) {
        put_result_type(fitting(details, of::kEnded, &of::mutable_ended), value);
      }
  }
}

}  // namespace fermata::engine
