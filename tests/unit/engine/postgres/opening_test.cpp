// SPDX-License-Identifier: Apache-2.0
// Journals that aren't there, are another version's, or may not be made.
#include "engine/store/postgres/address.hpp"
#include "engine/store/postgres/schema.hpp"
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

std::string code_of(const std::string& address, open_options how = {}) {
  how.warn = [](std::string_view) {};
  how.patience_ms = 50;
  const auto opened = open_store(address, how);
  return opened.ok() ? "" : fer_code_of(opened.status());
}

/// A schema that isn't there.
std::string nowhere() {
  static int number = 0;
  return "schema=nowhere_" + std::to_string(++number);
}

std::string as_user(const std::string& user, const std::string& options) {
  const std::string address = server_address();
  return "postgres://" + user + address.substr(address.find('@')) + "?" + options;
}

}  // namespace

TEST_CASE("a journal of schema 1 is brought up to date on demand") {
  scene at;
  beside on(at);
  on.execute("DROP INDEX runs_by_key");
  on.execute("DROP TYPE event_row");
  on.execute("DELETE FROM schema_version WHERE version > 1");
  CHECK(code_of(address_of(at)) == "FER-2005");

  CHECK(code_of(address_of(at), {.migrate = true}).empty());

  CHECK(on.text("SELECT max(version) FROM schema_version") == "2");
  CHECK(on.text("SELECT to_regclass('runs_by_key')") == "runs_by_key");
  CHECK(on.text("SELECT to_regtype('event_row')") == "event_row");
}

TEST_CASE("a journal that isn't there is made only by who may, and found by who only looks") {
  const std::string address = server_address() + "?" + nowhere();
  open_options looks;
  looks.read_only = true;
  CHECK(code_of(address, looks) == "FER-2002");
  open_options careful;
  careful.create = false;
  CHECK(code_of(address, careful) == "FER-2002");

  CHECK(code_of(address).empty());

  CHECK(code_of(address, careful).empty());
  CHECK(code_of(address, looks).empty());
}

TEST_CASE("who has waited for another that made the journal finds it") {
  const std::string options = nowhere();
  const std::string schema = options.substr(options.find('=') + 1);
  connection maker(server_address());
  maker.execute("BEGIN");
  maker.execute("SELECT pg_advisory_xact_lock(hashtext('" + schema + ".migrate'), hashtext('" +
                schema + "'))");
  auto code =
      std::async(std::launch::async, [&] { return code_of(server_address() + "?" + options); });
  connection looks(server_address());
  looks.wait_for("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", "1");

  // As a later version would; little, since the server tells a session of much at once.
  maker.execute("CREATE SCHEMA " + schema);
  maker.execute("SET LOCAL search_path = " + schema);
  maker.execute(
      "CREATE TABLE schema_version(version int, written_by_min int, readable_by_min int, "
      "written_by text)");
  maker.execute("INSERT INTO schema_version VALUES (999, 999, 999, '9.9')");
  maker.execute("COMMIT");

  CHECK(code.get() == "FER-2003");
}

