// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "engine/store/memory/world.hpp"
#include "engine/store/status.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace fermata::engine {
namespace {

using memory::tables;
using memory::worker_record;
using memory::writing;

int lowest_free_slot(const tables& data) {
  int slot = 0;
  const auto taken = [&](const auto& entry) {
    return !entry.second.settled() && entry.second.row.slot == slot;
  };
  while (std::ranges::any_of(data.workers, taken)) ++slot;
  return slot;
}

std::vector<run_id> give_up_all(tables& data, std::int64_t worker, time_us now,
                                std::size_t at_most = std::numeric_limits<std::size_t>::max()) {
  std::vector<run_id> runs;
  for (auto& [id, run] : data.runs) {
    if (run.row.owner != worker) continue;
    if (runs.size() == at_most) break;
    data.give_up(run, now);
    runs.push_back(id);
  }
  return runs;
}

bool lost(const worker_record& worker, std::int64_t boot_now) {
  const std::int64_t lease = worker.row.lease_until;
  return !worker.settled() &&
         (worker.row.dead || worker.lock_free ||
          (lease != 0 && (lease < boot_now || planted("memory_rescues_the_living"))));
}

}  // namespace

void memory_store::kill_worker(std::int64_t worker) {
  writing writing(*world_);
  if (worker_record* known = writing.data().find_worker(worker)) known->lock_free = true;
}

absl::StatusOr<worker_row> memory_store::register_worker(const worker_row& who) {
  writing writing(*world_);
  tables& data = writing.data();
  worker_row row = who;
  row.slot = lowest_free_slot(data);
  row.row = ++data.last_worker_row;
  if (row.id.empty()) row.id = new_worker_id(*world_->time, *world_->chance);
  if (row.started == 0) row.started = writing.now();
  row.last_seen = writing.now();
  row.dead = row.gone = false;
  row.owned = 0;
  data.workers[row.row] = {row, false};
  return row;
}

absl::Status memory_store::renew(std::int64_t worker, std::int64_t until) {
  writing writing(*world_);
  worker_record* known = writing.data().find_worker(worker);
  if (known == nullptr) return no_worker(worker, "isn't registered");
  if (!known->alive()) return no_worker(worker, "was marked dead, or left");
  const auto& runs = writing.data().runs;
  const auto held = writing.data().held_tasks.find(worker);
  const bool holds = held != writing.data().held_tasks.end() && !held->second.empty();
  const bool owns = until == 0 && (holds || std::ranges::any_of(runs, [&](const auto& run) {
                                     return run.second.row.owner == worker;  // claimed meanwhile
                                   }));
  if (!owns) known->row.lease_until = until;
  known->row.last_seen = writing.now();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<worker_row>> memory_store::rescue(std::int64_t me) {
  writing writing(*world_);
  std::vector<worker_row> found;
  for (auto& [row, worker] : writing.data().workers) {
    if (row == me || !lost(worker, world_->time->boot_now_us())) continue;
    worker.row.dead = true;
    worker.row.lease_until = 0;
    found.push_back(worker.row);
  }
  return found;
}

absl::StatusOr<std::vector<run_id>> memory_store::release_dead(std::int64_t worker) {
  writing writing(*world_);
  worker_record* known = writing.data().find_worker(worker);
  if (known == nullptr || !known->row.dead || known->released)
    return no_worker(worker, "isn't dead, or was released");
  memory::turn turn = world_->make_turn(0);
  memory::end_held_tasks(turn, worker, task_end::lost);
  auto runs = give_up_all(writing.data(), worker, writing.now(), limits::released_at_once);
  known->released = std::ranges::none_of(
      writing.data().runs, [&](const auto& entry) { return entry.second.row.owner == worker; });
  return runs;
}

bool memory_store::somebody_died(std::int64_t me) {
  const std::lock_guard lock(world_->mutex);
  return std::ranges::any_of(world_->data.workers, [&](const auto& entry) {
    return entry.first != me && !entry.second.settled() && entry.second.lock_free;
  });
}

absl::Status memory_store::release(std::int64_t worker, const std::vector<run_id>& runs) {
  writing writing(*world_);
  tables& data = writing.data();
  if (data.find_worker(worker) == nullptr) return no_worker(worker, "isn't registered");
  if (runs.empty()) {
    memory::turn turn = world_->make_turn(0);
    memory::end_held_tasks(turn, worker, task_end::given_back);
    give_up_all(data, worker, writing.now());
  }
  for (const run_id& id : runs) {
    memory::run_record* run = data.find(id);
    if (run != nullptr && run->row.owner == worker) data.give_up(*run, writing.now());
  }
  return absl::OkStatus();
}

absl::Status memory_store::leave(std::int64_t worker) {
  writing writing(*world_);
  worker_record* known = writing.data().find_worker(worker);
  if (known == nullptr) return no_worker(worker, "isn't registered");
  if (!known->alive()) return absl::OkStatus();
  memory::turn turn = world_->make_turn(0);
  memory::end_held_tasks(turn, worker, task_end::given_back);
  give_up_all(writing.data(), worker, writing.now());
  known->row.gone = true;
  known->row.lease_until = 0;
  return absl::OkStatus();
}

absl::Status memory_store::put_serving(std::int64_t worker, const std::vector<serving_row>& rows) {
  writing writing(*world_);
  const worker_record* known = writing.data().find_worker(worker);
  if (known == nullptr) return no_worker(worker, "isn't registered");
  memory::tables& data = writing.data();
  for (serving_row row : rows) {
    row.worker = known->row.id;
    if (row.build.empty()) row.build = known->row.build;
    auto& of_name = data.serving[{row.kind, row.name}];
    // What those served who are gone; from now on this row is the last one of its name.
    std::erase_if(of_name, [&](const auto& served) { return !data.alive(served.first); });
    of_name[worker] = std::move(row);
  }
  return absl::OkStatus();
}

absl::Status memory_store::put_logs(const std::vector<log_line>& lines) {
  writing writing(*world_);
  for (const log_line& line : lines) {
    memory::run_record* run = writing.data().find(line.run);
    if (run != nullptr) memory::keep_log(*run, line);
  }
  return absl::OkStatus();
}

}  // namespace fermata::engine
