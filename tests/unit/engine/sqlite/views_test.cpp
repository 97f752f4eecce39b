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

TEST_CASE(
    "a query answers rows with their types, and one that would write is refused with a sentence") {
  scene scene;
  scene.begin(scene.join());
  std::vector<std::vector<std::string>> rows;
  std::vector<sql_value::kind> kinds;
  const auto keep = [&](const std::vector<sql_value>& row) {
    auto& texts = rows.emplace_back();
    for (const sql_value& value : row) texts.push_back(value.text);
    for (const sql_value& value : row) kinds.push_back(value.is);
    return true;
  };

  REQUIRE(scene.journal->query("SELECT state, 7 AS seven FROM fermata_runs", payloads::hidden, keep)
              .ok());
  CHECK(rows == std::vector<std::vector<std::string>>{{"state", "seven"}, {"running", "7"}});
  rows.clear();
  kinds.clear();
  REQUIRE(scene.journal->query("SELECT 1, 0.5, 'a', x'00ff', NULL", payloads::hidden, keep).ok());
  CHECK(rows.back() == std::vector<std::string>{"1", "0.5", "a", std::string("\x00\xff", 2), ""});
  using is = sql_value::kind;
  CHECK(std::vector(kinds.begin() + 5, kinds.end()) ==
        std::vector{is::integer, is::real, is::text, is::blob, is::null});
  for (const char* wrong :
       {"DELETE FROM runs", "CREATE TABLE t(a)", "ATTACH 'x.db' AS x", "PRAGMA synchronous = OFF",
        "SELECT 1; DELETE FROM runs", "BEGIN", "", "SELEKT"}) {
    CAPTURE(wrong);
    CHECK(scene.journal->query(wrong, payloads::hidden, keep).code() ==
          absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a query shows payloads through the views alone, unless they are revealed") {
  scene scene;
  start_request secret = scene.request();
  secret.key = "order-42";
  secret.input = text_payload("\"4111\"");
  secret.input.sensitive = true;
  start_request plain = scene.request();
  plain.input = text_payload("\"hello\"");
  const worker_row me = scene.join();
  scene.begin(me, secret);
  writer run(scene, scene.begin(me, plain));
  start_request waiting = scene.request("later");
  waiting.input = secret.input;
  scene.start(waiting);
  message told = scene.signal(plain.run, "go");
  told.value = secret.input;
  scene.send(told);

  std::string said;
  const auto ask = [&](const std::string& sql, payloads shown) {
    said.clear();
    return scene.journal->query(sql, shown, [&](const std::vector<sql_value>& row) {
      for (const sql_value& value : row) said += value.text + "|";
      return true;
    });
  };
  for (const std::string sql :
       {"SELECT * FROM events", "SELECT length(value) FROM events", "SELECT bytes FROM blobs",
        "SELECT 1 FROM events WHERE input = 'x'", "SELECT value FROM inbox",
        "SELECT input FROM start_requests", "SELECT details FROM heartbeats",
        "SELECT input_digest FROM keys", "SELECT value FROM main.events AS fermata_events",
        "WITH fermata_events AS (SELECT value FROM events) SELECT * FROM fermata_events",
        "WITH fermata_inbox(v) AS (SELECT value FROM inbox) SELECT v FROM fermata_inbox",
        "SELECT * FROM (SELECT value FROM events) AS fermata_events"}) {
    CAPTURE(sql);
    const absl::Status asked = ask(sql, payloads::hidden);
    CHECK(asked.code() == absl::StatusCode::kInvalidArgument);
    CHECK(asked.message().find("--reveal") != std::string::npos);
    CHECK(said.empty());
    CHECK(ask(sql, payloads::revealed).ok());
  }
  CHECK(ask("SELECT value FROM events", payloads::revealed).ok());
  CHECK(said.find("4111") != std::string::npos);

  REQUIRE(ask("SELECT value FROM fermata_events ORDER BY lsn", payloads::hidden).ok());
  CHECK(said == "value|‹sensitive›|\"hello\"|");
  REQUIRE(ask("WITH e AS (SELECT * FROM fermata_events) SELECT count(value) AS n FROM e",
              payloads::hidden)
              .ok());
  CHECK(said == "n|2|");
  REQUIRE(ask("SELECT value FROM fermata_inbox", payloads::hidden).ok());
  CHECK(said == "value|‹sensitive›|");
  CHECK(ask("SELECT count(*), max(position) FROM events", payloads::hidden).ok());
}

}  // namespace
}  // namespace fermata::conformance
