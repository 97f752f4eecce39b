// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

/// The engine's doors to time and chance. Nothing else in engine/ asks the system for either, so
/// that a whole run can be repeated from one seed.
namespace fermata::engine {

/// Threads: any.
class clock {
 public:
  virtual ~clock() = default;

  /// Microseconds since 1970 UTC. May jump in both directions.
  virtual time_us wall_now() = 0;
  /// Microseconds since the host booted, sleep included: leases. Never runs backwards, and is the
  /// same for all processes of the host.
  virtual std::int64_t boot_now_us() = 0;
  /// Microseconds since some moment, for measuring spans within this process.
  virtual std::int64_t steady_now_us() = 0;
};

/// Threads: see the implementation.
class random {
 public:
  virtual ~random() = default;

  virtual void fill(void* to, std::size_t size) = 0;

  std::uint64_t next64();
  /// For `encode`, and for a run's seed.
  std::array<char, 16> salt16();
};

}  // namespace fermata::engine
