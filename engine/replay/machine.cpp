// SPDX-License-Identifier: Apache-2.0
#include "engine/replay/machine.hpp"

#include "engine/check.hpp"
#include "engine/event/checks.hpp"
#include "engine/limits.hpp"
#include "engine/planted.hpp"

#include <algorithm>
#include <charconv>

namespace fermata::engine {

std::size_t machine_options::limits_recorded_input() noexcept { return limits::recorded_input_max; }
std::size_t machine_options::limits_operations() noexcept { return limits::operations_in_flight; }

machine::machine(machine_options options) : options_(std::move(options)) {
  operation root;
  root.inner = std::make_unique<branch_state>();
  ops_.push_back(std::move(root));
}

// ---- the journal tells ----

void machine::foresee(const event& command) {
  foreseen f{
      command.position, command.kind, command.operation, command.name, command.place, 0, 0, 0, {}};
  const pb::details& d = command.details;
  switch (command.kind) {
    case event_kind::timer_set:
      f.due = d.timer().due_us();
      break;
    case event_kind::child_started:
      f.input_hash = d.child().input_hash(), f.input_type = d.child().input_type();
      f.child = run_id::of(ulid::from_view(d.child().child()));
      f.close_policy = d.child().close_policy();
      break;
    case event_kind::marker:
      extra().markers.emplace(command.name, change{true, false});
      break;
    case event_kind::published:
    case event_kind::tagged:
      f.input_hash = d.written().input_hash(), f.input_type = d.written().type();
      break;
    case event_kind::signal_sent:
      f.input_hash = d.sent().input_hash(), f.input_type = command.value.type;
      break;
    case event_kind::compensation_registered:
      f.input_hash = d.compensation().input_hash(), f.input_type = d.compensation().input_type();
      f.registered = registered_by(command);
      break;
    default:
      break;
  }
  recorded_.push_back(std::move(f));
}

void machine::deliver(event what) {
  if (mismatch_) return;
  FERMATA_CHECK(what.position == delivered_ + 1, "run {}: event {} was delivered after event {}",
                options_.run.text(), what.position, delivered_);
  FERMATA_CHECK(!ended_, "run {}: event {} follows the end", options_.run.text(), what.position);
  delivered_ = what.position;
  latest_ = std::max(latest_, what.at);
  set_time(what.at);
  const event_class c = class_of(what.kind);
  if (live_ && c == event_class::outcome && outcomes_under_way_ > 0) --outcomes_under_way_;
  // Only an owner whose code came through all before writes one of these.
  if (c == event_class::command || c == event_class::outcome) code_crashes_ = 0;
  switch (c) {
    case event_class::start:
      return deliver_start(what);
    case event_class::command:
      return deliver_command(what);
    case event_class::outcome:
      now_ = std::max(now_, what.at);
      return deliver_outcome(what);
    case event_class::note:
      return deliver_note(what);
    case event_class::end:
      return deliver_end(what);
  }
}

void machine::deliver_start(const event& what) {
  const pb::started& s = what.details.started();
  seed_ = bytes16(s.seed());
  origin_ = run_id::of(ulid::from_view(s.origin()));
  if (!s.parent_chain().empty())
    parent_ = parent_place{run_id::of(ulid::from_view(s.parent_chain())), s.parent_operation()};
  queue_ = s.queue();
  priority_ = s.priority();
  deadline_ = s.deadline_us();
  epoch_ = what.epoch;
  ops_[0].input = what.value;
  ops_[0].name = what.name;
  now_ = what.at;
}

void machine::deliver_command(const event& what) {
  if (fold_only_ && !failing_) {
    if (what.kind == event_kind::compensation_registered) deliver_compensation(what);
    return;
  }
  ++confirmed_;
  if (confirmed_ <= asked_ || planted("dropped_command_unnoticed")) return;
  differ({.position = what.position,
          .operation = what.operation,
          .recorded = describe(what),
          .recorded_place = what.place,
          .asked = {},
          .asked_place = {},
          .differs = "order"});
}

void machine::deliver_outcome(event& what) {
  if (what.kind == event_kind::signal_received) return deliver_signal(what);
  if (what.kind == event_kind::cancel_received) return deliver_cancel(what);
  if (fold_only_ && !failing_) return;
  // Late: what was in flight when the run began to fail is abandoned.
  if (failing_ && !what.operation.starts_with("c.")) return;
  switch (what.kind) {
    case event_kind::step_completed:
    case event_kind::step_failed:
    case event_kind::step_cancelled:
      return deliver_step(what);
    case event_kind::timer_fired:
      return deliver_timer(what);
    case event_kind::child_completed:
    case event_kind::child_failed:
      return deliver_child(what);
    default:
      return;
  }
}

void machine::deliver_note(const event& what) {
  switch (what.kind) {
    case event_kind::owner_changed:
      epoch_ = what.details.owner().epoch();
      return;
    case event_kind::failing:
      return deliver_failing(what);
    case event_kind::operator_act:
      return deliver_act(what);
    case event_kind::attempt_started:
    case event_kind::attempt_failed:
    case event_kind::attempt_crashed:
    case event_kind::suspicion:
      if (fold_only_ && !failing_) return;
      return deliver_attempt(what);
    default:
      return;
  }
}

/// An id says the way: `3.2` is the second that the third of the root issued.
slot machine::find(std::string_view id) const {
  const std::string_view whole = id;
  const bool undoes = id.starts_with("c.");
  if (undoes) id.remove_prefix(2);
  slot found = 0;
  while (!id.empty()) {
    const std::vector<slot>* const among = undoes              ? &seen().undone
                                           : ops_[found].inner ? &ops_[found].inner->members
                                                               : nullptr;
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
    if (among == nullptr || error != std::errc{} || number == 0 || number > among->size()) return 0;
    found = (*among)[number - 1];
    const bool more = end != id.data() + id.size();
    id.remove_prefix(static_cast<std::size_t>(end - id.data()) + (more ? 1 : 0));
    if (undoes) break;
  }
  return found != 0 && ops_[found].id == whole ? found : 0;
}

namespace {
/// What of an outcome isn't as the code asked; empty when all is.
std::string_view difference_of(const event& what, const operation& op) {
  const pb::step_outcome& s = what.details.step();
  const bool is_step = what.details.has_step();
  if (is_step && s.operation_kind() != static_cast<int>(op.kind)) return "kind";
  if (what.kind == event_kind::timer_fired && op.kind != operation_kind::timer &&
      op.kind != operation_kind::receive)
    return "kind";
  if (what.details.has_child_end() && op.kind != operation_kind::child) return "kind";
  if (what.name != op.name && !planted("changed_name_unnoticed")) return "name";
  if (is_step && s.input_type() == op.input.type && s.input_hash() != 0 && op.input_hash != 0 &&
      s.input_hash() != op.input_hash)
    return "input";
  return {};
}
}  // namespace

/// The operation that an outcome answers; 0 when the outcome means nothing any more, or when the code
/// has changed (then `difference` says how).
slot machine::expect(const event& what) {
  const slot found = find(what.operation);
  if (found == 0) {
    differ({.position = what.position,
            .operation = what.operation,
            .recorded = describe(what),
            .recorded_place = what.place,
            .asked = {},
            .asked_place = {},
            .differs = "order"});
    return 0;
  }
  operation& op = ops_[found];
  if (const std::string_view differs = difference_of(what, op); !differs.empty()) {
    differ({.position = what.position,
            .operation = what.operation,
            .recorded = describe(what),
            .recorded_place = what.place,
            .asked = describe(op.kind, op.name),
            .asked_place = op.place,
            .differs = std::string(differs)});
    return 0;
  }
  return op.how == settled::pending ? found : 0;
}

const mismatch& machine::difference() const noexcept {
  static const mismatch none;
  return mismatch_ ? *mismatch_ : none;
}

void machine::differ(mismatch&& what) {
  if (mismatch_) return;
  mismatch_ = std::move(what);
  events_.clear();
  starts_.clear();
  (void)taken(&extras::to_put);
}

void machine::undecodable(std::string_view what, std::string_view place) {
  differ({.position = delivered_,
          .operation = {},
          .recorded = {},
          .recorded_place = {},
          .asked = std::string(what),
          .asked_place = std::string(place),
          .differs = "value"});
}

void machine::stand() {
  if (mismatch_) return;
  if (live_)
    for (slot s : taken(&extras::held))
      if (ops_[s].how == settled::pending) timer_due(ops_[s].id, timer_purpose::patience);
  end_unbegun();
  go_on_ending();
}

void machine::go_live() {
  if (mismatch_ || live_) return;
  live_ = true;
  (void)taken(&extras::removed_timers);
  const auto each_step = [this](auto what) {
    for (slot s = first_pending_; s < ops_.size(); ++s)
      if (ops_[s].is_work() && (!failing_ || ops_[s].undoes())) what(s);
  };
  each_step([this](slot s) {
    ops_[s].step->inherited = true;
    const bool asks = ops_[s].step->plan.on_crash == 2 && vanished(ops_[s]);
    if (asks && !must_stop(ops_[s])) asks_people_ = s;
  });
  each_step([this](slot s) { must_stop(ops_[s]) ? stop(s) : want_start(s); });
  end_unbegun();
  go_on_ending();
}

// ---- operations ----

std::string machine::next_id(slot branch) {
  operation& b = ops_[branch];
  const std::string n = std::to_string(b.inner->members.size() + 1);
  return b.id.empty() ? n : b.id + "." + n;
}

slot machine::add(operation&& op) {
  const auto made = static_cast<slot>(ops_.size());
  (op.undoes() ? extra().undone : ops_[op.branch].inner->members).push_back(made);
  ops_.push_back(std::move(op));
  return made;
}

void machine::settle(slot s, settled how) {
  operation& op = ops_[s];
  if (op.how != settled::pending) return;
  op.how = how;
  settled_.push_back(s);
  if (op.inner) return;
  --pending_;
  if (op.due != 0) sleeping_.erase({op.due, s});
  if (op.kind == operation_kind::child && op.answers()) --children_pending_;
  if (op.step) {
    --work_pending_;
    if (op.step->refused) --refused_;
    task_is_gone(s);
    retrying_.erase({op.step->next_due, s});
    op.step.reset();
  }
  op.input = {};
  while (first_pending_ < ops_.size() && ops_[first_pending_].how != settled::pending)
    ++first_pending_;
}

void machine::end_branch(slot s) {
  branch_state& b = *ops_[s].inner;
  if (std::exchange(b.ended, true) || s == 0) return;
  --open_branches_;
  open_shields_ -= b.shielded;
}

/// Saturating: a user's "for ever" is a duration, too.
time_us machine::later(time_us from, std::int64_t ms) noexcept {
  constexpr std::int64_t century_ms = 100LL * 366 * 24 * 3600 * 1000;
  return from + std::clamp<std::int64_t>(ms, 0, century_ms) * 1000;
}

void machine::fail(slot s, const pb::failure& why) {
  ops_[s].why = std::make_unique<pb::failure>(why);
  settle(s, settled::failed);
}

std::uint64_t machine::hash_of(const payload& input) const {
  if (!input.present() || !input.canonical) return 0;
  return siphash24(seed_, input.bytes);
}

event machine::make(event_kind kind, const operation& op) const {
  event made;
  made.kind = kind;
  made.at = clock_;
  made.operation = op.id;
  made.name = op.name;
  made.place = op.place;
  return made;
}

void machine::produce(event&& what) {
  produced made;
  made.what = std::move(what);
  produce(std::move(made));
}

void machine::produce(produced&& what) {
  if (mismatch_ || closed_) return;
  ++produced_count_;
  if (consuming_ != 0) what.consumes = std::exchange(consuming_, 0);
  const event_class c = class_of(what.what.kind);
  if (c == event_class::outcome) ++outcomes_under_way_;
  if (c == event_class::end) closed_ = true;
  events_.push_back(std::move(what));
}

bool machine::ask_command(event_kind kind, const operation& op, foreseen* was) {
  ++asked_;
  if (recorded_.empty()) return true;
  foreseen f = std::move(recorded_.front());
  recorded_.pop_front();
  std::string differs;
  if (f.kind != kind)
    differs = "kind";
  else if (f.name != op.name)
    differs = "name";
  else if (f.operation != op.id)
    differs = "order";
  else if (f.input_type == op.input.type && f.input_hash != 0 && op.input_hash != 0 &&
           f.input_hash != op.input_hash && !planted("changed_input_unnoticed"))
    differs = "input";
  if (!differs.empty()) {
    mismatch m{.position = f.position,
               .operation = f.operation,
               .recorded = describe(f.kind, f.name),
               .recorded_place = f.place,
               .asked = describe(kind, op.name),
               .asked_place = op.place,
               .differs = differs};
    if (differs == "order") m.asked += " as operation " + op.id;
    differ(std::move(m));
  }
  if (was) *was = std::move(f);
  return false;
}

run_state machine::state() const noexcept {
  if (ended_) return end_state_;
  return failing_ ? run_state::compensating : run_state::running;
}

}  // namespace fermata::engine
