// SPDX-License-Identifier: Apache-2.0
// A worker that leaves while its appends are under way, as one does whose workflow code didn't come back.
#include "tests/unit/engine/postgres/wired.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>

namespace fermata::postgres_tests {

using namespace fermata::conformance;

TEST_CASE("who leaves waits for his appends under way: none lands when others have his runs") {
  wired_scene at;
  const worker_row worker = at.join();
  connection append(server_address());
  append.execute("BEGIN");
  append.execute("SELECT 1 FROM " + at.made.schema +
                 ".workers WHERE id = " + std::to_string(worker.row) + " FOR KEY SHARE");

  std::atomic<bool> left = false;
  std::thread leaves([&] { left = at.journal->leave(worker.row).ok(); });
  connection looks(server_address());
  while (!left && looks.text("SELECT EXISTS(SELECT 1 FROM pg_locks WHERE NOT granted)") != "t")
    std::this_thread::yield();
  CHECK_FALSE(left);
  append.execute("COMMIT");
  leaves.join();

  CHECK(left);
}

}  // namespace fermata::postgres_tests
