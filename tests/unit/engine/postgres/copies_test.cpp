// SPDX-License-Identifier: Apache-2.0
// A run that goes on as a copy, beside transactions of others.
#include "tests/conformance/writer.hpp"
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>

#include <future>
#include <string>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

start_request copy_of(scene& at, const start_request& first) {
  start_request copy = at.request();
  copy.key = first.key;
  copy.chain = first.chain;
  copy.previous_run = first.run;
  return copy;
}

absl::Status begin(scene& at, const start_request& copy, const std::vector<chain_id>& in_flight) {
  run_changes changes;
  changes.state = run_state::running;
  return at.journal->begin_copy(copy, {at.first_event(copy)}, changes, in_flight);
}

/// A run that has failed.
start_request failed_run(scene& at, const std::string& key) {
  start_request first = at.request();
  first.key = key;
  writer run(at, at.begin(at.join(), first));
  CHECK(run.end(event_kind::run_failed) == landing::landed);
  return first;
}

/// The SQLSTATE that a statement fails with; empty when it doesn't.
std::string state_of(beside& on, const std::string& sql) {
  PGresult* answer = PQexec(on.handle(), sql.c_str());
  const char* state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
  const std::string said = state == nullptr ? "" : state;
  PQclear(answer);
  return said;
}

}  // namespace

TEST_CASE("who has a snapshot of before a retry isn't told that the key's chain has ended") {
  for (const char* isolation : {"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"}) {
    CAPTURE(isolation);
    const bool has_snapshot = std::string(isolation) != "READ COMMITTED";
    scene at;
    const start_request first = failed_run(at, "order-42");
    beside on(at);
    on.execute(std::string("BEGIN ISOLATION LEVEL ") + isolation);
    CHECK(on.text("SELECT count(*) FROM runs") == "1");
    const start_request copy = copy_of(at, first);
    CHECK(begin(at, copy, {}).ok());

    const std::string start = "SELECT " + schema_of(at) +
                              ".start('pay', '1', 'order-42', "
                              "'{\"on_duplicate\": \"restart_if_ended\"}')";
    CHECK(state_of(on, start) == (has_snapshot ? "40001" : ""));
    on.execute(has_snapshot ? "ROLLBACK" : "COMMIT");
    CHECK(at.journal->find_key("default", "pay", "order-42")->at(0).run == copy.run);
    CHECK(at.journal->list({})->size() == 2);
    CHECK(state_of(on, start).empty());  // as it was told: once more
    CHECK(at.journal->list({})->size() == 2);
  }
}

TEST_CASE("a copy waits for the end of a child that is under way, and isn't begun then") {
  scene at;
  const start_request first = failed_run(at, "");
  const run_id child = at.begin(at.join()).run.run;
  beside on(at);
  on.execute("BEGIN");
  on.execute("UPDATE runs SET state = 3 WHERE run = '" + hex_of(child) + "'");
  const start_request copy = copy_of(at, first);

  auto told = std::async(std::launch::async, [&] { return begin(at, copy, {child}); });
  beside look(at);
  look.wait_for(
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
      "datname = current_database()",
      "1");
  on.execute("COMMIT");

  CHECK(told.get().code() == absl::StatusCode::kAborted);
  CHECK_FALSE(at.journal->find_run(copy.run).ok());
}

TEST_CASE("a start that attaches waits for nobody who has the run") {
  scene at;
  start_request first = at.request();
  first.key = "order-42";
  const run_id run = at.begin(at.join(), first).run.run;
  beside on(at);
  on.execute("SET idle_in_transaction_session_timeout = '5s'");
  on.execute("BEGIN");
  on.execute("SELECT 1 FROM runs FOR NO KEY UPDATE");
  start_request again = at.request();
  again.key = first.key;

  const start_result told = at.start(at.item(again, on_duplicate::attach));

  CHECK(told.how == start_result::outcome::attached);
  CHECK(told.run == run);
  on.execute("COMMIT");  // it was held until now
}

}  // namespace fermata::postgres_tests
