// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine/sqlite/place.hpp"

namespace fermata::conformance {
namespace {

bool refused(const std::string& said) { return said.find("append-only") != std::string::npos; }

TEST_CASE("no statement of another program changes or removes an event") {
  scene scene;
  scene.begin(scene.join());
  foreign other(file_of(scene));

  CHECK(refused(other.run("UPDATE events SET at = 0")));
  CHECK(refused(other.run("UPDATE events SET value = NULL, input = NULL, salt = NULL")));
  CHECK(refused(other.run("DELETE FROM events")));
  CHECK(refused(other.run("INSERT OR REPLACE INTO events SELECT * FROM events")));
  CHECK(refused(other.run(
      "INSERT OR REPLACE INTO events(run, position, kind, epoch, at, operation, name, place, "
      "flags, "
      "codec, key_id, content_type, input_content_type, details, chain, crc) SELECT run, position, "
      "1, 1, 1, '', 1, 0, 0, 0, 0, 0, 0, x'', x'', 0 FROM events")));
  CHECK(other.one("SELECT count(*) FROM events") == "1");
}

TEST_CASE("a payload goes through the door that an erasure opens, and nothing else does") {
  scene scene;
  start_request request = scene.request();
  request.input = text_payload("a secret");
  scene.begin(scene.join(), request);
  foreign other(file_of(scene));
  const std::string erase =
      "UPDATE events SET value = NULL, input = NULL, salt = NULL, codec = 0, flags = 4, crc = 0";

  CHECK(refused(other.run(erase)));
  REQUIRE(
      other.run("INSERT INTO erasures SELECT run, position, 1, 'me', 'asked' FROM events").empty());
  CHECK(refused(other.run(erase + ", details = x''")));
  CHECK(refused(other.run("UPDATE events SET chain = x'00'")));
  CHECK(other.run(erase).empty());
}

TEST_CASE("events of a run are removed only when retention has written its tombstone") {
  scene scene;
  scene.begin(scene.join());
  foreign other(file_of(scene));

  REQUIRE(other
              .run("INSERT INTO retention_log SELECT id, name, chain, key, 1, 1, x'00', 1, 'old' "
                   "FROM runs")
              .empty());
  CHECK(other.run("DELETE FROM events").empty());
}

TEST_CASE("a payload that lies apart from its event is guarded as the event is") {
  scene scene;
  scene.begin(scene.join());
  foreign other(file_of(scene));
  REQUIRE(other.run("INSERT INTO blobs SELECT run, position, 0, zeroblob(9) FROM events").empty());

  CHECK(refused(other.run("UPDATE blobs SET bytes = x'00'")));
  CHECK(refused(other.run("UPDATE blobs SET position = 7")));
  CHECK(refused(other.run("DELETE FROM blobs")));
  CHECK(refused(other.run("INSERT OR REPLACE INTO blobs SELECT * FROM blobs")));
  REQUIRE(
      other.run("INSERT INTO erasures SELECT run, position, 1, 'me', 'asked' FROM events").empty());
  CHECK(refused(other.run("UPDATE blobs SET bytes = x'00'")));
  CHECK(other.run("DELETE FROM blobs").empty());
  CHECK(other.one("SELECT count(*) FROM blobs") == "0");
}

TEST_CASE("blobs of a run are removed when retention has written its tombstone") {
  scene scene;
  scene.begin(scene.join());
  foreign other(file_of(scene));
  REQUIRE(other.run("INSERT INTO blobs SELECT run, position, 0, zeroblob(9) FROM events").empty());

  REQUIRE(other
              .run("INSERT INTO retention_log SELECT id, name, chain, key, 1, 1, x'00', 1, 'old' "
                   "FROM runs")
              .empty());
  CHECK(other.run("DELETE FROM blobs").empty());
}

TEST_CASE("an appender whose own transactional step changes events is refused like any other") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append step = run.next();
  std::string said;
  step.body = [&](void* handle) -> absl::StatusOr<std::vector<encoded_event>> {
    char* message = nullptr;
    sqlite3_exec(static_cast<sqlite3*>(handle), "DELETE FROM events", nullptr, nullptr, &message);
    if (message != nullptr) said = message;
    sqlite3_free(message);
    return std::vector<encoded_event>{};
  };
  CHECK(run.land(step) == landing::landed);
  CHECK(refused(said));
}

}  // namespace
}  // namespace fermata::conformance
