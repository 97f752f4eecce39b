// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/record.hpp"

#include <fmt/format.h>

#include <utility>

namespace fermata::simulation {

namespace {
constexpr std::size_t complaints_kept = 20;
}  // namespace

void record::complain(std::string kind, std::string text) {
  if (complaints_.size() < complaints_kept)
    complaints_.push_back({std::move(kind), std::move(text)});
}

/// A step on a queue may be finished between the taking of its task and its beginning: by an attempt that was
/// given up and came to a value all the same; or, by a clock that is wrong, because its run's owner has given it up.
void record::body_begins(std::string_view key, int attempt) {
  ++total.attempts;
  const std::string text(key);
  began_.insert(text);
  const auto finished = finished_.find(text);
  if (finished == finished_.end()) return;
  const auto taken = taken_.find(text);
  const bool taken_before = taken != taken_.end() && taken->second.contains(attempt);
  if (taken_before && (attempt > finished->second || a_clock_was_wrong))
    ++total.late;
  else
    complain("repeated",
             fmt::format("{}: attempt {} began after the outcome of attempt {} was committed", key,
                         attempt, finished->second));
}

void record::charged(std::string_view key) {
  charged_.emplace(key);
  if (!registered_.contains(key.substr(0, key.rfind('/'))))
    complain("not registered",
             fmt::format("{} has its effect, and the journal doesn't know yet how "
                         "to undo it",
                         key));
}

std::size_t record::open_charges(const std::string& run) const {
  std::size_t open = 0;
  for (auto at = charged_.lower_bound(run); at != charged_.end() && at->starts_with(run); ++at)
    open += refunded_.contains(*at) ? 0 : 1;
  return open;
}

bool record::refunds_of(const std::string& run) const {
  const auto at = refunded_.lower_bound(run);
  return at != refunded_.end() && at->starts_with(run);
}

/// An epoch is one owner's, and epochs rise.
void record::owned(const engine::run_id& run, engine::epoch_t epoch, std::int64_t worker) {
  last_of_run& last = runs_[run];
  if (epoch < last.epoch)
    complain("epoch", fmt::format("run {}: worker {} has epoch {} after epoch {}", run.text(),
                                  worker, epoch, last.epoch));
  if (epoch == last.epoch && last.owner != 0 && worker != last.owner)
    complain("two owners", fmt::format("run {}: workers {} and {} have epoch {}", run.text(),
                                       last.owner, worker, epoch));
  last.epoch = epoch;
  last.owner = worker;
}

void record::appended(std::int64_t worker, const engine::append& what) {
  last_of_run& last = runs_[what.run];
  const engine::position_t end = what.after + what.events.size();
  if (end <= last.position) return;  // the same bytes again
  if (last.position != 0 && what.after != last.position)
    complain("positions", fmt::format("run {}: an append after {} landed, its last is {}",
                                      what.run.text(), what.after, last.position));
  if (worker != 0 && dead_.contains(worker))
    complain("dead writer", fmt::format("run {}: worker {} was marked dead, and its append at {} "
                                        "landed",
                                        what.run.text(), worker, what.after + 1));
  owned(what.run, what.epoch, what.by_operator ? 0 : worker);
  last.position = end;
  total.events += what.events.size();
  for (const engine::encoded_event& e : what.events) {
    if (e.kind == engine::event_kind::compensation_registered)
      registered_.insert(fmt::format("{}/{}", what.run.text(), e.operation));
    if (e.kind != engine::event_kind::step_completed && e.kind != engine::event_kind::step_failed)
      continue;
    pb::details said;
    if (!said.ParseFromString(e.details)) complain("details", "an event's details can't be read");
    finished_.emplace(engine::idempotency_key(what.run, e.operation, e.name),
                      said.step().attempts());
  }
}

void record::committed(const engine::batch& what, const engine::batch_result& answer) {
  for (std::size_t i = 0; i < what.appends.size(); ++i)
    if (answer.appends[i].how == engine::landing::landed && !what.appends[i].events.empty())
      appended(what.worker, what.appends[i]);
  for (const engine::task_row& task : answer.tasks) {
    if (finished_.contains(task.key))
      complain("taken", fmt::format("the task of attempt {} of {} was taken after its outcome was "
                                    "committed",
                                    task.attempt, task.key));
    taken_[task.key].insert(task.attempt);
  }
  for (const engine::claimed& one : answer.claimed) {
    owned(one.run.run, one.run.epoch, what.worker);
    last_of_run& last = runs_[one.run.run];
    total.events += one.fresh ? 1 : 0;
    if (one.head.position < last.position)
      complain("lost events", fmt::format("run {}: it ends at {}, {} was written",
                                          one.run.run.text(), one.head.position, last.position));
    last.position = one.head.position;
    if (dead_.contains(what.worker))
      complain("dead claimer", fmt::format("worker {} was marked dead, and was given {}",
                                           what.worker, one.run.run.text()));
  }
}

}  // namespace fermata::simulation
