// SPDX-License-Identifier: Apache-2.0
// What the code asks: operations, branches, chance.
#include "engine/event/checks.hpp"
#include "engine/planted.hpp"
#include "engine/replay/machine.hpp"
#include "engine/utf8.hpp"

#include <fmt/format.h>

namespace fermata::engine {

namespace {
bool is_awaited(operation_kind kind) { return kind <= operation_kind::receive; }

/// What the code calls things enters events, which must stay readable.
void make_utf8(request& what) {
  for (std::string* text : {&what.name, &what.child.key, &what.child.queue, &what.plan.queue})
    if (!is_utf8(*text)) *text = as_utf8(*text);
  if (what.undo && !is_utf8(what.undo->name)) what.undo->name = as_utf8(what.undo->name);
  if (what.undo && !is_utf8(what.undo->plan.queue))
    what.undo->plan.queue = as_utf8(what.undo->plan.queue);
}
operation made_of(request& what) {
  make_utf8(what);
  operation made;
  made.kind = what.kind;
  made.name = std::move(what.name);
  made.place = std::move(what.place);
  made.input = std::move(what.input);
  return made;
}
}  // namespace

slot machine::ask(slot branch, request&& what) {
  operation made = made_of(what);
  made.branch = branch;
  made.id = next_id(branch);
  made.input_hash = hash_of(made.input);
  made.issued_at = now_;
  const slot op = add(std::move(made));
  ++pending_;
  if (over()) return op;
  const bool refused = branch_cancelled(branch) && !planted("cancelled_run_goes_on");
  if (is_awaited(what.kind) && refused) {
    settle(op, settled::cancelled);
    return op;
  }
  if (is_awaited(what.kind) && pending_ > static_cast<int>(options_.operations_max)) {
    pb::failure why;
    why.set_type("too_many_operations");
    why.set_code("FER-1403");
    why.set_message(fmt::format(
        "more than {} operations in flight; await some of them first, or use map with at_most",
        options_.operations_max));
    fail(op, why);
    return op;
  }
  switch (what.kind) {
    case operation_kind::step:
    case operation_kind::local:
    case operation_kind::transaction:
      ask_step(op, what);
      break;
    case operation_kind::child:
      ask_child(op, what);
      break;
    case operation_kind::timer:
      ask_timer(op, what);
      break;
    case operation_kind::receive:
      ask_receive(op, what);
      break;
    case operation_kind::publish:
    case operation_kind::tag:
      ask_written(op);
      break;
    case operation_kind::send:
      ask_send(op, what);
      break;
    case operation_kind::compensation: {
      payload input = ops_[op].input;
      ask_compensation(op, *what.undo, std::move(input), {});
      settle(op, settled::value);
      break;
    }
    default:
      break;
  }
  return op;
}

slot machine::open_branch(slot branch, bool shielded) {
  operation made;
  made.kind = operation_kind::branch;
  made.branch = branch;
  made.id = next_id(branch);
  made.issued_at = now_;
  made.inner = std::make_unique<branch_state>();
  made.inner->shielded = shielded;
  made.inner->cancelled = !shielded && branch_cancelled(branch);
  ++open_branches_;
  open_shields_ += shielded;
  return add(std::move(made));
}

std::uint64_t machine::random(slot branch) {
  operation& b = ops_[branch];
  if (planted("random_from_the_clock")) return siphash24(seed_, std::to_string(clock_));
  return siphash24(seed_, fmt::format("{}#{}", b.id, ++b.inner->drawn));
}

bool machine::patched(slot branch, std::string_view change, interned place) {
  operation op;
  op.kind = operation_kind::marker;
  op.branch = branch;
  op.name = std::string(change);
  op.place = place;
  if (auto known = extra().markers.find(change); known != extra().markers.end()) {
    // The first answer holds for the whole run; a recorded one is compared the first time only.
    if (!std::exchange(known->second.compared, true)) (void)ask_command(event_kind::marker, op);
    return known->second.answer;
  }
  const bool old_code_went_past = delivered_ < history_end_ && !planted("patched_is_always_true");
  extra().markers.emplace(op.name, machine::change{!old_code_went_past, true});
  if (old_code_went_past) return false;
  if (over() || !ask_command(event_kind::marker, op)) return true;
  produce(make(event_kind::marker, op));
  gate_ = produced_count_;
  return true;
}

void machine::ask_written(slot s) {
  const event_kind kind =
      ops_[s].kind == operation_kind::publish ? event_kind::published : event_kind::tagged;
  if (ask_command(kind, ops_[s])) {
    event e = make(kind, ops_[s]);
    e.value = ops_[s].input;
    e.details.mutable_written()->set_input_hash(ops_[s].input_hash);
    e.details.mutable_written()->set_type(ops_[s].input.type);
    produce(std::move(e));
  }
  ops_[s].input = {};
  settle(s, settled::value);
}

void machine::ask_send(slot s, request& what) {
  if (ask_command(event_kind::signal_sent, ops_[s])) {
    const operation& op = ops_[s];
    message m;
    m.id = message_id::of(child_run_id(options_.run, op.id, now_));
    m.to = what.to;
    m.kind = message_kind::signal;
    m.name = op.name;
    m.value = op.input;
    m.sender = options_.run;
    produced made;
    made.what = make(event_kind::signal_sent, op);
    made.what.value = op.input;
    pb::sent& sent = *made.what.details.mutable_sent();
    sent.set_chain(std::string(what.to.view()));
    sent.set_message(std::string(m.id.view()));
    sent.set_input_hash(op.input_hash);
    made.send = std::move(m);
    produce(std::move(made));
  }
  ops_[s].input = {};
  settle(s, settled::value);
}

}  // namespace fermata::engine
