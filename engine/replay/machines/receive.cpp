// SPDX-License-Identifier: Apache-2.0
// Messages: signals wait in the mail until a receive of their name takes them, the oldest first; a
// receive that lost its patience takes none.
#include "engine/replay/machine.hpp"

#include <algorithm>

namespace fermata::engine {

/// Those of `waiting_` that wait for this name.
std::pair<std::vector<slot>::iterator, std::vector<slot>::iterator> machine::waiting_for(
    std::string_view name) {
  const auto name_of = [this](slot s) { return std::string_view(ops_[s].name); };
  const auto found = std::ranges::equal_range(waiting_, name, {}, name_of);
  return {found.begin(), found.end()};
}

void machine::ask_receive(slot s, const request& what) {
  if (!seen().mail.empty())
    if (auto m = extra().mail.find(ops_[s].name); m != extra().mail.end() && !m->second.empty()) {
      ops_[s].value = std::move(m->second.front().first);
      m->second.pop_front();
      return settle(s, settled::value);
    }
  const auto [first, last] = waiting_for(ops_[s].name);
  const auto pending =
      std::find_if(first, last, [this](slot other) { return ops_[other].how == settled::pending; });
  waiting_.insert(waiting_.erase(first, pending) + (last - pending), s);
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
  ++extra().mail_under_way[what.name];
  produce(std::move(made));
}

void machine::deliver_signal(const event& what) {
  if (!seen().mail_under_way.empty()) {
    auto& under_way = extra().mail_under_way;
    if (auto m = under_way.find(what.name); m != under_way.end() && --m->second == 0)
      under_way.erase(m);
  }
  if (fold_only_ && !failing_) return;
  const auto [first, last] = waiting_for(what.name);
  const auto pending =
      std::find_if(first, last, [this](slot other) { return ops_[other].how == settled::pending; });
  if (pending != last) {
    const slot s = *pending;
    waiting_.erase(first, pending + 1);
    ops_[s].value = what.value;
    if (ops_[s].due != 0) extra().removed_timers.push_back(ops_[s].id);
    return settle(s, settled::value);
  }
  waiting_.erase(first, last);
  extra().mail[what.name].emplace_back(what.value, what.details.signal().message());
}

}  // namespace fermata::engine
