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

TEST_CASE("one that costs much takes a fiftieth of the time, also where it is due by itself") {
  sweep_times sweeps;

  sweeps.swept(5'000'000, 200'000);

  CHECK(sweeps.allowed_at() == 14'800'000);
  CHECK_FALSE(sweeps.allowed(14'799'999));
  CHECK_FALSE(sweeps.due(14'799'999));
  CHECK(sweeps.due(14'800'000));
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
