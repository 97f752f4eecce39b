// SPDX-License-Identifier: Apache-2.0
#include "engine/ports/simulated.hpp"

#include <bit>

namespace fermata::engine {
namespace {

std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

void manual_clock::advance(std::int64_t us) {
  wall_ += us;
  boot_ += us;
  steady_ += us;
}

seeded_random::seeded_random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = splitmix64(seed);
}

std::uint64_t seeded_random::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void seeded_random::fill(void* to, std::size_t size) {
  auto* out = static_cast<unsigned char*>(to);
  while (size > 0) {
    std::uint64_t word = next();
    for (int i = 0; i < 8 && size > 0; ++i, --size, word >>= 8) {
      *out++ = static_cast<unsigned char>(word & 0xff);
    }
  }
}

}  // namespace fermata::engine
