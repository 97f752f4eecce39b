// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace fermata::engine {

/// Time that moves only when told to.
/// Threads: any.
class manual_clock final : public clock {
 public:
  /// Begins 2024-01-01 00:00:00 UTC, an hour after boot.
  manual_clock() = default;
  explicit manual_clock(time_us wall) : wall_(wall) {}

  /// Sets the wall clock alone, as an operator or NTP would: a jump.
  void set(time_us wall) { wall_ = wall; }
  /// Time passes: all three clocks move.
  void advance(std::int64_t us);

  time_us wall_now() override { return wall_; }
  std::int64_t boot_now_us() override { return boot_; }
  std::int64_t steady_now_us() override { return steady_; }

 private:
  std::atomic<std::int64_t> wall_{1'704'067'200'000'000};
  std::atomic<std::int64_t> boot_{3'600'000'000};
  std::atomic<std::int64_t> steady_{3'600'000'000};
};

/// xoshiro256** (Blackman, Vigna), seeded by splitmix64: the same seed gives the same bytes on every
/// machine.
/// Threads: one; a simulation runs on one.
class seeded_random final : public random {
 public:
  explicit seeded_random(std::uint64_t seed);

  void fill(void* to, std::size_t size) override;

 private:
  std::uint64_t next();

  std::array<std::uint64_t, 4> state_;
};

}  // namespace fermata::engine
