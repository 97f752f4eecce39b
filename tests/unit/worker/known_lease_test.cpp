// SPDX-License-Identifier: Apache-2.0
// What a worker believes of its lease, beside what a store does: it must never end later here than there.
#include "engine/limits.hpp"
#include "worker/runtime/lease.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <utility>
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

TEST_CASE("claims may be answered in another order than they were made in") {
  lease mine;

  mine.claimed(20 * second);
  mine.claimed(10 * second);
  CHECK(mine.until() == 10 * second + whole);

  mine.renewed(22 * second);
  mine.claimed(21 * second);
  CHECK(mine.until() == 22 * second + whole);
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
    struct claim {
      std::int64_t sent = 0;
      bool committed = false;
    };
    std::vector<claim> claims;                  // without an answer
    std::vector<std::function<void()>> guards;  // what is under way, a step each
    int known = 0;                              // of what the worker owns, or may
    int answered = 0;                           // of what it owns
    for (int i = 0; i < 60; ++i) {
      now += draw(4) * second;
      // A rescuer comes when it is over; then all of it ends.
      if (there.until != 0 && there.until <= now) break;
      if (draw(3) == 0 && claims.size() < 3) {
        claims.push_back({now});
      } else if (draw(3) == 0 && guards.empty()) {
        const auto before = here.claims();
        const std::int64_t sent = now, to = known > 0 ? now + whole : 0;
        guards.push_back([&, sent, to, before] {
          if (to != 0)
            here.renewed(sent);
          else
            here.taken_back(before, now);
        });
        guards.push_back([&, to] { there.renew(to); });
      } else if (draw(2) == 0 && !guards.empty()) {
        guards.back()();
        guards.pop_back();
      } else if (!claims.empty()) {
        const auto at = claims.begin() + draw(static_cast<int>(claims.size()));
        // What wasn't committed is answered, too: as an error, after which nobody knows.
        if (!at->committed && draw(4) != 0) {
          at->committed = true;
          there.claim(now);
        } else {
          ++known;
          answered += at->committed ? 1 : 0;
          here.claimed(at->sent);
          claims.erase(at);
        }
      } else if (known > 0 && draw(3) == 0) {
        there.owned -= std::exchange(answered, 0);
        known = 0;
      }
      CAPTURE(seed);
      CAPTURE(i);
      const bool waits = std::ranges::any_of(claims, &claim::committed);
      const bool shorter = there.until == 0 || waits || here.until() <= there.until;
      REQUIRE(shorter);
    }
  }
}
