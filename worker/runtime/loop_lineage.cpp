// SPDX-License-Identifier: Apache-2.0
// What is remembered here, compared with what the journal has: after a promotion, and after commits of
// which nobody knows what became.
#include "engine/store/status.hpp"
#include "engine/store/tasks.hpp"
#include "worker/runtime/loop.hpp"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <algorithm>

namespace fermata::runtime {

/// A replica that was promoted may lack what its primary had acknowledged. A run whose journal is
/// another than its frame here has seen is let go, and whoever claims it starts from what is there; one
/// that the journal has as ours, and that had ended or parked here, is given back. Nothing is written
/// before: a frame must not go on with a history that isn't there.
void run_loop::compare_with_journal() {
  const std::uint32_t lineage = store_.lineage();
  if (lineage == lineage_ || batches_under_way_ != 0 || !again_.empty()) return;
  std::vector<engine::run_id> here;
  for (const auto& [id, run] : runs_)
    if (run->owned || run->live) here.push_back(id);
  auto found = store_.whereabouts(worker_, here);
  // The guard finds it, too, and ends this session: nothing is written any more.
  const bool unknown = absl::IsNotFound(found.status());
  if (unknown) found = store_.whereabouts(0, here);
  if (!found.ok()) {
    outside_.log(
        level::warning,
        fmt::format("runs can't be compared with the journal of the promoted server, work "
                    "waits: {} [{}]",
                    std::string(found.status().message()), engine::fer_code_of(found.status())));
    next_look_ = std::min(next_look_, journal_.time().steady_now_us() + options_.retry_us);
    return;
  }
  if (!unknown) lineage_ = lineage;
  absl::flat_hash_set<engine::run_id, std::hash<engine::run_id>> named;
  absl::flat_hash_map<engine::run_id, const engine::run_place*, std::hash<engine::run_id>> there;
  for (const engine::run_place& place : *found) there[place.run] = &place;
  for (const engine::run_id& id : here) {
    active& run = *runs_.at(id);
    const auto at = there.find(id);
    const engine::run_place place = at == there.end() ? engine::run_place{} : *at->second;
    const bool same = place.last.position == run.head.position && place.last.hash == run.head.hash;
    const bool ours = !unknown && place.owner == worker_ && place.epoch == run.row.epoch;
    if (same && !run.refused && (ours || !run.owned)) continue;
    if (say_what_is_lost(run, place.last.position)) named.insert(id);
    if (run.owned && !unknown)
      let_go(id);
    else
      forget(id);
  }
  if (unknown) return;
  for (const engine::run_place& place : *found) {
    const auto known = runs_.find(place.run);
    if (place.owner != worker_ || (known != runs_.end() && known->second->owned)) continue;
    if (!named.contains(place.run)) say_had_it(place.run, place.last.position);
    let_go(place.run);
  }
  compare_tasks();
  poked_ = true;
}

/// Those that the journal has as this worker's, and that it has finished: what they came to is lost, and
/// their runs wait for them, so that they are executed again. Those that it executes and that the journal
/// doesn't have as its: nobody will take their outcome.
void run_loop::compare_tasks() {
  const auto held = store_.held_tasks(worker_);
  if (!held.ok()) {
    claim_failed_ = true;  // the next claim asks again
    return;
  }
  std::set<task_key> there;
  std::vector<engine::task_row> lost;
  for (const engine::task_row& task : *held) {
    there.insert(key_of(engine::name_of(task)));
    if (tasks_.contains(key_of(engine::name_of(task)))) continue;
    outside_.log(
        level::error,
        fmt::format("run {}: this worker had finished attempt {} of step '{}' (operation {}), "
                    "and the promoted server lacks what it came to: it is executed again "
                    "[FER-2110]",
                    task.run.text(), task.attempt, task.step, task.operation));
    lost.push_back(task);
  }
  std::vector<engine::task_name> gone;
  for (const auto& [key, a] : tasks_) {
    if (there.contains(key) || a->answered) continue;
    outside_.log(
        level::error,
        fmt::format("run {}: the promoted server doesn't have attempt {} of step '{}' "
                    "(operation {}) as this worker's: it is told to stop, and its run decides "
                    "what follows [FER-2110]",
                    a->run().text(), a->attempt(), a->start().name, a->start().operation));
    gone.push_back(engine::name_of(*a->task()));
  }
  for (const engine::task_name& name : gone) stop_task(name);
  take_tasks(std::move(lost), 0);
}

/// A claim or an admission whose answer was an error may have taken runs all the same: nobody would look at
/// them for as long as this worker lives.
void run_loop::find_lost_runs() {
  if (!lost_runs_ || must_compare() || batches_under_way_ != 0 || !again_.empty()) return;
  const auto found = store_.whereabouts(worker_, {});
  if (!found.ok()) {
    next_look_ = std::min(next_look_, journal_.time().steady_now_us() + options_.retry_us);
    return;
  }
  if (has_mail()) return;  // it may bring some of them
  lost_runs_ = false;
  for (const engine::run_place& place : *found) {
    const auto known = runs_.find(place.run);
    if (place.owner != worker_ ||
        std::find(let_go_.begin(), let_go_.end(), place.run) != let_go_.end())
      continue;
    if (known != runs_.end() && known->second->owned) {
      lost_runs_ = !hear_again(*known->second) || lost_runs_;
      continue;
    }
    {
      const std::lock_guard lock(mutex_);
      if (asked_.contains(place.run)) continue;
    }
    outside_.log(level::info, fmt::format("run {}: it was taken by a commit whose answer was lost, "
                                          "and is given back",
                                          place.run.text()));
    let_go(place.run);
  }
}

/// A claim hands out what a run is told once: the one whose answer was lost may have had something for
/// a run that is here. False: it can't be read now.
bool run_loop::hear_again(active& run) {
  if (!run.live) return true;
  got_on();
  const auto inbox = store_.inbox(run.row.chain);
  auto due = store_.timers(run.row.run);
  if (!inbox.ok() || !due.ok()) return false;
  std::erase_if(*due, [this](const engine::timer_row& t) { return t.due > now_; });
  run.live->machine().set_time(now_);
  hear(run, *inbox, *due);
  return true;
}

/// False: nothing that was seen here is missing there.
bool run_loop::say_what_is_lost(const active& run, engine::position_t there) {
  const engine::position_t seen = run.head.position;
  if (there < seen) {
    outside_.log(
        level::error,
        fmt::format("run {}: the journal of the promoted server ends at position {}, and "
                    "this worker had seen position {}: what came between is lost, {} [FER-2110]",
                    run.row.run.text(), there, seen,
                    there == 0 ? "with its start" : "it goes on from there"));
    return true;
  }
  // Others may have gone on with it: with what was seen here, or without.
  const auto same_place = store_.read_events(run.row.run, seen, 1);
  if (same_place.ok() && !same_place->empty() && same_place->front().chain == run.head.hash) {
    if (run.owned)
      outside_.log(
          level::warning,
          fmt::format("run {}: another owner has gone on, this one lets go", run.row.run.text()));
    return false;
  }
  outside_.log(
      level::error,
      fmt::format("run {}: the journal of the promoted server has another event at "
                  "position {} than this worker had seen: what it had seen is lost, others "
                  "have gone on [FER-2110]",
                  run.row.run.text(), seen));
  return true;
}

void run_loop::say_had_it(const engine::run_id& run, engine::position_t there) {
  outside_.log(level::error,
               fmt::format("run {}: this worker had ended or parked it, and the journal of the "
                           "promoted server has it at work at position {}: what came then is lost, "
                           "it goes on from there [FER-2110]",
                           run.text(), there));
}

}  // namespace fermata::runtime
