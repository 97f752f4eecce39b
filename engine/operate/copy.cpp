// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/copy.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

namespace fermata::engine {
namespace {

bool is_undoing(const event& what) { return what.operation.starts_with("c."); }

bool is_attempt_note(event_kind kind) {
  return kind == event_kind::attempt_started || kind == event_kind::attempt_failed ||
         kind == event_kind::attempt_crashed || kind == event_kind::suspicion;
}

/// Answers an operation, and isn't a message.
bool answers(const event& what) {
  return class_of(what.kind) == event_class::outcome && !what.operation.empty();
}

const event* first_of(const std::vector<event>& history, event_kind kind) {
  const auto at = std::ranges::find(history, kind, &event::kind);
  return at == history.end() ? nullptr : &*at;
}

bool is_failure(const event& what, const pb::failure& why) {
  if (is_undoing(what)) return false;
  const pb::failure* own = nullptr;
  if (what.kind == event_kind::step_failed) own = &what.details.step().why();
  if (what.kind == event_kind::child_failed) own = &what.details.child_end().why();
  return own != nullptr && own->type() == why.type() && own->message() == why.message();
}

struct child_story {
  kept_child child;
  const event* end = nullptr;
};

std::vector<child_story> children_of(const std::vector<event>& history) {
  std::vector<child_story> children;
  std::map<std::string, std::size_t> by_operation;
  for (const event& what : history) {
    if (is_undoing(what)) continue;
    if (what.kind == event_kind::child_started) {
      const chain_id chain = run_id::of(ulid::from_view(what.details.child().child()));
      by_operation[what.operation] = children.size();
      children.push_back({{chain, what.operation, what.name, what.position}, nullptr});
    } else if (what.kind == event_kind::child_completed || what.kind == event_kind::child_failed) {
      const auto child = by_operation.find(what.operation);
      if (child != by_operation.end()) children[child->second].end = &what;
    }
  }
  return children;
}

bool went_wrong(const child_story& story, const child_look& look) {
  if (story.end != nullptr) return story.end->kind == event_kind::child_failed;
  const std::optional<run_state> state = look(story.child.chain);
  return state && *state != run_state::completed;
}

/// A child's end comes once. A child in flight at the cut that failed, or was ended with its parent,
/// has to be started anew: the cut moves before its start, until none is left.
position_t before_lost_children(position_t cut, const std::vector<child_story>& children,
                                const child_look& look) {
  for (auto story = children.rbegin(); story != children.rend(); ++story) {
    if (story->child.started >= cut) continue;
    const bool settled = story->end != nullptr && story->end->position < cut;
    if (!settled && went_wrong(*story, look)) cut = story->child.started;
  }
  // A lower cut may have put an end behind it that was settled before.
  const bool stable = std::ranges::none_of(children, [&](const child_story& story) {
    const bool settled = story.end != nullptr && story.end->position < cut;
    return story.child.started < cut && !settled && went_wrong(story, look);
  });
  return stable ? cut : before_lost_children(cut, children, look);
}

/// What is known to have been asked before the cut.
class asked_before {
 public:
  asked_before(const std::vector<event>& history, position_t cut) : at_(history[cut - 1].at) {
    for (position_t p = 1; p < cut; ++p) {
      const event& what = history[p - 1];
      if (what.operation.empty()) continue;
      known_.insert(what.operation);
      const auto [branch, number] = split(what.operation);
      long& last = last_[branch];
      last = std::max(last, number);
      if (answers(what)) answered_.insert(what.operation);
    }
  }

  /// `outcome` lies at or behind the cut, and its operation was in flight there. Never true in doubt:
  /// what isn't copied is only asked anew.
  bool in_flight(const event& outcome) const {
    if (answered_.contains(outcome.operation)) return false;
    if (known_.contains(outcome.operation)) return true;
    if (!outcome.details.has_step()) return false;
    // A branch asks in the order of its numbers.
    const auto [branch, number] = split(outcome.operation);
    const auto last = last_.find(branch);
    if (last != last_.end() && number < last->second) return true;
    const pb::step_outcome& step = outcome.details.step();
    const time_us began =
        step.first_started_us() != 0 ? step.first_started_us() : step.started_us();
    return began != 0 && began < at_;
  }

