// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/events.hpp"

#include "worker/cli/crash.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>

namespace fermata::cli {

using engine::event_kind;

tint tint_of(const pb::failure& why) {
  return why.type() == "timed_out" ? tint::yellow : tint::red;
}

std::string id_text(const std::string& sixteen_bytes) {
  if (sixteen_bytes.size() != 16) return {};
  return engine::run_id::of(engine::ulid::from_view(sixteen_bytes)).text();
}

namespace {

std::string list_text(const google::protobuf::RepeatedPtrField<std::string>& parts) {
  return clean(join({parts.begin(), parts.end()}, ", "));
}

void append(std::string& text, std::string_view more, std::string_view between = " · ") {
  if (more.empty()) return;
  if (!text.empty()) text += between;
  text += more;
}

}  // namespace

const std::string& teller::name_of(const std::string& operation) const {
  static const std::string none;
  const auto found = names_.find(operation);
  return found == names_.end() ? none : found->second;
}

void teller::tell_start(const engine::event& what, told_event& out) {
  const pb::started& d = what.details.started();
  out.what = "started";
  out.colour = tint::blue;
  out.subject = clean(what.name);
  out.input = shown(what.value);
  if (!d.previous_run().empty()) out.outcome = "goes on from " + id_text(d.previous_run());
  started_ = before_ = what.at;
  if (d.requested_us() != 0 && d.requested_us() < what.at)
    out.waited_us = what.at - d.requested_us();
}

void teller::tell_command(const engine::event& what, told_event& out) {
  out.subject = clean(what.name);
  switch (what.kind) {
    case event_kind::timer_set: {
      const pb::timer_set& d = what.details.timer();
      begun_[what.operation] = {what.at, d.due_us(), what.name, d.purpose() == 1};
      out.what = d.purpose() == 1 ? "waits" : "sleeps";
      out.colour = tint::cyan;
      const std::string length =
          d.asked_ms() != 0 ? span_text(d.asked_ms() * 1000) : span_text(d.due_us() - what.at);
      const std::string until = how_.times == time_style::relative
                                    ? ""
                                    : ", until " + time_text(d.due_us(), now_, how_.times);
      out.subject = d.purpose() == 1 ? "for signal " + clean(what.name) : length + until;
      if (d.purpose() == 1) out.input = "at most " + length + until;
      break;
    }
    case event_kind::child_started:
      begun_[what.operation] = {what.at, 0, what.name, false};
      out.what = "child started";
      out.colour = tint::blue;
      out.outcome = id_text(what.details.child().child());
      break;
    case event_kind::marker:
      out.what = "patched";
      break;
    case event_kind::published:
      out.what = "published";
      out.outcome = shown(what.value);
      break;
    case event_kind::tagged:
      out.what = "tagged";
      out.outcome = shown(what.value);
      break;
    case event_kind::signal_sent:
      out.what = "signal sent";
      out.input = shown(what.value);
      out.outcome = "to " + id_text(what.details.sent().chain());
      break;
    case event_kind::compensation_registered:
      out.what = "compensation";
      out.input = shown(what.value.present() ? what.value : what.input);
      if (const std::string& of = what.details.compensation().undoes_operation(); !of.empty())
        out.outcome = "undoes " + (name_of(of).empty() ? "operation " + of : name_of(of));
      break;
    default: {
      const std::string& target = what.details.cancel_request().target();
      out.what = "gives up";
      out.colour = tint::magenta;
      out.subject = name_of(target).empty() ? "operation " + target : name_of(target);
    }
  }
  if (what.kind != event_kind::cancel_requested && !what.operation.empty())
    names_[what.operation] = clean(what.name);
}

void teller::tell_step(const engine::event& what, told_event& out) {
  const pb::step_outcome& d = what.details.step();
  const engine::time_us first = d.first_started_us() != 0 ? d.first_started_us() : d.started_us();
  out.subject = clean(what.name);
  names_[what.operation] = out.subject;
  out.input = shown(what.input);
  if (first != 0) out.took_us = what.at - first;
  if (const auto queued = scheduled_.find(what.operation); queued != scheduled_.end()) {
    if (first > queued->second.at && queued->second.at != 0)
      out.waited_us = first - queued->second.at;
    scheduled_.erase(queued);
  }
  const std::string tries = d.attempts() > 1 ? fmt::format("{} attempts", d.attempts()) : "";
  if (what.kind == event_kind::step_completed) {
    out.what = what.operation.starts_with("c.") ? "undone" : "step done";
    out.colour = tint::green;
    if (what.value.bytes != "null") out.outcome = shown(what.value);
    append(out.outcome, tries);
    return;
  }
  const bool cancelled = what.kind == event_kind::step_cancelled;
  const bool late = d.why().type() == "timed_out";
  out.what = cancelled ? "step cancelled" : late ? "step timed out" : "step failed";
  out.colour = cancelled ? tint::magenta : tint_of(d.why());
  out.outcome = failure_text(d.why());
  append(out.outcome, tries);
}

void teller::tell_attempt(const engine::event& what, told_event& out) {
  const pb::attempt& d = what.details.attempt();
  out.subject = clean(d.step().empty() ? what.name : d.step());
  if (!out.subject.empty() && !what.operation.empty()) names_[what.operation] = out.subject;
  if (what.operation.empty()) out.subject = "the workflow's own code";
  begun& mark = scheduled_[what.operation];
  const bool put = what.kind == event_kind::attempt_started && !d.queue().empty();
  if (what.kind == event_kind::step_scheduled || put) {
    if (mark.at == 0) mark.at = what.at;
    if (d.number() > 1) out.subject += fmt::format(", attempt {}", d.number());
    out.what = "step queued";
    out.outcome = d.queue().empty() ? "" : "for queue " + clean(d.queue());
    return;
  }
  if (d.number() != 0) out.subject += fmt::format(", attempt {}", d.number());
  if (what.kind == event_kind::attempt_started) {
    out.what = "attempt started";
    out.colour = tint::blue;
    out.outcome = clean(d.worker());
    return;
  }
  if (d.started_us() != 0) out.took_us = what.at - d.started_us();
  if (what.kind == event_kind::suspicion) {
    out.what = "suspicion";
    out.colour = tint::yellow;
    out.outcome =
        "its worker died while it was executing" + std::string(d.alone() ? ", alone" : "");
    return;
  }
  const bool crashed = what.kind == event_kind::attempt_crashed;
  if (d.why().type() == "given_back") {
    out.what = "given back";
    out.colour = tint::yellow;
    out.outcome = clean(d.why().message());
    return;
  }
  out.what = crashed ? "attempt crashed" : "attempt failed";
  out.colour = crashed ? tint::red : tint_of(d.why());
  if (crashed) out.outcome = crash_text(d);
  append(out.outcome, failure_text(d.why()));
  if (d.next_due_us() != 0)
    append(out.outcome, fmt::format("next after {}", span_text(d.next_due_us() - what.at)));
}

void teller::tell_outcome(const engine::event& what, told_event& out) {
  out.subject = clean(what.name);
  const auto first = begun_.find(what.operation);
  const bool known = !what.operation.empty() && first != begun_.end();
  if (what.kind == event_kind::timer_fired) {
    out.what = known && first->second.patience ? "waited in vain" : "timer fired";
    out.colour = known && first->second.patience ? tint::yellow : tint::cyan;
    if (known && first->second.patience)
      out.subject = "for signal " + clean(first->second.name);
    else
      out.subject.clear();
    if (known) out.waited_us = what.at - first->second.at;
  } else if (what.kind == event_kind::signal_received) {
    out.what = "signal";
    out.colour = tint::green;
    out.input = shown(what.value);
    if (const std::string& from = what.details.signal().sender(); !from.empty())
      out.outcome = "from " + id_text(from);
    if (before_ != 0) out.waited_us = what.at - before_;
    for (const auto& [operation, timer] : begun_)
      if (timer.patience && timer.name == what.name) out.waited_us = what.at - timer.at;
  } else if (what.kind == event_kind::cancel_received) {
    out.what = "cancel";
    out.colour = tint::magenta;
    out.subject = "by " + clean(what.details.cancel().by());
    out.outcome = clean(what.details.cancel().why());
  } else {
    const pb::child_ended& d = what.details.child_end();
    const bool well = what.kind == event_kind::child_completed;
    out.what = well ? "child done" : "child failed";
    out.colour = well ? tint::green : tint_of(d.why());
    out.outcome = well ? shown(what.value) : failure_text(d.why());
    if (known) out.took_us = what.at - first->second.at;
  }
  if (known) begun_.erase(first);
}

void teller::tell_note(const engine::event& what, told_event& out) {
  if (what.kind == event_kind::failing) {
    const pb::failing& d = what.details.failing();
    out.what = d.cancelled() ? "cancelling" : "failing";
    out.colour = d.cancelled() ? tint::magenta : tint_of(d.why());
    out.subject = "compensations follow";
    out.outcome = failure_text(d.why());
    if (d.abandoned_size() > 0) append(out.outcome, "abandoned: " + list_text(d.abandoned()));
  } else if (what.kind == event_kind::owner_changed) {
    const pb::owner_changed& d = what.details.owner();
    out.what = "owner changed";
    out.colour = tint::dim;
    out.subject = d.to().empty() ? "to nobody" : "to " + clean(d.to());
    out.outcome = clean(d.why());
  } else {
    const pb::operator_act& d = what.details.act();
    out.what = "operator";
    out.colour = tint::yellow;
    out.subject = clean(d.act()) + " by " + clean(d.who());
    out.outcome = clean(d.why());
  }
}

void teller::tell_end(const engine::event& what, told_event& out) {
  const pb::ended& d = what.details.ended();
  if (started_ != 0) out.took_us = what.at - started_;
  out.outcome = failure_text(d.why());
  switch (what.kind) {
    case event_kind::run_completed:
      out.what = "completed";
      out.colour = tint::green;
      out.outcome = shown(what.value);
      break;
    case event_kind::run_failed:
      out.what = "failed";
      out.colour = tint_of(d.why());
      break;
    case event_kind::run_cancelled:
      out.what = "cancelled";
      out.colour = tint::magenta;
      break;
    case event_kind::run_terminated:
      out.what = "terminated";
      out.colour = tint::magenta;
      if (!d.by().empty()) out.subject = "by " + clean(d.by());
      break;
    case event_kind::run_continued:
      out.what = "continued";
      out.colour = tint::green;
      out.outcome = "as " + id_text(d.next_run());
      break;
    default:
      out.what = "expired";
      out.colour = tint::yellow;
  }
  if (d.abandoned_size() > 0) append(out.outcome, "abandoned: " + list_text(d.abandoned()));
  if (d.left_size() > 0) append(out.outcome, "compensations not run: " + list_text(d.left()));
  if (d.unread_size() > 0) append(out.outcome, count_of(d.unread_size(), "message") + " unread");
}

told_event teller::tell(const engine::event& what) {
  told_event out;
  switch (engine::class_of(what.kind)) {
    case engine::event_class::start:
      tell_start(what, out);
      break;
    case engine::event_class::command:
      tell_command(what, out);
      break;
    case engine::event_class::end:
      tell_end(what, out);
      break;
    case engine::event_class::outcome:
      if (what.kind <= event_kind::step_cancelled)
        tell_step(what, out);
      else
        tell_outcome(what, out);
      break;
    case engine::event_class::note:
      if (what.kind <= event_kind::suspicion)
        tell_attempt(what, out);
      else
        tell_note(what, out);
      break;
  }
  before_ = what.at;
  return out;
}

}  // namespace fermata::cli
