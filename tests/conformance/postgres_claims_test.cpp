// SPDX-License-Identifier: Apache-2.0
// What an idle fleet costs its server.
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fermata::conformance;

namespace {

/// How many transactions have written: those that drew a number.
std::string transactions(const scene& scene) {
  std::string found;
  const auto read = scene.journal->query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text",
                                         payloads::hidden, [&](const std::vector<sql_value>& row) {
                                           found = row[0].text;
                                           return true;
                                         });
  REQUIRE(read.ok());
  return found;
}

}  // namespace

TEST_CASE("a claim that finds nothing writes nothing, and is told what comes next") {
  scene scene;
  const worker_row me = scene.join();
  writer parked(scene, scene.begin(me));
  append parking = parked.next({timer_set("1", scene.now() + 60 * second)});
  parking.then = then::park;
  CHECK(parked.result(parking).parked);
  CHECK(scene.claim(me).empty());

  // The server itself writes now and then (autovacuum): not each time.
  bool nothing_written = false;
  for (int i = 0; i < 20 && !nothing_written; ++i) {
    const std::string before = transactions(scene);
    const batch_result none = scene.claim(me, scene.wants());
    CHECK(none.claimed.empty());
    CHECK(none.next_timer == scene.now() + 60 * second);
    CHECK(scene.journal->needs_care(me.row).ok());
    nothing_written = transactions(scene) == before;
  }
  CHECK(nothing_written);
}

TEST_CASE("a guard is told that there is nothing to look after") {
  scene scene;
  const worker_row me = scene.join();
  scene.join();
  scene.begin(me);

  const auto care = scene.journal->needs_care(me.row);

  REQUIRE(care.ok());
  CHECK_FALSE(care->dead);
  CHECK_FALSE(care->overdue);
  CHECK_FALSE(care->closing);
}
