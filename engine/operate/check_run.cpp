// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/check_run.hpp"

#include "engine/event/encode.hpp"
#include "engine/planted.hpp"
#include "engine/store/projection.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace fermata::engine {
namespace {

std::string sentence(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

void run_check::take(const encoded_event& stored, const report& found) {
  // Only a tag's value is folded; the digest below covers all payloads.
  absl::StatusOr<event> what =
      stored.kind == event_kind::tagged ? decode(run_, stored) : decode_envelope(run_, stored);
  if (!what.ok()) {
    // Its position can't be trusted, the order in which it came can.
    found(last_ + 1, sentence(what.status()));
    ++last_;
    linked_ = false;
    damaged_ = true;
    return;
  }
  if (!take_place(stored, found)) return;
  if (class_of(what->kind) == event_class::end) over_ = true;
  if (damaged_ || !check_order(*what, found)) return;
  operations_.take(*what, found);
  fold(*what);
}

/// Position and chain. False when the event isn't the next one.
bool run_check::take_place(const encoded_event& stored, const report& found) {
  if (stored.position <= last_) {
    found(stored.position, fmt::format("it is there again behind position {}", last_));
    damaged_ = true;
    return false;
  }
  if (stored.position != last_ + 1 && !planted("verify_overlooks_a_gap")) {
    found(last_ + 1, fmt::format("it is missing: position {} follows {}", stored.position, last_));
    linked_ = false;
    damaged_ = true;
  }
  if (linked_) {
    if (absl::Status chain = check_chain(run_, hash_, stored); !chain.ok()) {
      found(stored.position, sentence(chain));
      damaged_ = true;
    }
  }
  last_ = stored.position;
  hash_ = stored.chain;
  linked_ = true;
  return true;
}

/// False when the event can't be folded in its place.
bool run_check::check_order(const event& what, const report& found) {
  const bool is_start = what.kind == event_kind::run_started;
  if (is_start != (what.position == 1)) {
    found(what.position,
          is_start ? std::string("run_started isn't the first event")
                   : fmt::format("the first event is {}, not run_started", text_of(what.kind)));
    damaged_ = true;
    return false;
  }
  if (ended(folded_.state)) {
    found(what.position, fmt::format("{} follows the end", text_of(what.kind)));
    return false;
  }
  if (what.epoch < epoch_) {
    found(what.position, fmt::format("epoch {} follows epoch {}", what.epoch, epoch_));
  }
  if (what.kind == event_kind::owner_changed) {
    const epoch_t said = what.details.owner().epoch();
    if (said != what.epoch || (epoch_ != 0 && what.epoch <= epoch_)) {
      found(what.position, fmt::format("owner_changed to epoch {} in an event of epoch {}, after "
                                       "epoch {}: it must rise",
                                       said, what.epoch, epoch_));
    }
  }
  if (what.at < at_) {
    found(what.position, fmt::format("it is {} µs older than the event before it", at_ - what.at));
  }
  epoch_ = std::max(epoch_, what.epoch);
  at_ = std::max(at_, what.at);
  return true;
}

void run_check::fold_start(const event& what) {
  const pb::started& started = what.details.started();
  folded_.chain = run_id::of(ulid::from_view(started.chain()));
  folded_.parent = run_id::of(ulid::from_view(started.parent()));
  folded_.parent_operation = started.parent_operation();
  folded_.previous = run_id::of(ulid::from_view(started.previous_run()));
  operations_.begin(!folded_.previous.empty());
}

void run_check::fold(const event& what) {
  if (what.kind == event_kind::run_started) fold_start(what);
  if (what.kind == event_kind::child_started) {
    folded_.children[what.operation] = {run_id::of(ulid::from_view(what.details.child().child())),
                                        what.position, false};
  }
  if (what.details.has_child_end()) {
    const auto child = folded_.children.find(what.operation);
    if (child != folded_.children.end()) child->second.ended = true;
  }
  run_changes changes;
  fold_changes(run_, what, changes);
  if (changes.state) folded_.state = *changes.state;
  if (changes.ended) folded_.ended = *changes.ended;
  if (changes.error) folded_.error = *changes.error;
  if (changes.all_timers_removed) folded_.timers.clear();
  for (const std::string& operation : changes.timers_removed) folded_.timers.erase(operation);
  for (timer_row& timer : changes.timers_set) folded_.timers[timer.operation] = std::move(timer);
  for (auto& [name, value] : changes.tags) folded_.tags[name] = std::move(value);
  for (auto& [name, position] : changes.published) folded_.published[name] = position;
}

}  // namespace fermata::engine
