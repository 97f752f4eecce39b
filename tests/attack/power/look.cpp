// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/look.hpp"

#include <fmt/format.h>

namespace fermata::attack::power {

using namespace fermata::engine;

namespace {

absl::Status look_at_journal(const store& journal, const run_id& run, std::string& text) {
  const auto events = journal.read_events(run, 1, 100);
  if (!events.ok()) return events.status();
  for (const encoded_event& one : *events)
    text += fmt::format("  {} {} '{}' {} {}\n", one.position, text_of(one.kind), one.name,
                        one.place.str(), one.crc);
  const auto timers = journal.timers(run);
  if (!timers.ok()) return timers.status();
  for (const timer_row& one : *timers)
    text += fmt::format("  timer {} {}\n", one.operation, one.due);
  const auto tasks = journal.tasks(run);
  if (!tasks.ok()) return tasks.status();
  for (const task_row& one : *tasks)
    text +=
        fmt::format("  task {} {} {} {}\n", one.operation, one.queue, one.step, one.input.bytes);
  const auto logs = journal.logs(run, 100);
  if (!logs.ok()) return logs.status();
  for (const log_line& one : *logs) text += fmt::format("  log {} {}\n", one.text, one.place);
  return absl::OkStatus();
}

absl::Status look_at_run(const store& journal, const run_row& run, std::string& text) {
  text += fmt::format("{} {} {} '{}' {} {} '{}'\n", run.run.text(), run.workflow, run.key,
                      text_of(run.state), run.owner, run.epoch, run.waits);
  for (const auto& [name, value] : run.tags) text += fmt::format("  tag {} {}\n", name, value);
  const auto inbox = journal.inbox(run.chain);
  if (!inbox.ok()) return inbox.status();
  for (const message& one : *inbox)
    text += fmt::format("  message {} {} {} {}\n", one.name, one.operation, one.value.bytes,
                        one.damage);
  if (!run.key.empty()) {
    const auto keyed = journal.find_key("default", run.workflow, run.key);
    if (!keyed.ok()) return keyed.status();
    for (const run_row& one : *keyed) text += "  its key names " + one.run.text() + "\n";
  }
  if (run.state == run_state::waiting_to_start) return absl::OkStatus();
  return look_at_journal(journal, run.run, text);
}

}  // namespace

absl::StatusOr<std::string> look_at(const store& journal) {
  std::string text;
  const auto runs = journal.list({});
  if (!runs.ok()) return runs.status();
  for (const run_row& run : *runs)
    if (absl::Status status = look_at_run(journal, run, text); !status.ok()) return status;
  const auto workers = journal.workers();
  if (!workers.ok()) return workers.status();
  for (const worker_row& one : *workers)
    text += fmt::format("worker {} {} {} {} {}\n", one.id.text(), one.host, one.build, one.dead,
                        one.owned);
  const auto serving = journal.serving();
  if (!serving.ok()) return serving.status();
  for (const serving_row& one : *serving)
    text += fmt::format("{} {} {}\n", one.kind, one.name, one.alive);
  const auto counts = journal.counts("default");
  if (!counts.ok()) return counts.status();
  text += fmt::format("{} ready, {} timers, {} messages\n", counts->ready, counts->timers,
                      counts->inbox);
  const auto changes = journal.changes("", 1'000);
  if (!changes.ok()) return changes.status();
  text += fmt::format("{} events\n", changes->size());
  return text;
}

}  // namespace fermata::attack::power
