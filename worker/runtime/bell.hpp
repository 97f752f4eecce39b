// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <semaphore.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace fermata::runtime {

/// Wakes one thread. It outlives the sessions of its worker, so that a signal handler may ring it at
/// any time.
/// Threads: `ring` from any, and in signal handlers; `sleep_until` from one.
class bell {
 public:
  bell() { ::sem_init(&semaphore_, 0, 0); }
  ~bell() { ::sem_destroy(&semaphore_); }
  bell(const bell&) = delete;

  void ring() noexcept {
    if (!rung_.exchange(true)) ::sem_post(&semaphore_);
  }
  /// Until it is rung, at most until this time of CLOCK_MONOTONIC, in µs.
  void sleep_until(std::int64_t steady_us) noexcept {
    timespec until{};
    until.tv_sec = static_cast<time_t>(steady_us / 1'000'000);
    until.tv_nsec = static_cast<long>(steady_us % 1'000'000 * 1000);
    // ThreadSanitizer runs a signal's handler in the next call that it knows; of these two, the
    // second (LLVM 19).
    while (::sem_clockwait(&semaphore_, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR &&
           ::sem_trywait(&semaphore_) != 0) {
    }
    rung_.store(false);
  }

 private:
  sem_t semaphore_;
  std::atomic<bool> rung_ = false;
};

/// 0: works, 1: drains, 2: gives everything back at once.
using stop_request = std::atomic<int>;

}  // namespace fermata::runtime
