// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"

namespace fermata::engine {

/// The kernel's clocks: CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC.
class real_clock : public clock {
 public:
  time_us wall_now() override;
  std::int64_t boot_now_us() override;
  std::int64_t steady_now_us() override;
};

/// OpenSSL's generator, fetched 4 KiB at a time into a buffer of each thread. What was handed out is
/// wiped from the buffer, and a forked child throws its copy away.
/// Aborts when the system has no randomness to give: ids would repeat.
/// Threads: any.
class real_random final : public random {
 public:
  void fill(void* to, std::size_t size) override;
};

}  // namespace fermata::engine
