// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/address.hpp"

#include "engine/store/postgres/errors.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace fermata::engine::postgres;

TEST_CASE("a Postgres address says how many commits may be under way, and libpq isn't told") {
  const address plain = parse_address("postgres://orders@db/fermata");
  const address two = parse_address("postgres://orders@db/fermata?lanes=2&connect_timeout=3");

  CHECK(plain.lanes == 4);
  CHECK(two.lanes == 2);
  CHECK(two.connection == "postgres://orders@db/fermata?connect_timeout=3");
}

TEST_CASE("a number of lanes that can't be is refused, with the numbers that can") {
  for (const std::string_view bad : {"0", "17", "", "two", "2x", "-1"}) {
    CAPTURE(bad);
    std::string said;
    try {
      (void)parse_address("postgres://orders@db/fermata?lanes=" + std::string(bad));
    } catch (const server_failure& why) {
      said = std::string(why.status.message());
    }
    CHECK(said.find("lanes is how many commits may be under way at once, 1 to 16") !=
          std::string::npos);
  }
}
