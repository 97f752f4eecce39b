// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine/sqlite/place.hpp"

#include <array>
#include <cstdio>

namespace fermata::conformance {
namespace {

/// What the plain SQLite shell prints.
std::string in_shell(const std::string& file, const std::string& sql) {
  const std::string command = "sqlite3 -readonly '" + file + "' \"" + sql + "\" 2>&1";
  FILE* from = popen(command.c_str(), "r");
  REQUIRE(from != nullptr);
  std::string printed;
  std::array<char, 4096> some;
  while (const std::size_t count = fread(some.data(), 1, some.size(), from))
    printed.append(some.data(), count);
  pclose(from);
  return printed;
}

bool has_shell() { return std::system("command -v sqlite3 >/dev/null") == 0; }

TEST_CASE("the views tell of runs, events, timers, tags and messages in a plain SQLite shell") {
  REQUIRE_MESSAGE(has_shell(), "there is no sqlite3 command: install the package sqlite3");
  scene scene;
  start_request request = scene.request();
  request.key = "order-42";
  request.tags = {{"customer", "acme"}};
  request.input = text_payload("\"hello\"");
  writer run(scene, scene.begin(scene.join(), request));
  REQUIRE(run.land(run.next({timer_set("1", scene.now() + second),
                             published("draft", "\"v1\"")})) == landing::landed);
  scene.send(scene.signal(request.run, "go"));
  scene.start(scene.request("later"));

  const std::string file = file_of(scene);
  const std::string id = request.run.text();
  const std::string mine = " WHERE run = '" + id + "'";
  CHECK(in_shell(file, "SELECT workflow, key, state, attention FROM fermata_runs" + mine) ==
        "pay|order-42|running|none\n");
  CHECK(in_shell(file, "SELECT state FROM fermata_runs WHERE workflow = 'later'") ==
        "waiting_to_start\n");
  CHECK(in_shell(file, "SELECT position, kind, name FROM fermata_events" + mine) ==
        "1|run_started|pay\n2|timer_set|\n3|published|draft\n");
  CHECK(in_shell(file, "SELECT value FROM fermata_events" + mine + " AND position = 1") ==
        "\"hello\"\n");
  CHECK(in_shell(file, "SELECT operation, purpose FROM fermata_timers" + mine) == "1|sleep\n");
  CHECK(in_shell(file, "SELECT key, value FROM fermata_tags" + mine) == "customer|acme\n");
  CHECK(in_shell(file, "SELECT chain, seq, kind, name FROM fermata_inbox") ==
        id + "|1|signal|go\n");
  CHECK(in_shell(file, "SELECT name, position, value FROM fermata_published" + mine) ==
        "draft|3|\"v1\"\n");
  CHECK(in_shell(file, "SELECT state, runs FROM fermata_workers") == "alive|1\n");
}

TEST_CASE("a query answers rows as text, and one that would write is refused with a sentence") {
  scene scene;
  scene.begin(scene.join());
  std::vector<std::vector<std::string>> rows;
  const auto keep = [&](const std::vector<std::string>& row) {
    rows.push_back(row);
    return true;
  };

  REQUIRE(scene.journal->query("SELECT state, 7 AS seven FROM fermata_runs", keep).ok());
  CHECK(rows == std::vector<std::vector<std::string>>{{"state", "seven"}, {"running", "7"}});
  for (const char* wrong :
       {"DELETE FROM runs", "CREATE TABLE t(a)", "ATTACH 'x.db' AS x", "PRAGMA synchronous = OFF",
        "SELECT 1; DELETE FROM runs", "BEGIN", "", "SELEKT"}) {
    CAPTURE(wrong);
    CHECK(scene.journal->query(wrong, keep).code() == absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace fermata::conformance
