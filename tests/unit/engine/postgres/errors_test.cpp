// SPDX-License-Identifier: Apache-2.0
// What the server refuses, by its own codes: what is tried again, and what a caller is told.
#include "engine/store/postgres/errors.hpp"
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>

#include <string>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

/// A trigger that refuses messages with this code, so many times.
void refuse(beside& on, const std::string& code, int times) {
  on.execute("DROP TRIGGER IF EXISTS refuses ON inbox");
  on.execute("DROP SEQUENCE IF EXISTS refused");
  on.execute("CREATE SEQUENCE refused");  // no rollback takes it back
  const std::string schema = on.text("SELECT current_schema()");
  on.execute(
      "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF nextval('" +
      schema + ".refused') <= " + std::to_string(times) +
      " THEN RAISE EXCEPTION 'not now' USING ERRCODE = '" + code + "'; END IF; RETURN NEW; END $$");
  on.execute(
      "CREATE TRIGGER refuses BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION refuse()");
}

absl::StatusOr<batch_result> try_to_send(scene& at, const message& what) {
  batch one;
  one.messages.push_back(what);
  return at.journal->commit(std::move(one));
}

}  // namespace

TEST_CASE("what goes by is tried again, and the message is there once") {
  scene at;
  const start_request run = at.request();
  at.start(run);
  beside on(at);
  // A serialization failure, a deadlock, a lock that isn't there, a shutdown of the server.
  for (const char* code : {"40001", "40P01", "55P03", "57P01"}) {
    CAPTURE(code);
    refuse(on, code, 2);
    const message sent = at.signal(run.chain);

    CHECK(at.send(sent).how == message_result::outcome::accepted);

    CHECK(on.text("SELECT last_value FROM refused") == "3");
    CHECK(at.send(sent).how == message_result::outcome::repeated);
  }
  CHECK(at.journal->inbox(run.chain)->size() == 4);
}

TEST_CASE("what doesn't go by is told at once, by what it means") {
  scene at;
  const start_request run = at.request();
  at.start(run);
  beside on(at);
  struct {
    const char* code;
    absl::StatusCode status;
    const char* told;
  } const all[] = {
      {"53100", absl::StatusCode::kResourceExhausted, "FER-2101"},  // the disk is full
      {"53200", absl::StatusCode::kResourceExhausted, "FER-2101"},  // out of memory
      {"XX001", absl::StatusCode::kDataLoss, "FER-2103"},           // damage
      {"42501", absl::StatusCode::kPermissionDenied, "FER-2107"},   // a right is missing
      {"22012", absl::StatusCode::kInternal, "FER-2104"},           // what we don't know
  };
  for (const auto& one : all) {
    CAPTURE(one.code);
    refuse(on, one.code, 1'000);
    const message sent = at.signal(run.chain);

    const auto done = try_to_send(at, sent);

    CHECK(done.status().code() == one.status);
    CHECK(fer_code_of(done.status()) == one.told);
    CHECK(on.text("SELECT last_value FROM refused") == "1");
    on.execute("DROP TRIGGER refuses ON inbox");
    CHECK(at.send(sent).how == message_result::outcome::accepted);  // nothing of it was there
  }
}

TEST_CASE("a conflict that never ends is told, and the store goes on") {
  scene at;
  const start_request run = at.request();
  at.start(run);
  beside on(at);
  refuse(on, "40001", 1'000);
  const message sent = at.signal(run.chain);

  const auto done = try_to_send(at, sent);

  CHECK(done.status().code() == absl::StatusCode::kUnavailable);
  CHECK(fer_code_of(done.status()) == "FER-2106");
  on.execute("DROP TRIGGER refuses ON inbox");
  CHECK(at.send(sent).how == message_result::outcome::accepted);
}

TEST_CASE("each of the server's codes is known for one of four kinds of failure") {
  using engine::postgres::failure;
  using engine::postgres::failure_of;
  for (const char* code : {"40001", "40P01", "55P03", "23505"})
    CHECK(failure_of(code) == failure::again);
  for (const char* code : {"53100", "53200", "53400"}) CHECK(failure_of(code) == failure::full);
  for (const char* code : {"", "08006", "57P01", "57P03", "53300", "25006", "25P03"})
    CHECK(failure_of(code) == failure::lost);
  for (const char* code : {"42501", "XX001", "22012", "P0001"})
    CHECK(failure_of(code) == failure::refused);
}

}  // namespace fermata::postgres_tests