TEST_CASE("what was opened for reading refuses to write, with a sentence") {
  scene at;
  const start_request run = at.request();
  at.start(run);
  open_options looks;
  looks.read_only = true;
  const auto opened = open_store(address_of(at), looks);
  REQUIRE(opened.ok());
  CHECK((*opened)->find_run(run.run).ok());

  batch one;
  one.messages.push_back(at.signal(run.chain));
  const auto sent = (*opened)->commit(std::move(one));

  CHECK(sent.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK_FALSE((*opened)->register_worker({}).ok());
  CHECK(at.journal->inbox(run.chain)->empty());
}

TEST_CASE("a newer version's journal is refused by who would write, and read while it can be") {
  scene at;
  const std::string address = address_of(at);
  beside on(at);
  on.execute(
      "INSERT INTO schema_version(version, written_by_min, readable_by_min, written_by, at) "
      "VALUES (9, 9, 1, '9.0.0', 0)");
  open_options looks;
  looks.read_only = true;
  CHECK(code_of(address) == "FER-2003");
  CHECK(code_of(address, looks).empty());

  on.execute("UPDATE schema_version SET readable_by_min = 9 WHERE version = 9");
  CHECK(code_of(address, looks) == "FER-2003");
}

TEST_CASE("an older schema is brought up to date by who asks for it alone") {
  const std::string schema = nowhere();
  const std::string address = server_address() + "?" + schema;
  connection on(server_address());
  on.execute("CREATE SCHEMA " + schema.substr(7));
  // Begun by somebody, with nothing in it yet.
  on.execute("CREATE TABLE " + schema.substr(7) +
             ".schema_version(version int, written_by_min int, "
             "readable_by_min int, written_by text, at bigint)");
  open_options careful;
  careful.create = false;
  CHECK(code_of(address, careful) == "FER-2002");
  on.execute("INSERT INTO " + schema.substr(7) + ".schema_version VALUES (-1, 0, 0, '0.0.1', 0)");
  CHECK(code_of(address) == "FER-2005");
}

TEST_CASE("who may not make tables is told which SQL would, and that SQL makes a journal") {
  connection owner(server_address());
  owner.execute("SET client_min_messages = error");
  owner.execute("CREATE ROLE guest LOGIN");
  const std::string schema = nowhere();
  const std::string address = as_user("guest", schema);
  CHECK(code_of(address) == "FER-2107");

  const auto where = engine::postgres::parse_address(server_address() + "?" + schema);
  owner.execute(engine::postgres::migration_sql(where, 0));
  owner.execute(engine::postgres::role_sql(where, "guest"));
  owner.execute(engine::postgres::caller_sql(where, "guest"));
  CHECK(code_of(address).empty());
  CHECK(engine::postgres::migration_sql(where, 1).find("CREATE TABLE") == std::string::npos);
  owner.execute("DROP SCHEMA " + schema.substr(7) + " CASCADE");
  owner.execute("DROP OWNED BY guest");
  owner.execute("DROP ROLE guest");
}

TEST_CASE("who we are, or where, doesn't change by waiting; a server that is away may come") {
  CHECK(code_of(as_user("nobody_at_all", "")) == "FER-2002");
  const std::string address = server_address();
  CHECK(code_of(address.substr(0, address.rfind('/')) + "/no_such_database") == "FER-2002");
  CHECK(code_of("postgres://fermata@/fermata?host=/nowhere") == "FER-2105");
  CHECK(code_of("postgres://fermata@db/fermata?lanes=0") == "FER-2001");
}

TEST_CASE(
    "without a folder for locks nothing is opened, and the sentence says where it should be") {
  const std::string before = std::getenv("FERMATA_STATE");
  const std::filesystem::path file = std::filesystem::path(before) / "a-file-in-place-of-a-folder";
  std::fclose(std::fopen(file.c_str(), "w"));
  setenv("FERMATA_STATE", (file / "state").c_str(), 1);

  const auto opened = open_store(server_address() + "?" + nowhere());
  REQUIRE(opened.ok());
  const auto registered = (*opened)->register_worker({});

  setenv("FERMATA_STATE", before.c_str(), 1);
  REQUIRE_FALSE(registered.ok());
  CHECK(fer_code_of(registered.status()) == "FER-2109");
}

TEST_CASE("the folder for locks is found where the environment says") {
  const std::string before = std::getenv("FERMATA_STATE");
  const std::string home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "";
  const auto beside_of = [&] {
    const auto opened = open_store(server_address() + "?" + nowhere());
    REQUIRE(opened.ok());
    return (*opened)->info()->beside;
  };
  unsetenv("FERMATA_STATE");
  setenv("XDG_STATE_HOME", (before + "/xdg").c_str(), 1);
  CHECK(beside_of().starts_with(before + "/xdg/fermata/"));
  unsetenv("XDG_STATE_HOME");
  setenv("HOME", before.c_str(), 1);
  CHECK(beside_of().starts_with(before + "/.local/state/fermata/"));

  setenv("HOME", home.c_str(), 1);
  setenv("FERMATA_STATE", before.c_str(), 1);
}

}  // namespace fermata::postgres_tests
