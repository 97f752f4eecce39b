// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fermata::engine {

/// CRC-32C (Castagnoli, RFC 3720 §B.4). SSE4.2 where the processor has it, a table elsewhere.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept;
std::uint32_t crc32c_by_table(std::string_view bytes, std::uint32_t before = 0) noexcept;

/// SHA-256 (FIPS 180-4), by OpenSSL.
std::array<std::uint8_t, 32> sha256(std::string_view bytes) noexcept;

/// SipHash-2-4 (Aumasson, Bernstein 2012) with a key of 16 bytes.
std::uint64_t siphash24(std::string_view key16, std::string_view bytes) noexcept;

}  // namespace fermata::engine
