// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>

namespace fermata::engine::postgres {

/// The server's wall clock, as this process knows it: its offset from ours is learned with every
/// transaction. Never before the latest time that was stored. With a clock of a test's, that one is
/// the server's.
/// Threads: any.
class database_clock {
 public:
  database_clock(clock& ours, bool is_virtual) : ours_(ours), virtual_(is_virtual) {}

  time_us now() const {
    const time_us wall = virtual_ ? ours_.wall_now() : ours_.boot_now_us() + offset_.load();
    return std::max(wall, latest_.load());
  }
  /// What the server said, and when we asked and heard it (CLOCK_BOOTTIME). Each answer bounds the
  /// offset from both sides, the quick ones closely: what all bounds allow is kept (K. Marzullo,
  /// Maintaining the time in a distributed system, 1984). Clocks drift, so bounds widen; one that
  /// contradicts says that a clock was set.
  void learn(time_us said, std::int64_t asked, std::int64_t heard) {
    if (virtual_) return;
    const std::lock_guard guard(mutex_);
    const std::int64_t drift = (heard - learned_) / 10'000 + 1;  // 100 ppm
    learned_ = heard;
    least_ = std::max(least_ - drift, said - heard);
    most_ = std::min(most_ + drift, said - asked);
    if (least_ > most_) {
      least_ = said - heard;
      most_ = said - asked;
    }
    offset_ = least_ + (most_ - least_) / 2;
  }
  void stored(time_us at) {
    time_us known = latest_.load();
    while (at > known && !latest_.compare_exchange_weak(known, at)) {
    }
  }
  bool is_virtual() const noexcept { return virtual_; }
  std::int64_t boot_now() const { return ours_.boot_now_us(); }
  std::int64_t steady_now() const { return ours_.steady_now_us(); }

 private:
  clock& ours_;
  const bool virtual_;
  std::atomic<std::int64_t> offset_ = 0;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::int64_t learned_ = 0;
  std::int64_t least_ = INT64_MIN / 2;
  std::int64_t most_ = INT64_MAX / 2;

  std::atomic<time_us> latest_ = 0;
};

}  // namespace fermata::engine::postgres
