// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/simulation/chance.hpp"
#include "tests/attack/simulation/record.hpp"

#include <cstdint>
#include <functional>
#include <set>
#include <string_view>
#include <vector>

namespace fermata::simulation {

/// How a seed went.
struct report {
  std::uint64_t hash = 0;  // of who went when, of every event in the journal
  std::int64_t seconds = 0;
  std::int64_t healed_in_ms = 0;  // from the end of the faults until all runs had ended
  std::uint64_t steps = 0;
  record::counts total;
  std::vector<complaint> complaints;
  std::vector<decided> decisions;
  bool failed() const noexcept { return !complaints.empty(); }
};

/// Workers, clients and a journal for some minutes of virtual time: first with all that can happen to
/// them, then without, until all runs have ended, which must be so within a bound.
/// `only`: decisions that aren't among these are 0; null: none is left out. `say` may be empty.
report simulate(std::uint64_t seed, const std::set<decision>* only = nullptr,
                const std::function<void(std::string_view)>& say = {});

/// What of its decisions a seed's failure needs: all others left out, it fails in the same way.
std::set<decision> minimise(std::uint64_t seed, const report& failed, int tries);

}  // namespace fermata::simulation
