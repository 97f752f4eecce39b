// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/left_behind.hpp"

#include "engine/event/encode.hpp"

#include <algorithm>

namespace fermata::engine {
namespace {

constexpr std::size_t page = 1'000;

class fold {
 public:
  void take(const event& what) {
    const bool undoing = what.operation.starts_with("c.");
    switch (what.kind) {
      case event_kind::compensation_registered:
        result_.compensations.push_back(what.operation + "/" + what.name);
        if (!what.details.compensation().undoes().empty()) begun(what.operation);
        return;
      case event_kind::child_started:
      case event_kind::step_scheduled:
      case event_kind::attempt_started:
      case event_kind::attempt_failed:
      case event_kind::attempt_crashed:
      case event_kind::suspicion:
        return begun(what.operation);
      case event_kind::step_completed:
      case event_kind::child_completed:
        // c.n undoes the newest that is left.
        if (undoing && !result_.compensations.empty()) result_.compensations.pop_back();
        return over(what.operation);
      case event_kind::step_failed:
      case event_kind::step_cancelled:
      case event_kind::child_failed:
        return over(what.operation);
      default:
        return;
    }
  }

  left_behind result() && { return std::move(result_); }

 private:
  void begun(const std::string& operation) {
    if (operation.empty()) return;
    if (std::ranges::find(result_.abandoned, operation) == result_.abandoned.end()) {
      result_.abandoned.push_back(operation);
    }
  }
  void over(const std::string& operation) { std::erase(result_.abandoned, operation); }

  left_behind result_;
};

}  // namespace

absl::StatusOr<left_behind> fold_left_behind(const store& where, const run_id& run) {
  fold folded;
  for (position_t from = 1;; from += page) {
    const auto events = where.read_events(run, from, page);
    if (!events.ok()) return events.status();
    for (const encoded_event& stored : *events) {
      const absl::StatusOr<event> what = decode_envelope(run, stored);
      if (what.ok()) folded.take(*what);
    }
    if (events->size() < page) return std::move(folded).result();
  }
}

}  // namespace fermata::engine
