// SPDX-License-Identifier: Apache-2.0
// Timers: sleep, the patience of a receive, the delay before a retry, the run's deadline.
// The length isn't compared on replay: what was recorded as due holds. It counts from the time of the
// last delivered event, not from the clock: so it is the same when a lost append is asked for again.
#include "engine/planted.hpp"
#include "engine/replay/machine.hpp"

#include <algorithm>
#include <tuple>

namespace fermata::engine {

void machine::ask_timer(slot s, const request& what) {
  foreseen was;
  if (!ask_command(event_kind::timer_set, ops_[s], &was)) {
    ops_[s].due = was.due;
    if (was.due != 0) sleeping_.emplace(was.due, s);
    return;
  }
  operation& op = ops_[s];
  op.due = what.until ? std::max<time_us>(1, *what.until) : later(now_, *what.patience_ms);
  sleeping_.emplace(op.due, s);
  event e = make(event_kind::timer_set, op);
  pb::timer_set& t = *e.details.mutable_timer();
  t.set_due_us(op.due);
  t.set_asked_ms(what.until ? 0 : *what.patience_ms);
  t.set_purpose(static_cast<int>(op.kind == operation_kind::receive ? timer_purpose::patience
                                                                    : timer_purpose::sleep));
  produce(std::move(e));
}

void machine::fire_timers() {
  struct due {
    time_us at;
    std::string_view operation;
    timer_purpose purpose;
  };
  std::vector<due> now;
  for (const auto& [at, s] : sleeping_) {
    if (at > clock_) break;
    now.push_back({at, ops_[s].id, timer_purpose::sleep});
  }
  for (const auto& [at, s] : retrying_) {
    if (at > clock_) break;
    now.push_back({at, ops_[s].id, timer_purpose::retry});
  }
  if (deadline_ != 0 && deadline_ <= clock_)
    now.push_back({deadline_, {}, timer_purpose::deadline});
  std::sort(now.begin(), now.end(), [](const due& a, const due& b) {
    return std::tie(a.at, a.operation) < std::tie(b.at, b.operation);
  });
  for (const due& each : now) timer_due(each.operation, each.purpose);
}

void machine::timer_due(std::string_view operation, timer_purpose purpose) {
  if (!live_ || mismatch_ || ended_) return;
  if (purpose == timer_purpose::deadline) {
    extra().removed_timers.emplace_back();
    if (cancelled_ || root_over_ || failing_ || std::exchange(deadline_told_, true)) return;
    event e;
    e.kind = event_kind::cancel_received;
    e.at = clock_;
    e.details.mutable_cancel()->set_why("the deadline of the run has passed");
    e.details.mutable_cancel()->set_by("deadline");
    return produce(std::move(e));
  }
  const slot s = find(operation);
  if (s == 0 || ops_[s].how != settled::pending || (failing_ && !ops_[s].undoes())) {
    extra().removed_timers.emplace_back(operation);
    return;
  }
  auto& op = ops_[s];
  if (purpose == timer_purpose::retry) {
    if (!op.is_work() || op.step->next_due > clock_) return;  // early
    // Of the attempt before: what is on its way sets the next one, which isn't to be taken back.
    if (op.step->noting) return;
    extra().removed_timers.push_back(op.id);
    return want_start(s);
  }
  const bool early = op.due > clock_ && !planted("timer_fires_early");
  if (op.due == 0 || early) return;  // or fired already
  // A message that was accepted before comes first.
  if (op.kind == operation_kind::receive && seen().mail_under_way.contains(op.name)) {
    extra().held.push_back(s);
    return;
  }
  sleeping_.erase({op.due, s});
  op.due = 0;
  produce(make(event_kind::timer_fired, op));
}

void machine::deliver_timer(const event& what) {
  const slot s = expect(what);
  if (s == 0) return;
  settle(s, ops_[s].kind == operation_kind::receive ? settled::elapsed : settled::value);
}

}  // namespace fermata::engine
