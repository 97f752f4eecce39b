// SPDX-License-Identifier: Apache-2.0
#include "worker/testing/trouble.hpp"

#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace fermata::testing {
namespace {

/// How many all worlds have met: an attack wants to know that there were some.
class tally {
 public:
  ~tally() {
    if (std::getenv("FERMATA_KIT_FAULTS") != nullptr)
      std::fprintf(stderr, "commits met %llu faults\n",
                   static_cast<unsigned long long>(faults_.load()));
  }
  trouble::kind count(trouble::kind one) {
    if (one != trouble::kind::none) ++faults_;
    return one;
  }
  std::uint64_t faults() const noexcept { return faults_; }

 private:
  std::atomic<std::uint64_t> faults_ = 0;
};

tally met;

}  // namespace

trouble::trouble() {
  const char* text = std::getenv("FERMATA_KIT_FAULTS");
  if (text == nullptr) return;
  const std::string_view whole = text;
  const char* const end = whole.data() + whole.size();
  std::uint32_t seed = 1;
  const auto [after, problem] = std::from_chars(whole.data(), end, per_mille_);
  if (problem == std::errc() && after != end) std::from_chars(after + 1, end, seed);
  static std::uint32_t worlds = 0;
  chance_.seed(seed * 1'000'003 + ++worlds);
}

trouble::kind trouble::next() {
  if (per_mille_ == 0) return kind::none;
  const std::uint32_t drawn = static_cast<std::uint32_t>(chance_() % 1'000);
  if (drawn < per_mille_) return met.count(kind::refused);
  if (drawn < 2 * per_mille_) return met.count(kind::full);
  if (drawn < 3 * per_mille_) return met.count(kind::unseen);
  return kind::none;
}

std::uint64_t trouble::met_so_far() noexcept { return met.faults(); }

}  // namespace fermata::testing
