// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

/// The layout of a black box: a header, then slots. It is read on the host that wrote it, by the
/// same or another version; what has another version or size is foreign.
namespace fermata::runtime::box_file {

inline constexpr std::array<char, 8> magic = {'F', 'E', 'R', 'M', 'B', 'O', 'X', '\n'};
inline constexpr std::uint32_t version = 1;
inline constexpr std::size_t slots_max = 65'536;

struct header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t slot_size;
  std::uint32_t slots;
  std::uint32_t pid;
  std::array<char, 40> worker;  // its id as text; NUL at the end
};
static_assert(sizeof(header) == 64 && std::is_trivially_copyable_v<header>);

inline constexpr std::uint32_t no_thread = 0;  // the attempt waits for something

enum : std::uint32_t { slot_free = 0, slot_being_written = 1, slot_valid = 2 };

struct alignas(64) slot {
  std::atomic<std::uint32_t> state;
  std::atomic<std::uint32_t> generation;  // rises with each use: a reader sees that it changed
  std::atomic<std::uint32_t> thread;      // the kernel's id
  std::atomic<std::int32_t> signal;       // the handler's
  std::atomic<std::uint32_t> runaway;
  std::int32_t attempt;
  std::uint32_t alone;
  std::atomic<std::uint32_t> backtrace_size;
  std::int64_t since;
  std::array<std::uint8_t, 16> run;
  std::array<char, 64> operation;  // NUL at the end
  std::array<char, 128> step;      // NUL at the end
  std::array<char, 2048> backtrace;
};
static_assert(sizeof(slot) % 64 == 0 && std::atomic<std::uint32_t>::is_always_lock_free);

inline constexpr std::size_t size_of(std::size_t slots) {
  return sizeof(header) + slots * sizeof(slot);
}

/// A box that is open in this process, where the signal handler finds it.
struct mapping {
  std::uint32_t pid = 0;
  std::span<slot> slots;
};

/// Makes it known to the handler. False: there are too many open boxes; this one stays without.
bool show_to_handler(const mapping* box) noexcept;
void hide_from_handler(const mapping* box) noexcept;

/// The kernel's id of the calling thread, asked for once per thread.
std::uint32_t this_thread() noexcept;

}  // namespace fermata::runtime::box_file
