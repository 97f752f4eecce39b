// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/low_water.hpp"

#include <doctest/doctest.h>

namespace fermata::engine::postgres {

TEST_CASE("a look from the beginning that is quick may follow at once") {
  sweep_times sweeps;
  CHECK(sweeps.allowed(5'000'000));

  sweeps.swept(5'000'000, 5'002'000);

  CHECK_FALSE(sweeps.allowed(5'039'999));
  CHECK(sweeps.allowed(5'040'000));
  CHECK_FALSE(sweeps.due(5'040'000));
}

TEST_CASE("one that was held up is followed by the next within a second") {
  sweep_times sweeps;

  sweeps.swept(5'000'000, 7'000'000);  // a server was promoted meanwhile

  CHECK(sweeps.allowed_at() == 8'000'000);
  CHECK(sweeps.due(sweeps.allowed_at()));
}

}  // namespace fermata::engine::postgres
