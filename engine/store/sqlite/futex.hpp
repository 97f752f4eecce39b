// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace fermata::engine::sqlite {

static_assert(sizeof(std::atomic<std::uint32_t>) == 4 &&
              std::atomic<std::uint32_t>::is_always_lock_free);

/// Sleeps while `word` is `seen`, for at most `timeout_us`. Wakes early for no reason now and then.
/// Works between processes that map the word.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                std::int64_t timeout_us) noexcept;
void futex_wake(const std::atomic<std::uint32_t>& word, int at_most) noexcept;

}  // namespace fermata::engine::sqlite
