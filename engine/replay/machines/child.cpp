// SPDX-License-Identifier: Apache-2.0
// A child run: `child_started` and the child's start request are one transaction; its end comes
// back as a message.
#include "engine/event/checks.hpp"
#include "engine/planted.hpp"
#include "engine/replay/machine.hpp"

namespace fermata::engine {

void machine::ask_child(slot s, request& what) {
  child_asked_ = true;
  foreseen was;
  if (!ask_command(event_kind::child_started, ops_[s], &was)) {
    ops_[s].child = was.child;
    ops_[s].close_policy = was.close_policy;
    ops_[s].input = {};
    if (!ops_[s].is_left_alone()) ++children_pending_;
    return;
  }
  operation& op = ops_[s];
  op.child = child_run_id(options_.run, op.id, now_);
  op.close_policy = what.child.close_policy;
  if (!op.is_left_alone()) ++children_pending_;
  produced made;
  made.what = make(event_kind::child_started, op);
  pb::child_started& c = *made.what.details.mutable_child();
  c.set_child(std::string(op.child.view()));
  c.set_close_policy(what.child.close_policy);
  c.set_input_hash(op.input_hash);
  c.set_input_type(op.input.type);
  c.set_key(what.child.key);
  start_request start;
  made.what.value = op.input;
  start.run = start.chain = start.origin = op.child;
  const auto drawn = sha256(std::string(seed_.view()) + "child" + op.id);
  start.seed.assign(reinterpret_cast<const char*>(drawn.data()), 16);
  start.space = options_.space;
  start.workflow = op.name;
  start.input = std::move(op.input);
  start.queue = what.child.queue.empty() ? queue_.str() : what.child.queue;
  start.priority = what.child.priority.value_or(priority_);
  start.requested = clock_;
  start.deadline = what.child.deadline_ms > 0 ? later(now_, what.child.deadline_ms) : 0;
  start.key = what.child.key;
  start.parent = options_.run;
  start.parent_chain = options_.chain;
  start.parent_operation = op.id;
  start.close_policy = what.child.close_policy;
  made.child = std::move(start);
  op.input = {};
  produce(std::move(made));
}

void machine::take_child_end(const message& what) {
  const slot s = find(what.operation);
  const pb::child_ended& end = what.details.child_end();
  const bool told = s != 0 && !takes_outcome(ops_[s]) && !planted("childs_end_twice");
  if (s == 0 || told || ops_[s].child != run_id::of(ulid::from_view(end.child()))) {
    extra().dropped.push_back(what.seq);
    return;
  }
  ops_[s].answered = true;
  produced made;
  made.consumes = what.seq;
  const bool good = end.state() == static_cast<int>(run_state::completed);
  made.what = make(good ? event_kind::child_completed : event_kind::child_failed, ops_[s]);
  *made.what.details.mutable_child_end() = end;
  made.what.details.mutable_child_end()->set_message(std::string(what.id.view()));
  made.what.value = what.value;
  produce(std::move(made));
}

void machine::deliver_child(event& what) {
  const slot s = expect(what);
  if (s == 0) return;
  operation& op = ops_[s];
  if (what.kind == event_kind::child_completed) {
    op.value = std::move(what.value);
    settle(s, settled::value);
  } else if (op.cancel_asked &&
             what.details.child_end().state() == static_cast<int>(run_state::cancelled)) {
    settle(s, settled::cancelled);
  } else {
    fail(s, what.details.child_end().why());
  }
  if (failing_) go_on_ending();
}

}  // namespace fermata::engine