 private:
  /// "3.2" is the second of branch "3".
  static std::pair<std::string, long> split(const std::string& operation) {
    const std::size_t dot = operation.rfind('.');
    const std::size_t begin = dot == std::string::npos ? 0 : dot + 1;
    return {operation.substr(0, begin), std::strtol(operation.c_str() + begin, nullptr, 10)};
  }

  time_us at_;
  std::set<std::string> known_;
  std::set<std::string> answered_;
  std::map<std::string, long> last_;  // by branch
};

/// The last outcome before `last` whose failure is the run's. When it was in flight at an earlier
/// one like it, both were awaited together, and the earlier one is what the code heard of.
position_t thrown_outcome(const std::vector<event>& history, position_t last,
                          const pb::failure& why) {
  position_t cut = last;
  for (position_t at = last; at-- > 1;) {
    if (!is_failure(history[at - 1], why)) continue;
    const bool together = cut == last || asked_before(history, at).in_flight(history[cut - 1]);
    if (!together) break;
    cut = at;
  }
  return cut;
}

/// Where the story went wrong: everything before is copied.
position_t failed_outcome(const std::vector<event>& history) {
  const event& end = history.back();
  const event* failing = first_of(history, event_kind::failing);
  const position_t last = failing != nullptr ? failing->position : end.position;
  const bool cancelled = failing != nullptr ? failing->details.failing().cancelled()
                                            : end.kind != event_kind::run_failed;
  if (cancelled) {
    const event* cancel = first_of(history, event_kind::cancel_received);
    return cancel != nullptr ? std::min(last, cancel->position) : last;
  }
  const pb::failure& why =
      failing != nullptr ? failing->details.failing().why() : end.details.ended().why();
  return thrown_outcome(history, last, why);
}

/// Failures and cancellations are what is tried again; only good news is kept.
bool is_kept_outcome(const event& what, const asked_before& asked) {
  if (what.kind == event_kind::signal_received) return true;
  if (is_undoing(what)) return false;
  const bool good = what.kind == event_kind::step_completed ||
                    what.kind == event_kind::timer_fired ||
                    what.kind == event_kind::child_completed;
  return good && asked.in_flight(what);
}

}  // namespace

bool has_compensated(const std::vector<event>& history) {
  return std::ranges::any_of(history, [](const event& what) {
    return is_undoing(what) && what.kind != event_kind::suspicion;
  });
}

copy_plan plan_copy(const std::vector<event>& history, const child_look& look) {
  const std::vector<child_story> children = children_of(history);
  copy_plan plan;
  plan.before = before_lost_children(failed_outcome(history), children, look);

  const asked_before asked(history, plan.before);
  std::vector<position_t> later;
  std::set<std::string> again;  // their attempts are counted anew
  for (position_t p = plan.before; p <= history.size(); ++p) {
    const event& what = history[p - 1];
    if (is_kept_outcome(what, asked)) {
      later.push_back(p);
    } else if (answers(what)) {
      again.insert(what.operation);
    }
  }
  for (position_t p = 1; p < plan.before; ++p) {
    const event& what = history[p - 1];
    const bool stale_note = is_attempt_note(what.kind) && again.contains(what.operation);
    if (!stale_note) plan.kept.push_back(p);
  }
  plan.kept.insert(plan.kept.end(), later.begin(), later.end());

  for (const child_story& story : children) {
    if (story.child.started < plan.before && story.end == nullptr) {
      plan.children.push_back(story.child);
    }
  }
  return plan;
}

}  // namespace fermata::engine
