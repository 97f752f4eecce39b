// SPDX-License-Identifier: Apache-2.0
// Where the run stands, for the worker and for people. Counted, not searched: the worker asks after
// every event.
#include "engine/replay/machine.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace fermata::engine {

namespace {
std::string instant(time_us at) {
  constexpr time_us year_9999 = 253'370'764'800LL * 1'000'000;
  if (at >= year_9999) return "the end of time";
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z",
                     fmt::gmtime(static_cast<std::time_t>(at / 1'000'000)));
}

std::string wait_of(const operation& op) {
  std::string text = describe(op.kind, op.name);
  if (op.kind == operation_kind::child) text += " " + op.child.text();
  if (op.due != 0)
    text += (op.kind == operation_kind::receive ? " at most until " : " until ") + instant(op.due);
  if (op.is_work() && is_away(*op.step))
    text += fmt::format(" in queue '{}'", op.step->task_queue.str());
  if (op.is_work() && op.step->attempts > 0)
    text += fmt::format(", attempt {} of {}{}; the last failed: {}", op.step->attempts + 1,
                        op.step->plan.max_attempts,
                        op.step->next_due != 0 ? " at " + instant(op.step->next_due) : "",
                        op.step->last_failure.message());
  if (op.is_work() && op.step->refused) text += ", which no worker here can carry out now";
  if (!op.place.empty()) text += " (" + op.place.str() + ")";
  return text;
}
}  // namespace

std::string machine::waits() const {
  if (failing_) return undoing_ == 0 ? std::string() : wait_of(ops_[undoing_]);
  if (asks_people_ != 0)
    return wait_of(ops_[asks_people_]) +
           ": its worker went away during an attempt, and whether that had an effect is unknown";
  if (pending_ == 0) return {};
  const int named_most = std::min(pending_, 3);
  std::string text;
  int named = 0;
  for (slot s = first_pending_; s < ops_.size() && named < named_most; ++s) {
    if (ops_[s].inner || ops_[s].how != settled::pending) continue;
    text += (named++ == 0 ? "" : "; ") + wait_of(ops_[s]);
  }
  if (named != 0 && pending_ > named) text += fmt::format("; and {} more", pending_ - named);
  return text;
}

standing machine::stands() const {
  standing s;
  s.ended = ended_;
  s.blocked = static_cast<bool>(mismatch_);
  s.needs_attention = exhausted_ || asks_people_ != 0;
  s.finishing = finishing();
  const auto soonest = [&s](time_us at) {
    if (at != 0 && (s.next_timer == 0 || at < s.next_timer)) s.next_timer = at;
  };
  if (failing_) {
    const operation& op = ops_[undoing_];
    if (op.is_work() && op.step->next_due > clock_)
      soonest(op.step->next_due);
    else
      s.attempts = op.is_work() && !op.step->refused && !is_away(*op.step);
  } else {
    const auto later = retrying_.upper_bound({clock_, ~slot{0}});
    s.attempts =
        work_pending_ - refused_ - away_ - static_cast<int>(std::distance(later, retrying_.end()));
    if (!sleeping_.empty()) soonest(sleeping_.begin()->first);
    if (later != retrying_.end()) soonest(later->first);
    if (!cancelled_ && !root_over_) soonest(deadline_);
  }
  if (s.finishing && !grace_over_) s.attempts += children_pending_ + away_;
  if (s.needs_attention) s.attempts = 0;
  if (s.attempts == 0) s.waits = waits();
  return s;
}

// ---- the worker takes ----

std::vector<slot> machine::take_settled() { return std::exchange(settled_, {}); }
std::vector<produced> machine::take_events() {
  put_tasks();
  // Code that is replayed asks for things before the notes behind it were seen.
  for (produced& one : events_) one.what.at = latest_ = std::max(one.what.at, latest_);
  return std::exchange(events_, {});
}
std::vector<slot> machine::take_stops() { return taken(&extras::stops); }
std::vector<std::string> machine::take_removed_timers() { return taken(&extras::removed_timers); }
std::vector<std::string> machine::take_tasks_gone() { return taken(&extras::tasks_gone); }
std::vector<std::string> machine::take_tasks_withdrawn() { return taken(&extras::tasks_withdrawn); }
std::vector<std::uint64_t> machine::take_dropped() { return taken(&extras::dropped); }

}  // namespace fermata::engine
