// SPDX-License-Identifier: Apache-2.0
// `fermata sql`, and what is below the events.
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

/// Rows as text, their cells with a bar between them; `most` rows at most, names included.
struct asked {
  std::string said;
  std::vector<sql_value::kind> kinds;
  absl::Status how;

  asked(const scene& at, std::string_view sql, payloads shown = payloads::hidden,
        int most = 1'000) {
    how = at.journal->query(sql, shown, [&](const std::vector<sql_value>& row) {
      for (const sql_value& value : row) said += value.text + "|";
      for (const sql_value& value : row) kinds.push_back(value.is);
      return --most > 0;
    });
  }
};

}  // namespace

TEST_CASE(
    "a query answers rows with their types, and one that would write is refused with a sentence") {
  scene at;
  at.begin(at.join());

  const asked states(at, "SELECT state, 7 AS seven FROM fermata_runs");
  REQUIRE(states.how.ok());
  CHECK(states.said == "state|seven|running|7|");
  const asked types(at, "SELECT 1, 0.5, 'a', '\\x00ff'::bytea, NULL");
  REQUIRE(types.how.ok());
  CHECK(types.said.ends_with(std::string("1|0.5|a|\x00\xff||", 12)));
  using is = sql_value::kind;
  CHECK(std::vector(types.kinds.begin() + 5, types.kinds.end()) ==
        std::vector{is::integer, is::real, is::text, is::blob, is::null});
  for (const char* wrong : {"DELETE FROM runs", "CREATE TABLE t(a int)", "SELECT 1; SELECT 2", "",
                            "SELEKT", "SELECT 1/0", "SELECT no_such_column FROM runs"}) {
    CAPTURE(wrong);
    const asked refused(at, wrong);
    CHECK(refused.how.code() == absl::StatusCode::kInvalidArgument);
    CHECK(fer_code_of(refused.how) == "FER-2104");
  }
}

TEST_CASE("a query of which enough was seen ends, and keeps nothing of the store's from going on") {
  scene at;

  const asked first(at, "SELECT n FROM generate_series(1, 100000000) n", payloads::hidden, 3);

  CHECK(first.how.ok());
  CHECK(first.said == "n|1|2|");
  const asked names(at, "SELECT n FROM generate_series(1, 3) n", payloads::hidden, 1);
  CHECK(names.how.ok());
  CHECK(names.said == "n|");
  at.begin(at.join());
}

TEST_CASE("a query shows payloads through the views alone, unless they are revealed") {
  scene at;
  start_request secret = at.request();
  secret.input = text_payload("\"4111\"");
  secret.input.sensitive = true;
  at.begin(at.join(), secret);

  for (const char* sql :
       {"SELECT value FROM events", "SELECT * FROM Events", "SELECT value FROM \"events\"",
        "SELECT 1 FROM events_rest", "SELECT input FROM start_requests",
        "SELECT * FROM u&\"\\0065vents\"", "SELECT query_to_xml('SELECT 1', true, true, '')"}) {
    CAPTURE(sql);
    const asked hidden(at, sql);
    CHECK(hidden.how.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(hidden.how.message()).find("--reveal") != std::string::npos);
    CHECK(hidden.said.empty());
  }
  const asked seen(at, "SELECT value FROM fermata_events");
  REQUIRE(seen.how.ok());
  CHECK(seen.said.find("4111") == std::string::npos);
  CHECK(asked(at, "SELECT value FROM events", payloads::revealed).how.ok());
}

TEST_CASE("a schema that lost a table or a row is reported; a backup is the database's own") {
  scene at;
  const worker_row me = at.join();
  const claimed run = at.begin(me);
  REQUIRE(at.journal->check_pages().ok());
  CHECK(at.journal->check_pages()->empty());
  CHECK(at.journal->backup("/nowhere", true).code() == absl::StatusCode::kFailedPrecondition);
  const auto info = at.journal->info();
  REQUIRE(info.ok());
  CHECK(info->kind == "postgres");
  CHECK(info->schema_version == 2);
  CHECK(info->file_bytes > 0);

  beside on(at);
  on.execute("SET session_replication_role = replica");
  on.execute("DELETE FROM runs WHERE run = '" + hex_of(run.run.run) + "'");
  REQUIRE(at.journal->check_pages()->size() == 1);
  CHECK(at.journal->check_pages()->front() == "store damage: 1 events of a run without a row");
  on.execute("DROP TABLE heartbeats CASCADE");
  CHECK(at.journal->check_pages()->front() == "store damage: the schema lacks heartbeats");
}

}  // namespace fermata::postgres_tests
