// SPDX-License-Identifier: Apache-2.0
#include "engine/ports/real.hpp"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fermata::engine {
namespace {

std::int64_t read_clock_us(clockid_t which) {
  timespec now{};
  if (clock_gettime(which, &now) != 0) {
    std::fprintf(stderr, "fermata: clock_gettime(%d) failed\n", static_cast<int>(which));
    std::abort();
  }
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

void draw(unsigned char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t drawn = ::getrandom(to, size, 0);
    if (drawn < 0 && errno == EINTR) continue;
    if (drawn <= 0) {
      std::fputs("fermata: getrandom failed; there is no randomness to make ids from\n", stderr);
      std::abort();
    }
    to += drawn;
    size -= static_cast<std::size_t>(drawn);
  }
}

/// Rises in each forked child, so that parent and child don't hand out the same bytes.
std::atomic<unsigned> fork_generation{0};

void watch_forks() {
  [[maybe_unused]] static const int registered = pthread_atfork(
      nullptr, nullptr, [] { fork_generation.fetch_add(1, std::memory_order_relaxed); });
}

struct random_buffer {
  std::array<unsigned char, 4096> bytes;
  std::size_t used = 4096;
  unsigned generation = 0;
};

}  // namespace

time_us real_clock::wall_now() { return read_clock_us(CLOCK_REALTIME); }
std::int64_t real_clock::boot_now_us() { return read_clock_us(CLOCK_BOOTTIME); }
std::int64_t real_clock::steady_now_us() { return read_clock_us(CLOCK_MONOTONIC); }

void real_random::fill(void* to, std::size_t size) {
  thread_local random_buffer buffer;
  watch_forks();
  auto* out = static_cast<unsigned char*>(to);
  while (size > buffer.bytes.size()) {
    draw(out, buffer.bytes.size());
    out += buffer.bytes.size();
    size -= buffer.bytes.size();
  }

  const unsigned generation = fork_generation.load(std::memory_order_relaxed);
  if (buffer.generation != generation || buffer.used + size > buffer.bytes.size()) {
    draw(buffer.bytes.data(), buffer.bytes.size());
    buffer.used = 0;
    buffer.generation = generation;
  }
  std::memcpy(out, buffer.bytes.data() + buffer.used, size);
  std::memset(buffer.bytes.data() + buffer.used, 0, size);
  buffer.used += size;
}

}  // namespace fermata::engine
