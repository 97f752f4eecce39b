// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "engine/store/memory/world.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fermata::engine {
namespace {

using memory::run_record;
using memory::tables;

absl::Status missing(const std::string& what) {
  return coded(absl::StatusCode::kNotFound, "FER-2104", what + " isn't in this journal");
}

}  // namespace

absl::StatusOr<std::vector<encoded_event>> memory_store::read_events(const run_id& run,
                                                                     position_t from,
                                                                     std::size_t at_most) const {
  const std::lock_guard lock(world_->mutex);
  const run_record* known = std::as_const(world_->data).find(run);
  if (known == nullptr) {
    if (world_->data.requests.contains(run)) return std::vector<encoded_event>{};
    return missing("run " + run.text());
  }
  const std::size_t begin = from == 0 ? 0 : std::min<std::size_t>(from - 1, known->events.size());
  const std::size_t count = std::min(at_most, known->events.size() - begin);
  const auto first = known->events.begin() + static_cast<std::ptrdiff_t>(begin);
  return std::vector<encoded_event>(first, first + static_cast<std::ptrdiff_t>(count));
}

absl::StatusOr<head> memory_store::read_head(const run_id& run) const {
  const std::lock_guard lock(world_->mutex);
  const run_record* known = std::as_const(world_->data).find(run);
  if (known != nullptr) return memory::head_of(*known);
  if (world_->data.requests.contains(run)) return fermata::engine::head{};
  return missing("run " + run.text());
}

absl::StatusOr<std::vector<run_place>> memory_store::whereabouts(
    std::int64_t worker, const std::vector<run_id>& runs) const {
  const std::lock_guard lock(world_->mutex);
  const memory::tables& data = world_->data;
  if (worker != 0 && data.find_worker(worker) == nullptr)
    return missing(fmt::format("worker {}", worker));
  std::vector<run_place> all;
  auto add = [&all](const run_id& id, const memory::run_record& run) {
    all.push_back({id, run.row.owner, run.row.epoch, memory::head_of(run)});
  };
  for (const run_id& id : runs) {
    const memory::run_record* known = data.find(id);
    if (known != nullptr && (worker == 0 || known->row.owner != worker)) add(id, *known);
  }
  if (worker != 0)
    for (const auto& [id, run] : data.runs)
      if (run.row.owner == worker) add(id, run);
  return all;
}

absl::StatusOr<run_row> memory_store::find_run(const run_id& run) const {
  const std::lock_guard lock(world_->mutex);
  if (auto row = world_->data.row_of(run)) return *std::move(row);
  return missing("run " + run.text());
}

absl::StatusOr<run_row> memory_store::find_chain(const chain_id& chain) const {
  const std::lock_guard lock(world_->mutex);
  if (auto row = world_->data.current(chain)) return *std::move(row);
  return missing("chain " + chain.text());
}

absl::StatusOr<std::vector<run_row>> memory_store::find_key(std::string_view space,
                                                            std::string_view workflow,
                                                            std::string_view key) const {
  const std::lock_guard lock(world_->mutex);
  std::vector<run_row> rows;
  for (const auto& [name, bound] : world_->data.keys) {
    if (name.space != space || name.key != key) continue;
    if (!workflow.empty() && name.workflow != workflow) continue;
    if (auto row = world_->data.current(bound.chain)) rows.push_back(*std::move(row));
  }
  return rows;
}

absl::StatusOr<std::vector<message>> memory_store::inbox(const chain_id& chain) const {
  const std::lock_guard lock(world_->mutex);
  std::vector<message> messages;
  const memory::chain_record* known = std::as_const(world_->data).find_chain(chain);
  if (known == nullptr) return messages;
  for (const auto& [seq, message] : known->inbox) messages.push_back(message);
  return messages;
}

absl::StatusOr<std::vector<timer_row>> memory_store::timers(const run_id& run) const {
  const std::lock_guard lock(world_->mutex);
  std::vector<timer_row> rows;
  const run_record* known = std::as_const(world_->data).find(run);
  if (known == nullptr) return rows;
  for (const auto& [operation, timer] : known->timers) rows.push_back(timer.row);
  std::ranges::sort(rows, memory::by_due);
  return rows;
}

