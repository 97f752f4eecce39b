// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <cstdint>

namespace fermata::engine {

/// Bits of `encoded_event::flags`. FORMAT.md §4.
namespace flag {
inline constexpr std::uint8_t value_sensitive = 1 << 0;
inline constexpr std::uint8_t input_sensitive = 1 << 1;
inline constexpr std::uint8_t value_erased = 1 << 2;
inline constexpr std::uint8_t input_erased = 1 << 3;
inline constexpr std::uint8_t value_in_blob = 1 << 4;  // a store's own; no check covers it
inline constexpr std::uint8_t input_in_blob = 1 << 5;
inline constexpr std::uint8_t value_not_canonical = 1 << 6;
inline constexpr std::uint8_t input_not_canonical = 1 << 7;

inline constexpr std::uint8_t erased = value_erased | input_erased;
inline constexpr std::uint8_t in_blob = value_in_blob | input_in_blob;
inline constexpr std::uint8_t in_envelope =
    value_sensitive | input_sensitive | value_not_canonical | input_not_canonical;
inline constexpr std::uint8_t in_crc = 0xff & ~in_blob;
}  // namespace flag

/// The level of FORMAT.md that this version writes, and the highest it reads.
inline constexpr int format_level = 1;

inline bool has_payload(const encoded_event& what) noexcept {
  return !what.content_type.empty() || !what.input_content_type.empty();
}
inline bool is_erased(const encoded_event& what) noexcept {
  return (what.flags & flag::erased) != 0;
}

}  // namespace fermata::engine
