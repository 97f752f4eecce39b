// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/low_water.hpp"

#include <doctest/doctest.h>

namespace fermata::engine::postgres {

TEST_CASE("a look from the beginning that costs the server little may follow at once") {
  sweep_times sweeps;
  CHECK(sweeps.allowed(5'000'000));
  CHECK(sweeps.due(5'000'000));

  sweeps.swept(5'000'000, 2'000);

  CHECK(sweeps.allowed(5'000'000));
  CHECK_FALSE(sweeps.due(5'999'999));
  CHECK(sweeps.due(6'000'000));
}

TEST_CASE("those that cost much take a fiftieth of the time, also where one is due by itself") {
  sweep_times sweeps;

  sweeps.swept(4'000'000, 300'000);
  sweeps.swept(5'000'000, 200'000);

  CHECK(sweeps.allowed_at() == 14'800'000);
  CHECK_FALSE(sweeps.allowed(14'799'999));
  CHECK_FALSE(sweeps.due(14'799'999));
  CHECK(sweeps.due(14'800'000));
}

TEST_CASE(
    "one that cost much alone doesn't count: the first of a worker, or one that had to wait") {
  sweep_times sweeps;

  sweeps.swept(5'000'000, 200'000);
  CHECK(sweeps.allowed(5'000'000));
  sweeps.swept(5'000'000, 2'000);
  CHECK(sweeps.allowed(5'000'000));
  sweeps.swept(5'000'000, 200'000);

  CHECK(sweeps.allowed(5'000'000));
}

TEST_CASE(
    "after a death each worker looks from the beginning at once, however dear its looks were") {
  places_known known;
  const auto look = [&](std::int64_t worker) {
    claim_places places = known.of(worker);
    const bool allowed = places.sweeps.allowed(6'000'000);
    for (int i = 0; allowed && i < 2; ++i) places.sweeps.swept(5'000'000, 200'000);
    known.remember(worker, places);
    return allowed;
  };
  CHECK(look(1));
  CHECK(look(2));
  CHECK_FALSE(look(1));

  claim_places under_way = known.of(1);
  known.released(7);
  known.remember(1, under_way);

  CHECK(look(1));
  CHECK_FALSE(look(1));
  CHECK(look(2));
  known.released(7);  // the rest of them
  CHECK_FALSE(look(1));
  known.released(8);
  CHECK(look(1));
}

TEST_CASE("a stretch in which nothing was found keeps its place, one in which was gets another") {
  const low_water::stretch urgent{"default", -5, false}, plain{"default", 0, false};
  low_water known;
  known.taken(urgent, {7, run_id{}});
  known.taken(plain, {9, run_id{}});

  known.begin_anew({{plain, {2, run_id{}}}});

  REQUIRE(known.all().size() == 2);
  CHECK(known.all().at(urgent).at == 7);
  CHECK(known.all().at(plain).at == 2);
}

}  // namespace fermata::engine::postgres
