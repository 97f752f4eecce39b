// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/limits.hpp"
#include "engine/ports/ports.hpp"

#include <cstdint>
#include <mutex>

namespace fermata::engine::host {

/// After the host has slept, all leases have ended and all workers are alive: nobody could renew.
/// CLOCK_BOOTTIME counts the sleep, the steady clock doesn't; for one lease of steady time after a
/// long one, no lease is believed to have ended. PROTOCOL §4.
/// Threads: any.
class suspend_watch {
 public:
  explicit suspend_watch(clock& time) : slept_us_(slept(time)) {}

  bool leases_count(clock& time) {
    const std::lock_guard guard(mutex_);
    constexpr std::int64_t lease_us = limits::lease_ms * 1'000;
    const std::int64_t slept_us = slept(time);
    if (slept_us - slept_us_ > lease_us) distrust_until_us_ = time.steady_now_us() + lease_us;
    slept_us_ = slept_us;
    return time.steady_now_us() >= distrust_until_us_;
  }

 private:
  static std::int64_t slept(clock& time) { return time.boot_now_us() - time.steady_now_us(); }

  std::mutex mutex_;
  // Guarded by mutex_.
  std::int64_t slept_us_;  // since boot, and by another origin: only differences count
  std::int64_t distrust_until_us_ = INT64_MIN;
};

}  // namespace fermata::engine::host
