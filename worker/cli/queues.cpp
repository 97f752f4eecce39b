// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/queues.hpp"

#include "worker/cli/explain.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::cli {

std::string worker_text(const engine::worker_row& worker) {
  return fmt::format("{} (process {} on {})", worker.id.text(), worker.pid, clean(worker.host));
}

takers takers_of(const std::vector<engine::worker_row>& workers,
                 const std::vector<engine::serving_row>& serving, std::string_view queue,
                 std::string_view step) {
  takers found;
  for (const engine::worker_row& worker : workers) {
    if (worker.dead || worker.gone) continue;
    if (std::ranges::find(worker.queues, queue) == worker.queues.end()) continue;
    found.of_queue.push_back(worker);
    found.of_step += std::ranges::any_of(serving, [&](const engine::serving_row& row) {
      return row.worker == worker.id && row.kind == "step" && row.name == step;
    });
  }
  return found;
}

std::string nobody_text(const takers& who, std::string_view step) {
  if (who.of_step > 0) return {};
  if (who.of_queue.empty()) return "no worker serves it";
  return fmt::format("{} it, none of them has step '{}'",
                     count_of(std::ssize(who.of_queue), "worker serves", "workers serve"),
                     clean(step));
}

std::string task_text(session& s, const engine::task_row& task,
                      const std::vector<engine::worker_row>& workers,
                      const std::vector<engine::serving_row>& serving) {
  const std::string queue = clean(task.queue);
  const std::string attempt =
      task.attempt > 1 ? fmt::format(", attempt {}", task.attempt) : std::string();
  if (task.owner == 0) {
    const takers who = takers_of(workers, serving, task.queue, task.step);
    const std::string nobody = nobody_text(who, task.step);
    return fmt::format("waits in queue {} {}{}; {}", queue, since_text(s, task.not_before), attempt,
                       !nobody.empty() ? nobody
                                       : count_of(who.of_step, "worker", "workers") +
                                             " could take it, when there is room");
  }
  const auto worker = std::ranges::find(workers, task.owner, &engine::worker_row::row);
  const std::string who = worker == workers.end() ? "a worker" : "worker " + worker_text(*worker);
  std::string text = fmt::format("is executed by {} of queue {}, attempt {}, {}", who, queue,
                                 task.attempt, since_text(s, task.taken));
  if (task.beat != 0) text += ", heartbeat " + s.time(task.beat);
  if (task.withdrawn) text += "; it was told to stop";
  if (worker != workers.end() && worker->dead)
    text += "; that worker is dead, and its attempt is taken back as soon as another looks";
  return text;
}

boost::json::object task_json(const engine::task_row& task,
                              const std::vector<engine::worker_row>& workers, const showing& how) {
  const auto worker = std::ranges::find(workers, task.owner, &engine::worker_row::row);
  return {{"operation", task.operation},
          {"step", task.step},
          {"queue", task.queue},
          {"attempt", task.attempt},
          {"state", task.withdrawn    ? "withdrawn"
                    : task.owner == 0 ? "waiting"
                                      : "executing"},
          {"not_before", time_json(task.not_before, how)},
          {"taken", time_json(task.taken, how)},
          {"heartbeat", time_json(task.beat, how)},
          {"worker", worker == workers.end() ? std::string() : worker->id.text()}};
}

std::vector<std::string> stranded(session& s, const std::vector<engine::queued_step>& queued,
                                  const std::vector<engine::worker_row>& workers,
                                  const std::vector<engine::serving_row>& serving) {
  std::vector<std::string> found;
  for (const engine::queued_step& one : queued) {
    if (one.waiting == 0) continue;
    const std::string nobody =
        nobody_text(takers_of(workers, serving, one.queue, one.step), one.step);
    if (nobody.empty()) continue;
    found.push_back(fmt::format(
        "{} at step '{}' {} in queue {} {}; {}", count_of(one.waiting, "attempt"), clean(one.step),
        one.waiting == 1 ? "waits" : "wait", clean(one.queue), since_text(s, one.oldest), nobody));
  }
  return found;
}

}  // namespace fermata::cli
