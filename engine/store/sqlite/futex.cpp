// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace fermata::engine::sqlite {

// Not FUTEX_PRIVATE: the words lie in mapped files.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t timeout_us) noexcept {
  if (timeout_us <= 0) return;
  const std::timespec span{.tv_sec = timeout_us / 1'000'000,
                           .tv_nsec = timeout_us % 1'000'000 * 1'000};
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, &span, nullptr, 0);
}

void futex_wake(const std::atomic<std::uint32_t>& word, int at_most) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE, at_most, nullptr, nullptr, 0);
}

}  // namespace fermata::engine::sqlite
