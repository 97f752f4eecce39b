// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/check_operations.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

namespace fermata::engine {
namespace {

/// What code asked before it heard of the cancel may be appended behind it: within the same epoch, in the
/// time of a commit; or by the next owner, whose replay it was asked in, before time goes on. A commit that
/// takes longer than this is no healthy system's.
constexpr time_us heard_us = 60'000'000;

bool is_undoing(const std::string& operation) { return operation.starts_with("c."); }

bool is_step_outcome(event_kind kind) {
  return kind == event_kind::step_completed || kind == event_kind::step_failed ||
         kind == event_kind::step_cancelled;
}

}  // namespace

void operation_check::take(const event& what, const report& found) {
  if (std::exchange(epoch_, what.epoch) != what.epoch) inherited_ = last_;
  last_ = what.at;
  if (is_undoing(what.operation)) check_undoing(what, found);
  switch (class_of(what.kind)) {
    case event_class::command:
      return take_command(what, found);
    case event_class::outcome:
      return take_outcome(what, found);
    case event_class::note:
      break;
    default:
      return;
  }
  if (what.kind == event_kind::failing) failing_ = what.position;
  if (what.kind == event_kind::operator_act && what.details.act().act() == "retry") {
    std::erase_if(attempts_, [](const auto& entry) { return is_undoing(entry.first); });
  }
  if (what.details.has_attempt()) take_attempt(what, found);
}

void operation_check::take_command(const event& what, const report& found) {
  check_scheduled(what, found);
  switch (what.kind) {
    case event_kind::timer_set:
      due_[what.operation] = what.details.timer().due_us();
      return;
    case event_kind::marker:
      if (!markers_.insert(what.name).second) {
        found(what.position, fmt::format("marker '{}' is there twice", what.name));
      }
      return;
    case event_kind::compensation_registered:
      compensations_.push_back({what.name, what.details.compensation().options().max_attempts()});
      return;
    default:
      return;
  }
}

void operation_check::check_scheduled(const event& what, const report& found) const {
  if (failing_ != 0 && !is_undoing(what.operation)) {
    return found(what.position,
                 fmt::format("{} of operation '{}' after `failing` at position {}: only "
                             "compensation may follow",
                             text_of(what.kind), what.operation, failing_));
  }
  const bool schedules =
      what.kind == event_kind::timer_set || what.kind == event_kind::child_started;
  // A branch may be shielded; the journal doesn't say which.
  const bool in_root = what.operation.find('.') == std::string::npos;
  if (cancel_.position == 0 || !schedules || !in_root) return;
  const bool by_another = what.epoch > cancel_.epoch && what.at > inherited_;
  if (by_another || what.at > cancel_.at + heard_us) {
    found(what.position, fmt::format("{} of operation '{}' in a run that was cancelled at position "
                                     "{}",
                                     text_of(what.kind), what.operation, cancel_.position));
  }
}

void operation_check::take_outcome(const event& what, const report& found) {
  if (what.kind == event_kind::cancel_received && cancel_.position == 0) {
    cancel_ = {what.position, what.epoch, what.at};
  }
  take_message(what, found);
  if (what.operation.empty()) return;
  if (!answered_.insert(what.operation).second) {
    return found(what.position, fmt::format("{} is a second outcome of operation '{}'",
                                            text_of(what.kind), what.operation));
  }
  if (what.kind == event_kind::timer_fired) check_timer(what, found);
  if (!is_step_outcome(what.kind)) return;
  if (failing_ != 0 && !is_undoing(what.operation)) {
    found(what.position, fmt::format("an outcome of operation '{}' after `failing` at position {}",
                                     what.operation, failing_));
  }
  check_attempts(what, found);
}

/// A message is in a journal once.
void operation_check::take_message(const event& what, const report& found) {
  const pb::details& details = what.details;
  const std::string& id = details.has_signal()      ? details.signal().message()
                          : details.has_child_end() ? details.child_end().message()
                                                    : details.cancel().message();
  if (id.empty() || messages_.insert(id).second) return;
  found(what.position,
        fmt::format("message {} was received before", message_id::of(ulid::from_view(id)).text()));
}

void operation_check::check_timer(const event& what, const report& found) {
  const auto due = due_.find(what.operation);
  if (due == due_.end()) {
    return found(what.position, fmt::format("the timer of operation '{}' fired, and was never set",
                                            what.operation));
  }
  if (what.at < due->second) {
    found(what.position, fmt::format("the timer of operation '{}' fired {} µs early",
                                     what.operation, due->second - what.at));
  }
  due_.erase(due);
}

int operation_check::attempts_of(const std::string& operation) const {
  const auto at = attempts_.find(operation);
  return at == attempts_.end() ? 0 : at->second;
}

void operation_check::check_attempts(const event& what, const report& found) {
  const int ended = attempts_of(what.operation);
  const int said = what.details.step().attempts();
  attempts_.erase(what.operation);
  const bool stopped = what.kind == event_kind::step_cancelled && said == ended;
  // Of an attempt that was being taken back from another worker just then.
  const bool late =
      what.kind == event_kind::step_completed && said <= ended && remote_.contains(what.operation);
  if (said == ended + 1 || stopped || late || (copied_ && said > ended)) return;
  found(what.position, fmt::format("operation '{}' says {} attempts, its notes say {} before",
                                   what.operation, said, ended));
}

void operation_check::take_attempt(const event& what, const report& found) {
  if (what.operation.empty()) return;
  if (!what.details.attempt().queue().empty()) remote_.insert(what.operation);
  const int ended = attempts_of(what.operation);
  const int number = what.details.attempt().number();
  if (what.kind == event_kind::attempt_crashed || what.kind == event_kind::suspicion) {
    // Found in a black box: it may be of an attempt whose end was appended meanwhile.
    return;
  }
  if (what.kind == event_kind::step_scheduled) return;
  if (answered_.contains(what.operation)) {
    return found(what.position, fmt::format("{} of operation '{}', which has an outcome",
                                            text_of(what.kind), what.operation));
  }
  // A worker that couldn't carry it out, or gave it back, says so under the number of the attempt before.
  const std::string& why = what.details.attempt().why().type();
  const bool refused = what.kind == event_kind::attempt_failed && number == ended &&
                       (why == "not_started" || why == "given_back");
  if (refused) return;
  if (number != ended + 1) {
    found(what.position, fmt::format("{} of operation '{}' has number {}, {} is expected",
                                     text_of(what.kind), what.operation, number, ended + 1));
  }
  if (is_undoing(what.operation) && !compensations_.empty()) {
    const int most = compensations_.back().max_attempts;
    if (most > 0 && number > most) {
      found(what.position, fmt::format("attempt {} of operation '{}', whose policy allows {}",
                                       number, what.operation, most));
    }
  }
  if (what.kind == event_kind::attempt_failed) attempts_[what.operation] = number;
}

/// c.n is the n-th, begins after the one before has ended, and undoes the newest that is left.
void operation_check::check_undoing(const event& what, const report& found) {
  const int n = std::atoi(what.operation.c_str() + 2);
  if (failing_ == 0) {
    found(what.position, fmt::format("operation '{}' before `failing`", what.operation));
  }
  if (n != undoing_) {
    if (n != undoing_ + 1 || !undone_) {
      found(what.position, fmt::format("operation '{}' follows 'c.{}'{}", what.operation, undoing_,
                                       undone_ ? "" : ", which has no outcome"));
    }
    undoing_ = n;
    undone_ = false;
    if (compensations_.empty()) {
      found(what.position,
            fmt::format("operation '{}' undoes what isn't registered", what.operation));
    } else if (compensations_.back().name != what.name) {
      found(what.position,
            fmt::format("operation '{}' is '{}'; the newest compensation left is '{}'",
                        what.operation, what.name, compensations_.back().name));
    }
  }
  if (class_of(what.kind) != event_class::outcome || undone_) return;
  undone_ = true;
  const bool good =
      what.kind == event_kind::step_completed || what.kind == event_kind::child_completed;
  if (good && !compensations_.empty()) compensations_.pop_back();
}

}  // namespace fermata::engine
