// SPDX-License-Identifier: Apache-2.0
// The SQL functions by which programs in any language start runs and send signals.
#include "tests/unit/sdk/postgres_shop.hpp"

using namespace fermata::postgres_tests;
using namespace std::chrono_literals;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string start(const std::string& arguments) {
  return "SELECT orders_journal.start(" + arguments + ")";
}
std::string signal(const std::string& arguments) {
  return "SELECT orders_journal.signal(" + arguments + ")";
}

}  // namespace

TEST_CASE("a run that SQL starts is a run as any, and hears signals of SQL") {
  shop s;
  const working here(s.journal);

  s.db.execute("BEGIN");
  const std::string id = s.db.text(start("'add_heard', '40', 'k1'"));
  s.db.execute(signal("'" + id + "', 'heard', '2'"));
  s.db.execute("COMMIT");
  s.db.execute(signal("'" + id + "', 'go_on'"));

  CHECK(s.client.attach(add_heard, "k1").id() == id);
  CHECK(s.client.attach(add_heard, "k1").result(30s) == 42);
  CHECK(s.db.text(start("'no_input'")).starts_with("run_"));
  CHECK(contains(s.said_to(signal("'" + id + "', 'heard', '2'")), "[FER-1303]"));
}

TEST_CASE("a key is bound once: the same input is the same run, another is a conflict") {
  shop s;
  const std::string id = s.db.text(start("'order', '{\"id\": 7, \"to\": \"a\"}', 'o7'"));

  CHECK(s.db.text(start("'order', '{\"to\":\"a\",\"id\":7}', 'o7'")) == id);  // the same value
  CHECK(contains(s.said_to(start("'order', '{\"id\": 8}', 'o7'")), id + " with another input"));
  CHECK(contains(s.said_to(start("'order', '{\"id\": 8}', 'o7', '{\"on_duplicate\": \"fail\"}'")),
                 id + " already [FER-1301]"));
  CHECK(s.db.text(start("'refund', '{\"id\": 8}', 'o7'")) != id);
  CHECK(s.db.text("SELECT count(*) FROM orders_journal.start_requests") == "2");
}

TEST_CASE("an ended run's key can begin a new one") {
  shop s;
  const working here(s.journal);
  const auto before = s.client.start(double_it, 1, {.key = "o1"});
  CHECK(before.result(30s) == 2);

  CHECK(s.db.text(start("'double_it', '1', 'o1'")) == before.id());
  const std::string anew =
      s.db.text(start("'double_it', '5', 'o1', '{\"on_duplicate\": \"restart_if_ended\"}'"));
  CHECK(anew != before.id());
  CHECK(s.client.attach(double_it, "o1").result(30s) == 10);
}

TEST_CASE("an input that doesn't fit its workflow blocks the run, which says so") {
  shop s;
  const working here(s.journal);
  const std::string id = s.db.text(start("'double_it', '\"many\"'"));
  const fermata::any_run run = s.client.find(id);

  s.db.wait_for("SELECT count(*) FROM orders_journal.runs WHERE attention <> 0", "1");
  const fermata::run_info info = run.describe();
  CHECK(info.attention == fermata::attention::blocked);
  CHECK(contains(info.error, "double_it"));
}

TEST_CASE("options of SQL are those of a start") {
  shop s;
  s.db.execute(
      start("'order', 'null', NULL, '{\"delay\": \"1 hour\", \"deadline\": \"2 days\", "
            "\"not_after\": \"2100-01-01T00:00:00Z\", \"priority\": 4, \"queue\": "
            "\"slow\", \"tags\": {\"tenant\": \"a\"}}'"));
  CHECK(s.db.text("SELECT concat_ws(' ', not_before - requested, deadline - not_before, not_after, "
                  "priority, queue, tags, length(seed)) FROM orders_journal.start_requests") ==
        "3600000000 172800000000 4102444800000000 -4 slow {\"tenant\": \"a\"} 16");
}

