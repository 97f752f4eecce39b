// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/check_row.hpp"

#include "engine/event/encode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace fermata::engine {
namespace {

constexpr position_t of_run = 0;
constexpr std::size_t page = 1'000;

template <class Value>
void compare(std::string_view what, const Value& row, const Value& journal, const report& found) {
  if (row != journal) {
    found(of_run, fmt::format("its row says {} '{}', its journal says '{}'", what, row, journal));
  }
}

void compare_tags(const run_row& row, const folded_run& journal, const report& found) {
  if (row.tags == journal.tags) return;
  for (const auto& [name, value] : journal.tags) {
    const auto tag = row.tags.find(name);
    compare(fmt::format("tag '{}'", name), tag == row.tags.end() ? "" : tag->second, value, found);
  }
  for (const auto& [name, value] : row.tags) {
    if (!journal.tags.contains(name)) {
      found(of_run, fmt::format("its row has a tag '{}' that its journal doesn't have", name));
    }
  }
}

/// The store may have less: the machine removes timers that nothing in the journal removes.
void compare_timer(const timer_row& timer, const folded_run& journal, const report& found) {
  if (timer.purpose == timer_purpose::give_up) return;
  const auto known = journal.timers.find(timer.operation);
  if (known == journal.timers.end()) {
    return found(of_run, fmt::format("the store has a timer of operation '{}' that its journal "
                                     "doesn't have",
                                     timer.operation));
  }
  const bool same = known->second.due == timer.due && known->second.purpose == timer.purpose;
  if (!same) {
    found(of_run,
          fmt::format("the timer of operation '{}' is due at {} in the store, at {} in its journal",
                      timer.operation, timer.due, known->second.due));
  }
}

absl::Status compare_published(const store& where, const run_check& run, const report& found) {
  for (const auto& [name, position] : run.folded().published) {
    const auto stored = where.read_events(run.run(), position, 1);
    if (!stored.ok()) return stored.status();
    if (stored->empty()) continue;
    const absl::StatusOr<event> what = decode(run.run(), stored->front());
    if (!what.ok()) continue;  // said already
    const absl::StatusOr<payload> value = where.published(run.run(), name);
    const bool same = value.ok() && value->bytes == what->value.bytes;
    if (!same && (value.ok() || absl::IsNotFound(value.status()))) {
      found(of_run,
            fmt::format("the published value '{}' isn't that of position {}", name, position));
    } else if (!same) {
      return value.status();
    }
  }
  return absl::OkStatus();
}

bool has_end_of(const std::vector<message>& inbox, const std::string& operation) {
  return std::ranges::any_of(inbox, [&](const message& one) {
    return one.kind == message_kind::child_ended && one.operation == operation;
  });
}

}  // namespace

absl::Status check_row(const store& where, const run_check& run, const run_row& row,
                       const report& found) {
  const folded_run& journal = run.folded();
  compare("state", text_of(row.state), text_of(journal.state), found);
  compare("its end at", row.ended, journal.ended, found);
  compare("error", row.error, journal.error, found);
  compare("chain", row.chain.text(), journal.chain.text(), found);
  compare("parent", row.parent.text(), journal.parent.text(), found);
  if (row.epoch < run.epoch()) {
    found(of_run, fmt::format("its row says epoch {}, its journal has an event of epoch {}",
                              row.epoch, run.epoch()));
  }
  compare_tags(row, journal, found);

  const absl::StatusOr<std::vector<timer_row>> timers = where.timers(run.run());
  if (!timers.ok()) return timers.status();
  for (const timer_row& timer : *timers) compare_timer(timer, journal, found);
  return compare_published(where, run, found);
}

absl::Status check_unread(const store& where, const run_check& run, const run_row& row,
                          const report& found) {
  const absl::StatusOr<std::vector<message>> inbox = where.inbox(row.chain);
  if (!inbox.ok()) return inbox.status();
  for (const message& one : *inbox) {
    if (run.has_message(one.id)) {
      found(of_run, fmt::format("message {} is in its journal and in its inbox", one.id.text()));
    }
  }
  return absl::OkStatus();
}

absl::Status check_children(const store& where, const run_check& run, const run_row& row,
                            const report& found) {
  for (const auto& [operation, child] : run.folded().children) {
    if (child.ended) continue;  // retention may have removed it
    const absl::StatusOr<run_row> is = where.find_chain(child.chain);
    if (absl::IsNotFound(is.status())) {
      found(child.started, fmt::format("its child {} doesn't exist", child.chain.text()));
      continue;
    }
    if (!is.ok()) return is.status();
    // A child that is retried has no parent to tell.
    const bool untold = ended(is->state) && is->parent_chain == row.chain && !ended(row.state);
    if (!untold) continue;
    const absl::StatusOr<std::vector<message>> inbox = where.inbox(row.chain);
    if (!inbox.ok()) return inbox.status();
    if (!has_end_of(*inbox, operation)) {
      found(child.started, fmt::format("its child {} is {}, and neither the journal nor the inbox "
                                       "has its end",
                                       child.chain.text(), text_of(is->state)));
    }
  }
  return absl::OkStatus();
}

