// SPDX-License-Identifier: Apache-2.0
// What a worker believes of its lease, beside what a store does: it must never end later here than there.
#include "engine/limits.hpp"
#include "worker/runtime/lease.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <vector>

namespace {

using fermata::runtime::lease;

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t whole = fermata::engine::limits::lease_ms * 1000;

/// As stores do.
struct row {
  std::int64_t until = 0;  // 0: none
  int owned = 0;
  void claim(std::int64_t now) {
    ++owned;
    if (until == 0) until = now + whole;
  }
  void renew(std::int64_t to) {
    if (to != 0 || owned == 0) until = to;
  }
};

}  // namespace

TEST_CASE("a claim gives a lease to who has none") {
  lease mine;

  mine.claimed(5 * second);

  CHECK(mine.allows(5 * second + whole - 1));
  CHECK_FALSE(mine.allows(5 * second + whole));
}

TEST_CASE("a claim doesn't make a lease longer that is there already") {
  lease mine;
  mine.renewed(0);

  mine.claimed(10 * second);

  CHECK(mine.until() == whole);
}

TEST_CASE("a lease isn't taken back when a claim was answered meanwhile") {
  lease mine;
  mine.renewed(0);
  const auto before = mine.claims();

  mine.claimed(2 * second);
  mine.taken_back(before, 3 * second);

  CHECK(mine.until() == whole);
}

TEST_CASE("a claim that is answered after its lease was taken back may have the old one") {
  lease mine;
  mine.renewed(0);

  mine.taken_back(mine.claims(), 3 * second);
  CHECK(mine.until() == lease::none);
  mine.claimed(2 * second);

  CHECK(mine.until() == whole);
}

TEST_CASE("whatever comes between calls and answers, a lease isn't longer than in the store") {
  for (unsigned seed = 1; seed <= 2'000; ++seed) {
    std::mt19937 by(seed);
    const auto draw = [&](int sides) {
      return static_cast<int>(by() % static_cast<unsigned>(sides));
    };
    row there;
    lease here;
    std::int64_t now = 0;
    std::vector<std::function<void()>> claims, guards;  // what is under way, a step each
    int known = 0;                                      // of what the worker owns
    for (int i = 0; i < 60; ++i) {
      now += draw(4) * second;
      // A rescuer comes when it is over; then all of it ends.
      if (there.until != 0 && there.until <= now) break;
      if (draw(3) == 0 && claims.empty()) {
        const std::int64_t sent = now;
        claims.push_back([&, sent] { here.claimed(sent), ++known; });
        claims.push_back([&] { there.claim(now); });
      } else if (draw(3) == 0 && guards.empty()) {
        const std::int64_t sent = now, to = known > 0 ? now + whole : 0;
        const auto before = here.claims();
        guards.push_back([&, sent, to, before] {
          if (to != 0)
            here.renewed(sent);
          else
            here.taken_back(before, now);
        });
        guards.push_back([&, to] { there.renew(to); });
      } else if (auto& next = draw(2) == 0 ? claims : guards; !next.empty()) {
        next.back()();
        next.pop_back();
      } else if (known > 0 && draw(3) == 0) {
        there.owned -= known;
        known = 0;
      }
      CAPTURE(seed);
      CAPTURE(i);
      const bool shorter = there.until == 0 || claims.size() == 1 || here.until() <= there.until;
      REQUIRE(shorter);
    }
  }
}
