// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/chance.hpp"

#include <algorithm>
#include <utility>

namespace fermata::simulation {

const char* text_of(choice what) noexcept {
  constexpr std::array<const char*, choices> texts = {"operation", "setting", "refusal", "before",
                                                      "after",     "wake",    "step",    "nemesis"};
  return texts.at(static_cast<std::size_t>(what));
}

std::uint64_t mixed(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::uint64_t chance::fixed(std::uint64_t about) const noexcept {
  return mixed(seed_ ^ mixed(about));
}

std::uint32_t chance::ask(choice what, std::uint32_t who, std::uint32_t permille,
                          std::uint32_t sides) {
  const std::uint32_t nth = asked_[{what, who}]++;
  if (healed_ && what != choice::operation && what != choice::setting) return 0;
  const std::uint64_t value = mixed(mixed(seed_ * 31 + static_cast<std::uint64_t>(what)) ^
                                    mixed(std::uint64_t{who} << 32 | nth));
  if (value % 1000 >= permille) return 0;
  const decision which{what, who, nth};
  if (only_ != nullptr && !only_->contains(which)) return 0;
  made_.push_back({which, 0, {}});
  return 1 + static_cast<std::uint32_t>(value / 1000 % sides);
}

void chance::tell(std::int64_t at, std::string line) {
  made_.back().at = at;
  made_.back().told = std::move(line);
}

namespace {

std::set<decision> without(const std::vector<decision>& all, std::size_t from, std::size_t count) {
  std::set<decision> rest;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (i < from || i >= from + count) rest.insert(all[i]);
  return rest;
}

}  // namespace

/// Whole kinds first, which is most of it; then ever smaller pieces, as delta debugging does (Zeller).
std::set<decision> shortest(std::vector<decided> failing, int tries,
                            const std::function<bool(const std::set<decision>&)>& fails) {
  std::vector<decision> left;
  for (const decided& one : failing) left.push_back(one.which);
  const auto try_with = [&](const std::set<decision>& fewer) {
    if (fewer.size() == left.size() || tries-- <= 0 || !fails(fewer)) return false;
    std::erase_if(left, [&](const decision& one) { return !fewer.contains(one); });
    return true;
  };
  for (const choice kind : {choice::before, choice::after, choice::wake, choice::step,
                            choice::refusal, choice::setting, choice::nemesis}) {
    std::set<decision> fewer(left.begin(), left.end());
    std::erase_if(fewer, [&](const decision& one) { return one.what == kind; });
    try_with(fewer);
  }
  for (std::size_t piece = std::max<std::size_t>(left.size() / 2, 1); tries > 0;) {
    bool some = false;
    for (std::size_t from = 0; from < left.size() && tries > 0;) {
      if (try_with(without(left, from, piece)))
        some = true;
      else
        from += piece;
    }
    if (piece == 1 && !some) break;
    piece = std::max<std::size_t>(std::min(piece / 2, left.size() / 2), 1);
  }
  return {left.begin(), left.end()};
}

}  // namespace fermata::simulation
