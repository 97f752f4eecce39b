// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/connection.hpp"
#include "engine/store/sqlite/schema.hpp"
#include "engine/store/status.hpp"
#include "tests/unit/engine/sqlite/place.hpp"

#include <fstream>

namespace fermata::conformance {
namespace {

std::string code_of(const absl::Status& status) { return status.ok() ? "" : fer_code_of(status); }

/// What version 1 of the schema would have of this journal, in a file of its own.
void write_as_version_1(const std::string& file, const std::string& journal) {
  {
    sqlite::connection db(file, {.create = true});
    db.script("PRAGMA journal_mode = WAL");
    for (const char* script : sqlite::migrations().front().scripts) db.script(script);
    db.script("INSERT INTO schema_version VALUES (1, 1, 1, '0.1.0', 0)");
    db.script(("PRAGMA application_id = " + std::to_string(sqlite::application_id)).c_str());
  }
  foreign old(file);
  REQUIRE(old.run("ATTACH '" + journal + "' AS source").empty());
  for (const char* table : {"names", "places", "namespaces", "runs", "ready", "events"})
    REQUIRE(old.run(std::string("INSERT OR IGNORE INTO main.") + table + " SELECT * FROM source." +
                    table)
                .empty());
}

TEST_CASE("an address that isn't one is refused with how it should look") {
  for (const char* wrong :
       {"sqlite:", "sqlite:a.db?durability=none", "sqlite::memory:", "orders.db"}) {
    CAPTURE(wrong);
    CHECK(code_of(open_store(wrong).status()) == "FER-2001");
  }
}

TEST_CASE("a journal that isn't there is made only by who may") {
  place here;
  open_options look;
  look.create = false;
  CHECK(code_of(open_store(here.address(), look).status()) == "FER-2002");
  CHECK_FALSE(std::filesystem::exists(here.file()));
  CHECK_FALSE(std::filesystem::exists(here.file() + "-lock"));

  CHECK(open_store(here.address()).ok());
  CHECK(open_store(here.address(), look).ok());
}

TEST_CASE("a file that isn't a database, or another program's, is left alone") {
  place here;
  std::ofstream(here.file()) << std::string(8192, 'x');
  CHECK(code_of(open_store(here.address()).status()) == "FER-2002");

  foreign other(here.file("other.db"));
  REQUIRE(other.run("CREATE TABLE orders(id INTEGER)").empty());
  CHECK(code_of(open_store("sqlite:" + here.file("other.db")).status()) == "FER-2002");
  CHECK_FALSE(std::filesystem::exists(here.file("other.db") + "-lock"));
  CHECK(code_of(open_store("sqlite:" + here.file("no/folder.db")).status()) == "FER-2002");
}

TEST_CASE("a folder, and a file with nothing in it that nobody may fill, are no journals") {
  place here;
  const std::string folder = std::filesystem::path(here.file()).parent_path();
  CHECK(code_of(open_store("sqlite:" + folder).status()) == "FER-2002");

  std::ofstream(here.file()).flush();
  open_options look;
  look.create = false;
  CHECK(code_of(open_store(here.address(), look).status()) == "FER-2002");
  CHECK(open_store(here.address()).ok());
}

TEST_CASE("a journal on a network file system is refused, with its name") {
  place here;
  sqlite::surroundings around;
  for (const auto& [magic, name] : {std::pair(0x6969, "NFS"), std::pair(0x517b, "SMB"),
                                    std::pair(0x01021997, "9p"), std::pair(0x65735546, "FUSE")}) {
    around.file_system = [number = magic](const std::string&) { return std::int64_t{number}; };
    const absl::Status refused = open_sqlite_store(here.address(), {}, around).status();
    CHECK(code_of(refused) == "FER-2004");
    CHECK(std::string(refused.message()).find(name) != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(here.file()));
}

TEST_CASE("a newer version's journal is refused, by those who have it open too") {
  place here;
  auto open = *open_store(here.address());
  const auto worker = open->register_worker({.host = "here"});
  REQUIRE(worker.ok());
  foreign other(here.file());
  REQUIRE(other.run("INSERT INTO schema_version VALUES (99, 99, 50, '9.9', 0)").empty());

  const absl::Status refused = open_store(here.address()).status();
  CHECK(code_of(refused) == "FER-2003");
  CHECK(std::string(refused.message()).find("9.9") != std::string::npos);
  CHECK(code_of(open->renew(worker->row, 1)) == "FER-2003");
}

TEST_CASE("an older schema is migrated only on demand while a worker is there") {
  place here;
  auto open = *open_store(here.address());
  REQUIRE(open->register_worker({.host = "here"}).ok());
  foreign other(here.file());
  REQUIRE(other.run("DELETE FROM schema_version WHERE version > 1").empty());

  CHECK(code_of(open_store(here.address()).status()) == "FER-2005");
}

TEST_CASE("a journal of schema 1 is brought up to date, with a copy beside it; its runs go on") {
  scene scene;
  writer made(scene, scene.begin(scene.join()));
  REQUIRE(made.land(made.next({step_completed("1")})) == landing::landed);
  REQUIRE(made.park() == landing::landed);
  place here;
  write_as_version_1(here.file(), file_of(scene));

  open_options look;
  look.read_only = true;
  CHECK(code_of(open_store(here.address(), look).status()) == "FER-2005");
  scene.journal = *open_store(here.address());

  CHECK(scene.journal->info()->schema_version == 3);
  CHECK(std::filesystem::exists(here.file() + "-before-schema-3"));
  CHECK(foreign(here.file() + "-before-schema-3").one("SELECT max(version) FROM schema_version") ==
        "1");
  CHECK(scene.events(made.run).size() == 2);
  const worker_row me = scene.join();
  CHECK(scene.send(scene.signal(made.chain)).how == message_result::outcome::accepted);
  claim_request wants = scene.wants();
  wants.now = scene.journal->now();
  const auto taken = scene.claim(me, wants).claimed;
  REQUIRE(taken.size() == 1);
  writer goes_on(scene, taken[0]);
  append with_task = goes_on.next({plain(event_kind::attempt_started)});
  with_task.tasks.push_back({.operation = "2", .epoch = 3, .queue = "gpu", .step = "render"});
  CHECK(goes_on.land(with_task) == landing::landed);
  CHECK(scene.journal->tasks(made.run)->size() == 1);
  CHECK(foreign(here.file()).one("SELECT state FROM fermata_tasks") == "waiting");
  CHECK(foreign(here.file()).one("SELECT queues FROM fermata_workers") == "");
}

TEST_CASE("a migration that fails leaves the journal as it was") {
  scene now;
  now.begin(now.join());
  const std::string file = file_of(now);
  place here;
  write_as_version_1(here.file(), file);
  foreign other(here.file());
  REQUIRE(other.run("CREATE TABLE tasks(of_another_program)").empty());
  open_options how;
  how.migrate = true;

  CHECK_FALSE(open_store(here.address(), how).ok());

  CHECK(other.one("SELECT max(version) FROM schema_version") == "1");
  REQUIRE(other.run("DROP TABLE tasks").empty());
  CHECK(open_store(here.address(), how).ok());
  CHECK(other.one("SELECT max(version) FROM schema_version") == "3");
}

TEST_CASE("a journal syncs each commit, unless its address says otherwise, and says so") {
  place here;
  CHECK(open_store(here.address()).value()->info()->durability == "full");
  const auto weak = open_store(here.address() + "?durability=weak_normal");
  REQUIRE(weak.ok());
  CHECK((*weak)->info()->durability == "weak_normal");

  foreign other(here.file());
  CHECK(other.one("PRAGMA journal_mode") == "wal");
  CHECK(other.one("PRAGMA application_id") == std::to_string(0x4645524d));
  CHECK(other.one("PRAGMA page_size") == "4096");
}

TEST_CASE("the connection that writes syncs each commit, and not only says so") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append step = run.next();
  int synchronous = 0;
  step.body = [&](void* handle) -> absl::StatusOr<std::vector<encoded_event>> {
    sqlite3_stmt* asked = nullptr;
    sqlite3_prepare_v2(static_cast<sqlite3*>(handle), "PRAGMA synchronous", -1, &asked, nullptr);
    if (sqlite3_step(asked) == SQLITE_ROW) synchronous = sqlite3_column_int(asked, 0);
    sqlite3_finalize(asked);
    return std::vector<encoded_event>{};
  };

  CHECK(run.land(step) == landing::landed);

  CHECK(synchronous == 2);  // FULL
}

TEST_CASE("what was written is there again, and a closed journal keeps its log") {
  scene scene;
  const run_id run = scene.begin(scene.join()).run.run;
  const std::string file = file_of(scene);
  scene.journal.reset();

  CHECK(std::filesystem::exists(file + "-wal"));
  scene.journal = scene.factory->reopen();
  CHECK(scene.events(run).size() == 1);
}

TEST_CASE("a journal opened for reading refuses to write") {
  place here;
  REQUIRE(open_store(here.address()).ok());
  open_options look;
  look.read_only = true;
  const auto journal = open_store(here.address(), look);
  REQUIRE(journal.ok());
  CHECK_FALSE((*journal)->register_worker({.host = "here"}).ok());
  CHECK((*journal)->list({}).ok());
}

}  // namespace
}  // namespace fermata::conformance
