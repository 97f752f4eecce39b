// SPDX-License-Identifier: Apache-2.0
// Messages: signals wait in the mail until a receive of their name takes them, the oldest first; a
// receive that lost its patience takes none.
#include "engine/replay/machine.hpp"

#include <algorithm>

namespace fermata::engine {

void machine::ask_receive(slot s, const request& what) {
  if (auto m = mail_.find(ops_[s].name); m != mail_.end() && !m->second.empty()) {
    ops_[s].value = std::move(m->second.front().first);
    m->second.pop_front();
    return settle(s, settled::value);
  }
  queue<slot>& waiting = waiting_[ops_[s].name];
  while (!waiting.empty() && ops_[waiting.front()].how != settled::pending) waiting.pop_front();
  waiting.push_back(s);
  if (what.patience_ms) ask_timer(s, what);
}

void machine::receive(const message& what) {
  if (!live_ || mismatch_ || ended_ || closed_) return;
  if (what.kind == message_kind::child_ended) return take_child_end(what);
  if (what.kind == message_kind::step_outcome) return take_task_end(what);
  produced made;
  made.consumes = what.seq;
  event& e = made.what;
  e.at = clock_;
  e.name = what.name;
  if (what.kind == message_kind::cancel) {
    e.kind = event_kind::cancel_received;
    *e.details.mutable_cancel() = what.details.cancel();
    e.details.mutable_cancel()->set_message(std::string(what.id.view()));
    return produce(std::move(made));
  }
  e.kind = event_kind::signal_received;
  e.value = what.value;
  pb::signal_received& s = *e.details.mutable_signal();
  s.set_message(std::string(what.id.view()));
  if (!what.sender.empty()) s.set_sender(std::string(what.sender.view()));
  s.set_accepted_us(what.accepted);
  s.set_type(what.value.type);
  ++mail_under_way_[what.name];
  produce(std::move(made));
}

void machine::deliver_signal(const event& what) {
  if (auto m = mail_under_way_.find(what.name); m != mail_under_way_.end() && --m->second == 0)
    mail_under_way_.erase(m);
  if (fold_only_ && !failing_) return;
  auto waiting = waiting_.find(what.name);
  while (waiting != waiting_.end() && !waiting->second.empty()) {
    const slot s = waiting->second.front();
    waiting->second.pop_front();
    if (ops_[s].how != settled::pending) continue;
    ops_[s].value = what.value;
    if (ops_[s].due != 0) removed_timers_.push_back(ops_[s].id);
    return settle(s, settled::value);
  }
  mail_[what.name].emplace_back(what.value, what.details.signal().message());
}

}  // namespace fermata::engine
