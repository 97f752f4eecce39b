// SPDX-License-Identifier: Apache-2.0
// Acts on open runs: pause, resume, and what a rescuer found.
#include "engine/event/encode.hpp"
#include "engine/operate/reopen.hpp"
#include "engine/operate/taking.hpp"
#include "engine/planted.hpp"
#include "engine/utf8.hpp"

#include <fmt/format.h>

#include <utility>

namespace fermata::engine {
namespace {

constexpr std::string_view not_begun =
    "hasn't begun; only `fermata terminate` can be done to it before a worker takes it";

absl::StatusOr<run_row> find_open(const store& where, const run_id& run) {
  absl::StatusOr<run_row> row = find_row(where, run);
  if (!row.ok()) return row;
  if (ended(row->state)) return ended_already(*row);
  if (row->state == run_state::waiting_to_start) return not_allowed(run, not_begun);
  return row;
}

/// owner_changed, operator_act.
absl::StatusOr<std::optional<append>> act_on(const store& where, const run_row& row,
                                             std::string_view name, const act& by) {
  absl::StatusOr<taking> taken = take(where, row, fmt::format("{} by {}", name, by.who));
  if (!taken.ok()) return taken.status();
  taken->add(act_event(name, by));
  return std::move(taken->what());
}

std::string needs(attention what) {
  return fmt::format("isn't paused but {}; `fermata retry` goes on", text_of(what));
}

event blame_event(const blame& what, const std::string& worker) {
  event found;
  found.kind = what.signal != 0 ? event_kind::attempt_crashed : event_kind::suspicion;
  found.operation = what.operation;
  found.name = what.step;
  pb::attempt& details = *found.details.mutable_attempt();
  details.set_number(what.attempt);
  details.set_signal(what.signal);
  details.set_backtrace(as_utf8(what.backtrace));
  details.set_worker(as_utf8(worker));
  details.set_step(as_utf8(what.step));
  details.set_alone(what.alone);
  return found;
}

/// Whether this death has been journaled, by a rescuer that was faster or one that got no further.
absl::StatusOr<bool> told_before(const store& where, const run_id& run, const std::string& worker,
                                 position_t last) {
  constexpr position_t page = 256;  // it lies near the end
  while (last > 0) {
    const position_t first = last > page ? last - page + 1 : 1;
    const auto some = where.read_events(run, first, last - first + 1);
    if (!some.ok()) return some.status();
    for (const encoded_event& stored : *some) {
      const absl::StatusOr<event> e = decode_envelope(run, stored);
      if (!e.ok()) continue;
      const bool note = e->kind == event_kind::attempt_crashed || e->kind == event_kind::suspicion;
      if (note && e->details.attempt().worker() == worker) return true;
    }
    last = first - 1;
  }
  return false;
}

}  // namespace

absl::Status pause(store& where, const run_id& run, const act& by) {
  return until_landed(where, run, [&]() -> absl::StatusOr<std::optional<append>> {
    const absl::StatusOr<run_row> row = find_open(where, run);
    if (!row.ok()) return row.status();
    if (row->attention == attention::paused) return std::optional<append>();
    auto made = act_on(where, *row, "pause", by);
    if (made.ok()) {
      (*made)->attention = attention::paused;
      (*made)->report = fmt::format("paused by {}: {}", by.who, by.why);
    }
    return made;
  });
}

absl::Status resume(store& where, const run_id& run, const act& by) {
  return until_landed(where, run, [&]() -> absl::StatusOr<std::optional<append>> {
    const absl::StatusOr<run_row> row = find_open(where, run);
    if (!row.ok()) return row.status();
    if (row->attention == attention::none) return std::optional<append>();
    if (row->attention != attention::paused) return not_allowed(run, needs(row->attention));
    auto made = act_on(where, *row, "resume", by);
    if (made.ok()) {
      (*made)->attention = attention::none;
      (*made)->make_ready = true;
    }
    return made;
  });
}

absl::Status reopen(store& where, const run_id& run, const act& by) {
  bool acted = false;
  return until_landed(where, run, [&]() -> absl::StatusOr<std::optional<append>> {
    const absl::StatusOr<run_row> row = find_open(where, run);
    if (!row.ok()) return row.status();
    if (row->attention == attention::paused) {
      return not_allowed(run, "is paused; `fermata resume` goes on with it");
    }
    if (row->attention == attention::none) {
      // Somebody else's retry came between two tries of ours.
      if (acted) return std::optional<append>();
      return not_allowed(run,
                         "is open and healthy: there is nothing to retry; `fermata explain` says "
                         "what it waits for, `fermata terminate` ends it");
    }
    acted = true;
    auto made = act_on(where, *row, "retry", by);
    if (made.ok()) {
      (*made)->attention = attention::none;
      (*made)->make_ready = true;
    }
    return made;
  });
}

absl::Status journal_blame(store& where, const run_id& run, const worker_row& dead,
                           const std::vector<blame>& found) {
  const std::string worker = dead.id.text();
  return until_landed(where, run, [&]() -> absl::StatusOr<std::optional<append>> {
    const absl::StatusOr<run_row> row = where.find_run(run);
    if (absl::IsNotFound(row.status())) return std::optional<append>();
    if (!row.ok()) return row.status();
    const bool begun = row->state != run_state::waiting_to_start;
    if (!begun || ended(row->state)) return std::optional<append>();
    absl::StatusOr<taking> taken = take(where, *row, fmt::format("worker {} died", worker));
    if (!taken.ok()) return taken.status();
    // What still is the dead worker's has no such note; what it let go of before, or lost, may.
    if (row->owner != dead.row && !planted("death_told_twice")) {
      const auto told = told_before(where, run, worker, taken->what().after);
      if (!told.ok()) return told.status();
      if (*told) return std::optional<append>();
    }
    for (const blame& one : found) taken->add(blame_event(one, worker));
    taken->what().make_ready = true;
    return std::move(taken->what());
  });
}

}  // namespace fermata::engine
