// SPDX-License-Identifier: Apache-2.0
#include "engine/store/host/slots.hpp"

#include "engine/store/failure.hpp"

#include <unistd.h>

#include <array>

namespace fermata::engine::host {

namespace {

constexpr int slots_max = 4'096;  // workers on one host

}  // namespace

worker_slots::worker_slots(const std::string& journal)
    : path_(journal + "-workers"), look_(path_) {}

void worker_slots::write(int slot, char value) const {
  if (pwrite(look_.descriptor(), &value, 1, slot) != 1)
    fail(absl::StatusCode::kResourceExhausted, "FER-2101",
         path_ + ": a worker's slot couldn't be written; is the disk full?");
}

int worker_slots::take(const std::set<int>& used) {
  const std::lock_guard guard(mutex_);
  for (int slot = 0; slot < slots_max; ++slot) {
    if (used.contains(slot) || held_.contains(slot)) continue;
    file own(path_);
    if (!own.try_lock(static_cast<std::size_t>(slot))) continue;
    write(slot, 1);
    held_.emplace(slot, std::move(own));
    return slot;
  }
  fail(absl::StatusCode::kResourceExhausted, "FER-2104",
       path_ + ": all 4,096 slots for workers of this host are taken");
}

void worker_slots::keep(int slot, std::int64_t worker) {
  const std::lock_guard guard(mutex_);
  worker_of_[slot] = worker;
}

void worker_slots::give_back(int slot) {
  const std::lock_guard guard(mutex_);
  if (!held_.contains(slot)) return;
  write(slot, 0);
  held_.erase(slot);
  worker_of_.erase(slot);
}

bool worker_slots::abandoned(int slot) const {
  return !look_.locked_by_other(static_cast<std::size_t>(slot));
}

bool worker_slots::any_abandoned(std::int64_t but_of_worker) const {
  std::array<char, slots_max> used;
  const ssize_t count = pread(look_.descriptor(), used.data(), used.size(), 0);
  const std::lock_guard guard(mutex_);
  for (int slot = 0; slot < count; ++slot) {
    if (used[static_cast<std::size_t>(slot)] != 1) continue;
    const auto known = worker_of_.find(slot);
    if (known != worker_of_.end() && known->second == but_of_worker) continue;
    if (abandoned(slot)) return true;
  }
  return false;
}

bool worker_slots::any_held() const {
  std::array<char, slots_max> used;
  const ssize_t count = pread(look_.descriptor(), used.data(), used.size(), 0);
  for (int slot = 0; slot < count; ++slot) {
    if (used[static_cast<std::size_t>(slot)] == 1 && !abandoned(slot)) return true;
  }
  return false;
}

void worker_slots::free_left(const std::function<std::set<int>()>& needed) {
  std::set<int> left = abandoned_in_use();
  if (left.empty()) return;
  for (int slot : needed()) left.erase(slot);
  for (int slot : left) {
    // A worker may have taken it meanwhile, and died: asked again while none can.
    const file own(path_);
    if (own.try_lock(static_cast<std::size_t>(slot)) && !needed().contains(slot)) write(slot, 0);
  }
}

std::set<int> worker_slots::abandoned_in_use() const {
  std::array<char, slots_max> used;
  const ssize_t count = pread(look_.descriptor(), used.data(), used.size(), 0);
  std::set<int> found;
  for (int slot = 0; slot < count; ++slot)
    if (used[static_cast<std::size_t>(slot)] == 1 && abandoned(slot)) found.insert(slot);
  return found;
}

}  // namespace fermata::engine::host
