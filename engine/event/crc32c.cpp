// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"

#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace fermata::engine {
namespace {

constexpr std::uint32_t polynomial_reflected = 0x82f63b78;

using table = std::array<std::array<std::uint32_t, 256>, 8>;

/// Row k: what a byte does to the checksum k bytes later; so eight bytes are taken at once.
constexpr table make_table() {
  table rows{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? crc >> 1 ^ polynomial_reflected : crc >> 1;
    rows[0][i] = crc;
  }
  for (std::size_t row = 1; row < rows.size(); ++row) {
    for (std::size_t i = 0; i < 256; ++i) {
      rows[row][i] = rows[row - 1][i] >> 8 ^ rows[0][rows[row - 1][i] & 0xff];
    }
  }
  return rows;
}
constexpr table rows = make_table();

std::uint64_t load64(const char* from) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, from, sizeof value);
  return value;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_sse42(std::string_view bytes,
                                                                std::uint32_t before) noexcept {
  std::uint64_t crc = ~before;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, load64(at));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++at) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
  return ~narrow;
}

const bool has_sse42 = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
}();
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::string_view bytes, std::uint32_t before) noexcept {
  std::uint32_t crc = ~before;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint64_t word = load64(at) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= rows[7 - i][word >> (8 * i) & 0xff];
  }
  for (; left > 0; --left, ++at) {
    crc = crc >> 8 ^ rows[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
  }
  return ~crc;
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) noexcept {
#if defined(__x86_64__)
  if (has_sse42) return crc32c_by_sse42(bytes, before);
#endif
  return crc32c_by_table(bytes, before);
}

}  // namespace fermata::engine
