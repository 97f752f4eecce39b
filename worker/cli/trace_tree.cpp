// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "worker/cli/events.hpp"
#include "worker/cli/explain.hpp"
#include "worker/cli/text.hpp"
#include "worker/cli/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace fermata::cli {

using engine::event_kind;
using standing = trace_node::standing;

namespace {

constexpr std::size_t page_size = 2'000;

/// Folds a run's events into nodes, in the order in which operations showed up.
class folding {
 public:
  explicit folding(session& s) : session_(s) {}

  void take(const engine::event& what) {
    switch (what.kind) {
      case event_kind::timer_set: {
        const bool patience = what.details.timer().purpose() == 1;
        trace_node& n = node(what, patience ? "signal" : "timer", standing::waiting);
        if (!patience) n.name = "sleep";
        n.note = until_text(session_, what.details.timer().due_us());
        break;
      }
      case event_kind::timer_fired:
        finish(what, standing::done, "");
        break;
      case event_kind::child_started:
        children_[what.operation] =
            engine::run_id::of(engine::ulid::from_view(what.details.child().child()));
        node(what, "child", standing::working);
        break;
      case event_kind::child_completed:
        finish(what, standing::done, "");
        break;
      case event_kind::child_failed:
        finish(what, standing::failed, failure_text(what.details.child_end().why()));
        break;
      case event_kind::step_completed:
        step(what, standing::done);
        break;
      case event_kind::step_failed:
        step(what, standing::failed);
        break;
      case event_kind::step_cancelled:
        step(what, standing::cancelled);
        break;
      case event_kind::step_scheduled:
      case event_kind::attempt_started:
      case event_kind::attempt_failed:
      case event_kind::attempt_crashed:
      case event_kind::suspicion:
        attempt(what);
        break;
      case event_kind::signal_received:
        signal(what);
        break;
      case event_kind::cancel_received:
        lone(what, "cancel", standing::cancelled, clean(what.details.cancel().why()));
        break;
      case event_kind::failing:
        lone(what, "failing", standing::failed, failure_text(what.details.failing().why()));
        break;
      case event_kind::operator_act:
        lone(what, "operator", standing::waiting,
             clean(what.details.act().act() + " by " + what.details.act().who()));
        break;
      default:
        break;
    }
  }
  std::vector<trace_node> take_nodes() { return std::move(nodes_); }
  const std::map<std::string, engine::run_id>& children() const { return children_; }

 private:
  trace_node& node(const engine::event& what, std::string kind, standing how) {
    const auto [at, fresh] = index_.emplace(what.operation, nodes_.size());
    if (fresh) {
      trace_node& n = nodes_.emplace_back();
      n.operation = what.operation;
      n.since = what.at;
      n.kind = std::move(kind);
    }
    trace_node& n = nodes_[at->second];
    if (!what.name.empty()) n.name = clean(what.name);
    if (!what.place.empty()) n.place = clean(what.place.str());
    n.how = how;
    return n;
  }
  void lone(const engine::event& what, std::string kind, standing how, std::string note) {
    trace_node& n = nodes_.emplace_back();
    n.kind = n.name = std::move(kind);
    n.how = how;
    n.note = std::move(note);
    n.since = what.at;
    n.place = clean(what.place.str());
  }
  void finish(const engine::event& what, standing how, std::string note) {
    const auto at = index_.find(what.operation);
    if (at == index_.end()) return;
    trace_node& n = nodes_[at->second];
    n.how = n.kind == "signal" && what.kind == event_kind::timer_fired ? standing::failed : how;
    n.note = n.how == standing::failed && note.empty() ? "nobody sent it" : std::move(note);
    n.took_us = what.at - n.since;
  }
  void step(const engine::event& what, standing how) {
    trace_node& n = node(what, "step", how);
    const pb::step_outcome& d = what.details.step();
    const engine::time_us first = d.first_started_us() != 0 ? d.first_started_us() : d.started_us();
    if (first != 0) {
      n.since = first;
      n.took_us = what.at - first;
    }
    n.attempts = d.attempts();
    n.note = how == standing::done ? "" : failure_text(d.why());
  }
  void attempt(const engine::event& what) {
    const pb::attempt& d = what.details.attempt();
    trace_node& n = node(what, "step", standing::working);
    if (!d.step().empty()) n.name = clean(d.step());
    n.attempts = std::max(n.attempts, d.number());
    n.took_us.reset();
    n.note.clear();
    const bool put = what.kind == event_kind::attempt_started && !d.queue().empty();
    if (what.kind == event_kind::step_scheduled || put) {
      n.how = standing::waiting;
      n.note = d.queue().empty() ? "queued" : "queued for " + clean(d.queue());
    } else if (what.kind != event_kind::attempt_started) {
      n.how = standing::waiting;
      n.note = what.kind == event_kind::attempt_failed    ? failure_text(d.why())
               : what.kind == event_kind::attempt_crashed ? "crashed"
                                                          : "its worker died";
      if (d.next_due_us() != 0) n.note += ", next " + session_.time(d.next_due_us());
    }
  }
  void signal(const engine::event& what) {
    for (trace_node& n : nodes_)
      if (n.kind == "signal" && n.how == standing::waiting && n.name == clean(what.name)) {
        n.how = standing::done;
        n.note.clear();
        n.took_us = what.at - n.since;
        return;
      }
    lone(what, "signal", standing::done, "");
    nodes_.back().name = clean(what.name);
  }

