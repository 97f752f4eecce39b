// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fermata::simulation {

/// What is decided by chance. What a decision of a kind means when it is 0: nothing happens.
enum class choice : std::uint8_t {
  operation,  // a client does this one
  setting,    // a worker is set up so
  refusal,    // a call of the store answers an error
  before,     // it begins later
  after,      // its answer comes later
  wake,       // a wake-up comes later, twice, never
  step,       // an attempt fails, is slow, hangs
  nemesis,    // a process dies, is frozen, leaves; a clock jumps; the store is away
};
inline constexpr std::size_t choices = 8;
const char* text_of(choice what) noexcept;

/// Names a decision: the n-th of its kind of the one who is asked. Its value depends on this and the seed
/// alone, so that one that is left out changes the others as little as can be.
struct decision {
  choice what = choice::operation;
  std::uint32_t who = 0;
  std::uint32_t nth = 0;
  auto operator<=>(const decision&) const = default;
};

/// A decision that was made otherwise than 0.
struct decided {
  decision which;
  std::int64_t at = 0;  // virtual time, µs
  std::string told;     // by whoever asked; one line
};

/// All chance of a simulation.
class chance {
 public:
  /// `only`: all other decisions are 0; null: none is left out.
  chance(std::uint64_t seed, const std::set<decision>* only) : seed_(seed), only_(only) {}

  /// 0, or with so many in a thousand 1 … sides.
  std::uint32_t ask(choice what, std::uint32_t who, std::uint32_t permille, std::uint32_t sides);
  /// About what was just decided.
  void tell(std::int64_t at, std::string line);
  /// From now on nothing is decided but what operations and settings are.
  void heal() noexcept { healed_ = true; }
  bool healed() const noexcept { return healed_; }

  /// Chance beside decisions: the same whatever they are.
  std::uint64_t fixed(std::uint64_t about) const noexcept;
  const std::vector<decided>& made() const noexcept { return made_; }

 private:
  const std::uint64_t seed_;
  const std::set<decision>* const only_;
  bool healed_ = false;
  std::map<std::pair<choice, std::uint32_t>, std::uint32_t> asked_;
  std::vector<decided> made_;
};

/// splitmix64's finish: a number without pattern from one with.
std::uint64_t mixed(std::uint64_t value) noexcept;

/// All of `failing` that a failure needs: every single one left out makes it go away, or `tries` are used
/// up. `fails` says whether it still fails with these.
std::set<decision> shortest(std::vector<decided> failing, int tries,
                            const std::function<bool(const std::set<decision>&)>& fails);

}  // namespace fermata::simulation
