// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/memory/turn.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

namespace fermata::engine::memory {

/// What a memory store holds.
struct world {
  // Set once.
  std::string address;
  std::shared_ptr<clock> time;
  std::shared_ptr<random> chance;
  bool virtual_time = false;  // nobody may wait for it: time moves between calls

  // Guarded by mutex.
  mutable std::mutex mutex;
  std::condition_variable changed;
  tables data;
  std::uint32_t wakes = 0;
  std::uint64_t interrupts = 0;
  bool interrupted = false;

  time_us now() const;  // with mutex held
  turn make_turn(std::int64_t worker);
  /// Wakes those who wait, if something concerns them. With mutex held.
  void tell();
};

/// Holds the mutex; on leaving, wakes who must know.
class writing {
 public:
  explicit writing(world& of) : world_(of), lock_(of.mutex) {}
  ~writing() { world_.tell(); }
  writing(const writing&) = delete;
  writing& operator=(const writing&) = delete;

  tables& data() { return world_.data; }
  time_us now() const { return world_.now(); }

 private:
  world& world_;
  std::lock_guard<std::mutex> lock_;
};

}  // namespace fermata::engine::memory