  session& session_;
  std::vector<trace_node> nodes_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, engine::run_id> children_;
};

standing standing_of(const engine::run_row& row) {
  using engine::run_state;
  if (row.attention != engine::attention::none && !engine::ended(row.state))
    return standing::waiting;
  switch (row.state) {
    case run_state::waiting_to_start:
      return standing::waiting;
    case run_state::running:
    case run_state::compensating:
      return standing::working;
    case run_state::completed:
    case run_state::continued:
      return standing::done;
    case run_state::failed:
    case run_state::expired:
      return standing::failed;
    case run_state::cancelled:
    case run_state::terminated:
      return standing::cancelled;
  }
  return standing::working;
}

/// Finished operations in a row, under one name each.
std::vector<trace_node> folded(std::vector<trace_node> nodes) {
  std::vector<trace_node> out;
  std::int64_t skipped = 0;
  const auto flush = [&] {
    if (skipped == 0) return;
    trace_node& n = out.emplace_back();
    n.kind = "folded";
    n.how = standing::done;
    n.name = count_of(skipped, "operation") + " done";
    skipped = 0;
  };
  for (trace_node& one : nodes) {
    if (one.how == standing::done && one.below.empty()) {
      ++skipped;
      continue;
    }
    flush();
    out.push_back(std::move(one));
  }
  flush();
  return out;
}

}  // namespace

trace_node trace_of(session& s, const engine::run_row& row, const trace_shape& shape) {
  trace_node root;
  root.kind = "run";
  root.name = clean(row.workflow);
  root.run = row;
  root.how = standing_of(row);
  root.since = row.started != 0 ? row.started : row.requested;
  if (row.ended != 0) root.took_us = row.ended - root.since;
  root.note = clean(row.error.empty() ? row.report : row.error);
  if (root.note.empty() && !engine::ended(row.state)) root.note = clean(row.status);
  if (row.started == 0) return root;
  folding fold(s);
  for (engine::position_t from = 1;;) {
    const auto page = must(s.store().read_events(row.run, from, page_size));
    for (const engine::encoded_event& stored : page)
      if (const auto event = engine::decode_envelope(row.run, stored); event.ok())
        fold.take(*event);
    if (page.size() < page_size) break;
    from = page.back().position + 1;
  }
  root.below = fold.take_nodes();
  for (trace_node& one : root.below) {
    const auto child = fold.children().find(one.operation);
    if (one.kind != "child" || child == fold.children().end()) continue;
    const auto found = s.store().find_chain(child->second);
    if (!found.ok()) continue;
    const bool closed = shape.depth <= 1 || (shape.fold && engine::ended(found->state));
    trace_node below = closed ? trace_node{} : trace_of(s, *found, {shape.depth - 1, shape.fold});
    one.run = *found;
    one.below = std::move(below.below);
    if (!engine::ended(found->state)) one.how = standing_of(*found);
  }
  if (shape.fold) root.below = folded(std::move(root.below));
  return root;
}

}  // namespace fermata::cli
