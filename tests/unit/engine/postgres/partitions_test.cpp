// SPDX-License-Identifier: Apache-2.0
// The months of events.
#include "tests/unit/engine/postgres/wired.hpp"

#include <doctest/doctest.h>

#include <string>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

constexpr time_us day = 86'400 * second;
constexpr time_us in_november = 2'237'673'600 * second;  // 2040-11-28

/// Its clock shows this time.
void go_to(wired_scene& at, time_us when) { at.pass(when - at.now()); }

bool has(const wired_scene& at, const std::string& month) {
  return connection(server_address())
             .text("SELECT to_regclass('" + at.made.schema + ".events_" + month +
                   "') IS NOT NULL") == "t";
}

}  // namespace

TEST_CASE("a worker that lives into a new month makes the months after it, before they begin") {
  wired_scene at;
  const worker_row worker = at.join();
  go_to(at, in_november);
  CHECK_FALSE(has(at, "2040_11"));
  REQUIRE(at.journal->needs_care(worker.row).ok());
  CHECK(has(at, "2040_11"));
  CHECK(has(at, "2041_01"));
  CHECK_FALSE(has(at, "2041_02"));

  at.pass(6 * day);  // December
  REQUIRE(at.journal->needs_care(worker.row).ok());

  CHECK(has(at, "2041_02"));
  CHECK_FALSE(has(at, "2041_03"));
  go_to(at, in_november + 90 * day);  // February: nobody has looked since
  CHECK(at.count("events_2041_02") == 0);
  const claimed run = at.begin(worker);
  CHECK(at.count("events_2041_02") == 1);
  CHECK(at.count("events_rest") == 0);
}

TEST_CASE("a worker whose role may only write makes them, too") {
  wired_scene at;
  connection owner(server_address());
  owner.execute("DROP ROLE IF EXISTS clerk");
  owner.execute("CREATE ROLE clerk LOGIN");
  owner.execute("GRANT USAGE ON SCHEMA " + at.made.schema + " TO clerk");
  owner.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA " + at.made.schema +
                " TO clerk");
  owner.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA " + at.made.schema + " TO clerk");
  at.made.user = "clerk";
  at.journal = at.made.reopen();
  const worker_row worker = at.join();
  go_to(at, in_november);

  REQUIRE(at.journal->needs_care(worker.row).ok());

  CHECK(has(at, "2041_01"));
  CHECK(owner.text("SELECT tableowner FROM pg_tables WHERE tablename = 'events_2041_01' AND "
                   "schemaname = '" +
                   at.made.schema + "'") == "fermata");
  at.journal.reset();
}

TEST_CASE("a long transaction that reads events holds up the making of a month, and no append") {
  wired_scene at;
  const worker_row worker = at.join();
  conformance::writer run(at, at.begin(worker));
  connection reader(server_address());
  reader.execute("BEGIN");
  reader.text("SELECT count(*) FROM " + at.made.schema + ".events");
  go_to(at, in_november);

  REQUIRE(at.journal->needs_care(worker.row).ok());
  CHECK_FALSE(has(at, "2041_01"));
  CHECK(run.land(run.next({step_completed("1")})) == landing::landed);

  reader.execute("COMMIT");
  REQUIRE(at.journal->needs_care(worker.row).ok());
  CHECK_FALSE(has(at, "2041_01"));  // not so soon
  at.pass(2 * 3'600 * second);
  REQUIRE(at.journal->needs_care(worker.row).ok());
  CHECK(has(at, "2041_01"));
}

}  // namespace fermata::postgres_tests
