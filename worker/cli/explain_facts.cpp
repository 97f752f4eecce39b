// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/replay/mismatch.hpp"
#include "worker/cli/crash.hpp"
#include "worker/cli/events.hpp"
#include "worker/cli/explain.hpp"
#include "worker/cli/text.hpp"

#include <algorithm>
#include <map>

namespace fermata::cli {

using engine::event_kind;

namespace {

constexpr std::size_t page_size = 2'000;

class folding {
 public:
  void take(const engine::event& what) {
    switch (what.kind) {
      case event_kind::timer_set: {
        const pb::timer_set& d = what.details.timer();
        in_flight& op =
            begin(what, d.purpose() == 1 ? in_flight::what::receive : in_flight::what::sleep);
        op.due = d.due_us();
        break;
      }
      case event_kind::child_started:
        begin(what, in_flight::what::child).child =
            engine::run_id::of(engine::ulid::from_view(what.details.child().child()));
        break;
      case event_kind::step_scheduled:
      case event_kind::attempt_started:
      case event_kind::attempt_failed:
      case event_kind::attempt_crashed:
      case event_kind::suspicion:
        attempt(what);
        break;
      case event_kind::step_completed:
      case event_kind::step_failed:
      case event_kind::step_cancelled:
      case event_kind::timer_fired:
      case event_kind::child_completed:
      case event_kind::child_failed:
        open_.erase(what.operation);
        break;
      case event_kind::signal_received:
        signalled(what.name);
        break;
      default:
        break;
    }
  }
  std::vector<in_flight> operations() const {
    std::vector<in_flight> all;
    for (const auto& [operation, op] : open_) all.push_back(op);
    std::ranges::sort(all, {}, &in_flight::since);
    return all;
  }

 private:
  in_flight& begin(const engine::event& what, in_flight::what kind) {
    in_flight& op = open_[what.operation];
    op.kind = kind;
    op.operation = what.operation;
    op.name = clean(what.name);
    op.place = clean(what.place.str());
    op.since = what.at;
    return op;
  }
  void attempt(const engine::event& what) {
    if (what.operation.empty()) return;  // the workflow's own code went down, no operation
    const pb::attempt& d = what.details.attempt();
    in_flight& op =
        open_.contains(what.operation) ? open_[what.operation] : begin(what, in_flight::what::step);
    if (!d.step().empty()) op.name = clean(d.step());
    if (!what.place.empty()) op.place = clean(what.place.str());
    if (!d.queue().empty()) op.queue = clean(d.queue());
    // Of one on a queue of its own the store knows more.
    op.executing = what.kind == event_kind::attempt_started && d.queue().empty();
    op.queued = what.kind == event_kind::attempt_started && !d.queue().empty();
    if (what.kind == event_kind::attempt_failed || what.kind == event_kind::attempt_crashed) {
      op.attempts = std::max(op.attempts, d.number());
      op.error = failure_text(d.why());
      if (op.error.empty()) op.error = crash_text(d);
      op.due = d.next_due_us();
    }
  }
  /// The oldest receive of that name has it.
  void signalled(const std::string& name) {
    auto oldest = open_.end();
    for (auto it = open_.begin(); it != open_.end(); ++it)
      if (it->second.kind == in_flight::what::receive && it->second.name == clean(name) &&
          (oldest == open_.end() || it->second.since < oldest->second.since))
        oldest = it;
    if (oldest != open_.end()) open_.erase(oldest);
  }

  std::map<std::string, in_flight> open_;
};

void fold(session& s, run_facts& facts) {
  folding fold;
  for (engine::position_t from = 1;;) {
    const auto page = must(s.store().read_events(facts.row.run, from, page_size));
    for (const engine::encoded_event& stored : page) {
      const auto event = engine::decode_envelope(facts.row.run, stored);
      if (!event.ok()) {
        if (facts.damage.empty()) facts.damage = std::string(event.status().message());
        continue;
      }
      fold.take(*event);
      facts.crash.take(*event);
      facts.compensated = facts.compensated || is_undoing(*event);
      if (event->kind == event_kind::signal_received) facts.signals[event->name] = event->position;
      facts.events = event->position;
      facts.last_event_at = event->at;
      facts.last_event = engine::describe(*event);
      if (event->kind == event_kind::operator_act) {
        facts.last_act = event->details.act();
        facts.last_act_at = event->at;
      }
    }
    if (page.size() < page_size) break;
    from = page.back().position + 1;
  }
  facts.operations = fold.operations();
  for (in_flight& op : facts.operations)
    if (op.kind == in_flight::what::child)
      if (const auto child = s.store().find_chain(op.child); child.ok())
        op.child_state = child->state;
}

}  // namespace

bool run_facts::served_now(std::string_view kind, std::string_view name) const {
  return std::ranges::any_of(
      serving, [&](const auto& row) { return row.alive && row.kind == kind && row.name == name; });
}

bool run_facts::ever_served(std::string_view kind, std::string_view name) const {
  return std::ranges::any_of(serving,
                             [&](const auto& row) { return row.kind == kind && row.name == name; });
}

run_facts facts_of(session& s, const engine::run_row& row) {
  run_facts facts;
  facts.row = row;
  facts.now = s.now();
  facts.boot_now = s.store().boot_now();
  facts.inbox = must(s.store().inbox(row.chain));
  facts.serving = must(s.store().serving());
  facts.all_workers = must(s.store().workers());
  for (const engine::worker_row& one : facts.all_workers) {
    if (one.row == row.owner && row.owner != 0) facts.owner = one;
    if (!one.dead && !one.gone) facts.workers.push_back(one);
  }
  if (row.started == 0) return facts;
  facts.timers = must(s.store().timers(row.run));
  facts.tasks = must(s.store().tasks(row.run));
  fold(s, facts);
  return facts;
}

}  // namespace fermata::cli
