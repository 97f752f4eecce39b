// SPDX-License-Identifier: Apache-2.0
// A lease is taken back while a claim of the same worker is under way.
#include "tests/unit/engine/postgres/wired.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>

namespace fermata::postgres_tests {

using namespace fermata::conformance;

TEST_CASE("who takes a lease back waits for the claim that may rely on it, and leaves it then") {
  wired_scene at;
  const worker_row before = at.join();
  const run_id run = at.begin(before).run.run;
  REQUIRE(at.journal->release(before.row, {run}).ok());
  const worker_row worker = at.join();
  REQUIRE(at.journal->renew(worker.row, at.journal->boot_now() + 15 * second).ok());
  const std::string row = std::to_string(worker.row);
  connection claim(server_address());
  claim.execute("BEGIN");
  claim.execute("SELECT 1 FROM " + at.made.schema + ".workers WHERE id = " + row +
                " FOR KEY SHARE");
  claim.execute("UPDATE " + at.made.schema + ".runs SET owner = " + row);

  std::atomic<bool> over = false;
  std::thread takes_back([&] {
    CHECK(at.journal->renew(worker.row, 0).ok());
    over = true;
  });
  connection looks(server_address());
  while (!over && looks.text("SELECT EXISTS(SELECT 1 FROM pg_locks WHERE NOT granted)") != "t")
    std::this_thread::yield();
  CHECK_FALSE(over);
  claim.execute("COMMIT");
  takes_back.join();

  CHECK(at.count("workers WHERE lease_until IS NOT NULL AND id = " + row) == 1);
  REQUIRE(at.journal->release(worker.row, {}).ok());
  CHECK(at.journal->renew(worker.row, 0).ok());
  CHECK(at.count("workers WHERE lease_until IS NULL AND id = " + row) == 1);
}

}  // namespace fermata::postgres_tests