absl::StatusOr<std::optional<start_request>> memory_store::find_request(const run_id& run) const {
  const std::lock_guard lock(world_->mutex);
  const auto at = world_->data.requests.find(run);
  if (at == world_->data.requests.end()) return std::optional<start_request>{};
  return std::optional<start_request>(at->second);
}

absl::StatusOr<payload> memory_store::published(const run_id& run, std::string_view name) const {
  const std::lock_guard lock(world_->mutex);
  const run_record* known = std::as_const(world_->data).find(run);
  if (known == nullptr) return missing("run " + run.text());
  const auto at = known->published.find(std::string(name));
  if (at == known->published.end()) {
    return missing("run " + run.text() + ": a published value '" + std::string(name) + "'");
  }
  absl::StatusOr<event> event = decode(run, known->events.at(at->second - 1));
  if (!event.ok()) return event.status();
  return std::move(event->value);
}

absl::StatusOr<std::vector<worker_row>> memory_store::workers() const {
  const std::lock_guard lock(world_->mutex);
  std::map<std::int64_t, std::int64_t> owned;
  for (const auto& [id, run] : world_->data.runs) ++owned[run.row.owner];
  std::vector<worker_row> rows;
  for (const auto& [row, worker] : world_->data.workers) {
    rows.push_back(worker.row);
    rows.back().owned = owned[row];
    const auto held = world_->data.held_tasks.find(row);
    if (held != world_->data.held_tasks.end())
      rows.back().tasks = static_cast<std::int64_t>(held->second.size());
  }
  return rows;
}

absl::StatusOr<std::vector<serving_row>> memory_store::serving() const {
  const std::lock_guard lock(world_->mutex);
  std::vector<serving_row> rows;
  for (const auto& [name, by_worker] : world_->data.serving) {
    const std::size_t before = rows.size();
    for (const auto& [worker, served] : by_worker) {
      if (!world_->data.alive(worker)) continue;
      rows.push_back(served);
      rows.back().alive = true;
    }
    if (rows.size() == before && !by_worker.empty()) rows.push_back(by_worker.rbegin()->second);
  }
  return rows;
}

absl::StatusOr<std::optional<heartbeat_row>> memory_store::heartbeat(
    const run_id& run, std::string_view operation) const {
  const std::lock_guard lock(world_->mutex);
  const run_record* known = std::as_const(world_->data).find(run);
  if (known == nullptr) return std::optional<heartbeat_row>{};
  const auto at = known->heartbeats.find(operation);
  if (at == known->heartbeats.end()) return std::optional<heartbeat_row>{};
  return std::optional<heartbeat_row>(at->second);
}

absl::StatusOr<std::vector<log_line>> memory_store::logs(const run_id& run,
                                                         std::size_t at_most) const {
  const std::lock_guard lock(world_->mutex);
  const run_record* known = std::as_const(world_->data).find(run);
  if (known == nullptr) return std::vector<log_line>{};
  const std::size_t count = std::min(at_most, known->logs.size());
  return std::vector<log_line>(known->logs.end() - static_cast<std::ptrdiff_t>(count),
                               known->logs.end());
}

absl::StatusOr<store_info> memory_store::info() const {
  const std::lock_guard lock(world_->mutex);
  return store_info{.kind = "memory", .address = world_->address, .durability = "none"};
}

absl::StatusOr<std::vector<stored_event>> memory_store::changes(const std::string& after,
                                                                std::size_t at_most) const {
  const std::lock_guard lock(world_->mutex);
  std::vector<stored_event> events;
  const auto& log = world_->data.log;
  for (std::uint64_t i = after.empty() ? 0 : std::stoull(after);
       i < log.size() && events.size() < at_most; ++i) {
    const auto& [run, index] = log[i];
    events.push_back({run, world_->data.runs.at(run).events[index], std::to_string(i + 1)});
  }
  return events;
}

}  // namespace fermata::engine
