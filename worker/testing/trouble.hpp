// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

namespace fermata::testing {

/// What the commits of a world's worker meet, as FERMATA_KIT_FAULTS="PER_MILLE" or "PER_MILLE:SEED" has
/// it: so many of a thousand each can't be made, find the store full, or are made and seem not to be.
/// Without it, none. Worlds differ, and are the same in each run of a program.
class trouble {
 public:
  enum class kind { none, refused, full, unseen };

  trouble();
  kind next();
  /// How many all worlds have met.
  static std::uint64_t met_so_far() noexcept;

 private:
  std::uint32_t per_mille_ = 0;
  std::mt19937 chance_;
};

}  // namespace fermata::testing
