// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// How payload bytes lie in a store. FORMAT.md §4.
namespace fermata::engine {

enum class codec : std::uint8_t { plain = 0, zstd = 1 };

/// Makes `stored` of `plain` and says how: as it is, or by zstd when that is worth it.
codec pack(std::string_view plain, std::string& stored);

/// Makes `plain` of what `pack` stored by zstd. Never takes more than `limits::payload_max`.
/// Returns what is wrong, or nothing.
std::string_view unpack_zstd(std::string_view stored, std::string& plain);

}  // namespace fermata::engine