TEST_CASE("a signal with an id is delivered once, and acceptance order is kept") {
  shop s;
  const std::string id = s.db.text(start("'order'"));
  for (int again = 0; again < 2; ++again)
    s.db.execute(signal("'" + id + "', 'a', '1', '00000000-0000-0000-0000-000000000001'"));
  s.db.execute(signal("'" + id + "', 'b'"));
  CHECK(s.db.text("SELECT string_agg(seq || name, ' ' ORDER BY seq) FROM orders_journal.inbox") ==
        "1a 2b");
}

TEST_CASE("what SQL says wrong is refused with its code, and nothing is written") {
  shop s;
  const std::string before = s.rows();
  const std::string nobody = "run_01HZZZZZZZZZZZZZZZZZZZZZZZ";
  const auto refused = [&](const std::string& sql, const char* code) {
    CAPTURE(sql);
    const std::string said = s.said_to(sql);
    CAPTURE(said);
    CHECK(contains(said, code));
  };
  refused(start("''"), "[FER-1404]");
  refused(start("'a' || chr(7)"), "[FER-1404]");
  refused(start("repeat('w', 129)"), "[FER-1404]");
  refused(start("'order', '{}', ''"), "[FER-1404]");
  refused(start("'order', '{}', repeat('k', 256)"), "[FER-1404]");
  refused(start("'order', '{}', 'run_mine'"), "[FER-1307]");
  refused(start("'order', '{'"), "invalid input syntax for type json");
  refused(start("'order', to_json(repeat('x', 9000000))"), "[FER-1401]");
  refused(start("'order', '{}', NULL, '[]'"), "[FER-1305]");
  refused(start("'order', '{}', NULL, '{\"nope\": 1}'"), "no option 'nope'");
  refused(start("'order', '{}', NULL, '{\"on_duplicate\": \"x\"}'"), "[FER-1305]");
  refused(start("'order', '{}', NULL, '{\"delay\": \"-1 s\"}'"), "[FER-1406]");
  refused(start("'order', '{}', NULL, '{\"delay\": \"101 years\"}'"), "[FER-1406]");
  refused(start("'order', '{}', NULL, '{\"tags\": {\"\": \"a\"}}'"), "[FER-1404]");
  refused(start("'order', '{}', NULL, '{\"tags\": 1}'"), "[FER-1404]");
  refused(start("'order', '{}', NULL, '{\"namespace\": \"nope\"}'"), "[FER-1302]");
  refused(signal("'" + nobody + "', 'go'"), "[FER-1302]");
  refused(signal("'order-7', 'go'"), "[FER-1302]");
  refused(signal("'" + nobody + "', ''"), "[FER-1404]");
  CHECK(s.rows() == before);
}

TEST_CASE("a role with the callers' rights starts and signals, and can do nothing else") {
  shop s;
  const std::string role = "caller_" + s.database.name();
  s.db.execute("CREATE ROLE " + role + " LOGIN");
  const std::string to_role = " TO " + role;
  s.db.execute("GRANT USAGE ON SCHEMA orders_journal" + to_role);
  connection caller(s.database.address(role, server_port()));
  const auto denied = [&](const std::string& sql) {
    PGresult* answer = PQexec(caller.handle(), sql.c_str());
    const std::string state = PQresultErrorField(answer, PG_DIAG_SQLSTATE) != nullptr
                                  ? PQresultErrorField(answer, PG_DIAG_SQLSTATE)
                                  : "";
    PQclear(answer);
    return state == "42501";
  };
  CHECK(denied(start("'order'")));  // not everybody may

  s.db.execute(
      "GRANT EXECUTE ON FUNCTION orders_journal.start, orders_journal.signal, "
      "orders_journal.put_start, orders_journal.put_message" +
      to_role);
  const std::string id = caller.text(start("'add_heard', '1'"));
  caller.execute(signal("'" + id + "', 'go_on'"));
  caller.execute("BEGIN");
  CHECK(s.client.start(caller.handle(), double_it, 1).is_new());
  caller.execute("COMMIT");
  CHECK(denied("SELECT count(*) FROM orders_journal.start_requests"));
  CHECK(denied("SELECT count(*) FROM orders_journal.events"));
  CHECK(denied("DELETE FROM orders_journal.inbox"));
  CHECK(s.client.list().size() == 2);
  s.db.execute("DROP OWNED BY " + role);
  s.db.execute("DROP ROLE " + role);
}
