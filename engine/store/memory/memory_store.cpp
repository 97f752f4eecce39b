// SPDX-License-Identifier: Apache-2.0
#include "engine/store/memory/memory_store.hpp"

#include "engine/ports/real.hpp"
#include "engine/store/memory/world.hpp"
#include "engine/store/status.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <unordered_map>
#include <utility>

namespace fermata::engine {
namespace memory {

time_us world::now() const { return std::max(time->wall_now(), data.latest); }

turn world::make_turn(std::int64_t worker) { return {data, *time, *chance, now(), worker}; }

void world::tell() {
  if (!data.woke) return;
  data.woke = false;
  ++wakes;
  changed.notify_all();
}

}  // namespace memory

memory_store::memory_store(std::string_view address, const open_options& options)
    : world_(std::make_unique<memory::world>()) {
  world_->address = address;
  world_->virtual_time = options.time != nullptr;
  world_->time = options.time ? options.time : std::make_shared<real_clock>();
  world_->chance = options.chance ? options.chance : std::make_shared<real_random>();
}

memory_store::~memory_store() = default;

absl::StatusOr<batch_result> memory_store::commit(batch&& what) {
  memory::writing writing(*world_);
  memory::turn turn = world_->make_turn(what.worker);

  batch_result result;
  for (append& one : what.appends) {
    result.appends.push_back(memory::apply_append(turn, std::move(one)));
  }
  result.starts = memory::apply_starts(turn, what.starts);
  for (message& one : what.messages) {
    result.messages.push_back(memory::put_message(turn, std::move(one), memory::bound::checked));
  }
  for (task_finish& one : what.finish)
    result.finished.push_back(memory::finish_task(turn, std::move(one)));
  if (what.claim) {
    memory::claim(turn, *what.claim, result);
    memory::claim_tasks(turn, *what.claim, result);
  }
  return result;
}

// ---- clock and wake-ups ----

time_us memory_store::now() const {
  const std::lock_guard lock(world_->mutex);
  return world_->now();
}

std::int64_t memory_store::boot_now() const { return world_->time->boot_now_us(); }

std::uint32_t memory_store::wake_count() const {
  const std::lock_guard lock(world_->mutex);
  return world_->wakes;
}

void memory_store::wait(std::uint32_t seen, std::int64_t timeout_us) {
  std::unique_lock lock(world_->mutex);
  const std::uint64_t interrupts = world_->interrupts;
  const auto over = [&] {
    return world_->wakes != seen || world_->interrupted || world_->interrupts != interrupts;
  };
  // Virtual time doesn't pass while somebody waits: the caller is let go to move it.
  const std::int64_t real_us =
      world_->virtual_time ? std::min<std::int64_t>(timeout_us, 1'000) : timeout_us;
  world_->changed.wait_for(lock, std::chrono::microseconds(std::max<std::int64_t>(real_us, 0)),
                           over);
  world_->interrupted = false;
}

void memory_store::interrupt() {
  const std::lock_guard lock(world_->mutex);
  world_->interrupted = true;
  ++world_->interrupts;
  world_->changed.notify_all();
}

// ---- care ----

absl::StatusOr<std::vector<std::string>> memory_store::check_pages() const {
  return std::vector<std::string>{};
}

absl::Status memory_store::backup(const std::string& path, bool) const {
  return coded(absl::StatusCode::kFailedPrecondition, "FER-2104",
               "a journal in memory can't be copied to '" + path +
                   "'; open it as sqlite:FILE to have one that lasts");
}

absl::Status memory_store::query(std::string_view, payloads,
                                 const std::function<bool(const std::vector<sql_value>&)>&) const {
  return coded(absl::StatusCode::kFailedPrecondition, "FER-2104",
               "a journal in memory has no SQL; open it as sqlite:FILE to ask it in SQL");
}

std::shared_ptr<store> open_memory_store(std::string_view address, const open_options& options) {
  constexpr std::string_view scheme = "memory:";
  const std::string_view name =
      address.starts_with(scheme) ? address.substr(scheme.size()) : address;
  if (name.empty()) return std::make_shared<memory_store>("memory:", options);

  static std::mutex mutex;
  static std::unordered_map<std::string, std::weak_ptr<store>> named;
  const std::lock_guard lock(mutex);
  std::weak_ptr<store>& known = named[std::string(name)];
  if (std::shared_ptr<store> open = known.lock()) return open;
  auto fresh = std::make_shared<memory_store>("memory:" + std::string(name), options);
  known = fresh;
  return fresh;
}

}  // namespace fermata::engine