absl::Status parent_check::read(const run_id& parent) {
  parent_ = parent;
  children_.clear();
  readable_ = false;
  bool whole = true;
  for (position_t from = 1;; from += page) {
    const auto events = where_.read_events(parent, from, page);
    if (absl::IsNotFound(events.status())) return absl::OkStatus();
    if (!events.ok()) return events.status();
    for (const encoded_event& stored : *events) {
      const absl::StatusOr<event> what = decode_envelope(parent, stored);
      whole = whole && what.ok();
      if (!what.ok() || what->kind != event_kind::child_started) continue;
      children_[what->operation] = run_id::of(ulid::from_view(what->details.child().child()));
    }
    whole = whole && (from != 1 || (!events->empty() && events->front().position == 1));
    whole = whole && (events->empty() || events->back().position == from + events->size() - 1);
    if (events->size() < page) break;
  }
  readable_ = whole;
  return absl::OkStatus();
}

absl::StatusOr<bool> parent_check::has_started(const run_id& parent, const std::string& operation,
                                               const chain_id& child) {
  const auto known = [&] {
    const auto at = children_.find(operation);
    return at != children_.end() && at->second == child;
  };
  if (parent_ == parent && known()) return true;
  if (absl::Status status = read(parent); !status.ok()) return status;
  return !readable_ || known();
}

absl::StatusOr<bool> orphan_check::is_alive(std::int64_t worker) {
  if (const auto known = alive_.find(worker); known != alive_.end() && known->second) return true;
  const absl::StatusOr<std::vector<worker_row>> workers = where_.workers();
  if (!workers.ok()) return workers.status();
  for (const worker_row& one : *workers) alive_[one.row] = !one.dead && !one.gone;
  return alive_[worker];
}

absl::Status orphan_check::look(const run_row& row, const report& found) {
  if (row.attention != attention::none) return absl::OkStatus();
  if (row.owner != 0) {
    const absl::StatusOr<bool> alive = is_alive(row.owner);
    if (!alive.ok()) return alive.status();
    if (*alive) return absl::OkStatus();
    // A rescuer marks the worker first, and takes its runs then.
    const absl::StatusOr<run_row> again = where_.find_run(row.run);
    if (again.ok() && again->owner == row.owner) {
      found(of_run, fmt::format("worker {} owns it, which is dead or gone", row.owner));
    }
    return absl::OkStatus();
  }
  const absl::StatusOr<bool> unready = nothing_wakes(row);
  if (!unready.ok()) return unready.status();
  if (*unready) unready_[row.space].push_back(row);
  return absl::OkStatus();
}

absl::StatusOr<bool> orphan_check::nothing_wakes(const run_row& row) const {
  const absl::StatusOr<std::vector<timer_row>> timers = where_.timers(row.run);
  if (!timers.ok()) return timers.status();
  const absl::StatusOr<std::vector<message>> inbox = where_.inbox(row.chain);
  if (!inbox.ok()) return inbox.status();
  const bool waits_for_timer = row.waits.starts_with("timer");
  const bool waits = !timers->empty() || (!row.waits.empty() && !waits_for_timer);
  return !inbox->empty() || !waits;
}

bool orphan_check::has_moved(const run_row& row) const {
  const absl::StatusOr<run_row> now = where_.find_run(row.run);
  return !now.ok() || ended(now->state) || now->owner != 0 || now->epoch != row.epoch ||
         now->updated != row.updated;
}

/// On a live journal runs go on while they are looked at: what counts is who stood still around the
/// moment in which the ready runs were counted.
absl::Status orphan_check::tell(const std::function<void(const run_id&, std::string)>& found) {
  for (auto& [space, runs] : unready_) {
    std::vector<run_row> still;
    for (const run_row& row : runs) {
      const absl::StatusOr<run_row> now = where_.find_run(row.run);
      if (!now.ok() || ended(now->state) || now->owner != 0) continue;
      const absl::StatusOr<bool> unready = nothing_wakes(*now);
      if (!unready.ok()) return unready.status();
      if (*unready) still.push_back(*now);
    }
    const absl::StatusOr<store_counts> counts = where_.counts(space);
    if (!counts.ok()) return counts.status();
    std::erase_if(still, [this](const run_row& row) { return has_moved(row); });
    if (counts->ready >= static_cast<std::int64_t>(still.size())) continue;
    for (const run_row& row : still)
      found(row.run,
            fmt::format("nobody owns it and nothing wakes it: an orphan ({} runs like it, {} "
                        "ready)",
                        still.size(), counts->ready));
  }
  return absl::OkStatus();
}

}  // namespace fermata::engine
