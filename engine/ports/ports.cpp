// SPDX-License-Identifier: Apache-2.0
#include "engine/ports/ports.hpp"

namespace fermata::engine {

std::uint64_t random::next64() {
  std::uint64_t value = 0;
  fill(&value, sizeof value);
  return value;
}

std::array<char, 16> random::salt16() {
  std::array<char, 16> bytes;
  fill(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace fermata::engine
