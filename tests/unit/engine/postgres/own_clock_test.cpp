// SPDX-License-Identifier: Apache-2.0
// Hosts whose clocks are wrong: leases go by the server's.
#include "engine/limits.hpp"
#include "engine/ports/real.hpp"
#include "tests/unit/engine/postgres/wired.hpp"

#include <doctest/doctest.h>

#include <memory>

namespace fermata::postgres_tests {
namespace {

class clock_ahead final : public engine::real_clock {
 public:
  engine::time_us wall_now() override {
    return real_clock::wall_now() + 3'600 * conformance::second;
  }
};

std::shared_ptr<engine::store> open_with(const std::string& schema,
                                         std::shared_ptr<engine::clock> time) {
  engine::open_options how;
  how.time = std::move(time);
  auto opened = engine::open_store(server_address() + "?schema=" + schema, how);
  REQUIRE(opened.ok());
  return *opened;
}

}  // namespace

TEST_CASE("a host whose clock is an hour ahead takes nobody for dead") {
  const wired_scene at;
  const auto wrong = open_with(at.made.schema, std::make_shared<clock_ahead>());
  const auto right = open_with(at.made.schema, std::make_shared<engine::real_clock>());
  const auto me = wrong->register_worker({.host = "here"});
  const auto other = right->register_worker({.host = "here"});
  REQUIRE(me.ok());
  REQUIRE(other.ok());

  const std::int64_t lease = engine::limits::lease_ms * 1'000;
  CHECK(right->renew(other->row, right->boot_now() + lease).ok());

  CHECK(wrong->rescue(me->row)->empty());
  CHECK_FALSE(wrong->needs_care(me->row)->dead);
}

}  // namespace fermata::postgres_tests
