// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/operate.hpp"
#include "engine/operate/verify.hpp"
#include "engine/store/status.hpp"
#include "tests/unit/engine/sqlite/place.hpp"

#include <fstream>

namespace fermata::conformance {
namespace {

using bytes = std::vector<encoded_event>;

/// Lets the database grow to so many pages; 0 answers how many it has.
std::int64_t limit_pages(writer& run, std::int64_t pages) {
  append step = run.next();
  std::int64_t has = 0;
  step.body = [&](void* handle) -> absl::StatusOr<bytes> {
    auto* db = static_cast<sqlite3*>(handle);
    const std::string sql = pages == 0 ? std::string("PRAGMA page_count")
                                       : "PRAGMA max_page_count = " + std::to_string(pages);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr);
    if (sqlite3_step(statement) == SQLITE_ROW) has = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return bytes{};
  };
  CHECK(run.land(step) == landing::landed);
  return has;
}

TEST_CASE("a full disk refuses the batch, and takes it when there is room again") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  event big = step_completed("1");
  // Over several pages, and not to be compressed.
  std::string noise(100'000, '\0');
  scene.factory->chance->fill(noise.data(), noise.size());
  big.value = text_payload(noise);
  append step = run.next({big});
  limit_pages(run, limit_pages(run, 0) + 2);

  batch once{.worker = run.worker};
  once.appends.push_back(step);
  const auto refused = scene.journal->commit(batch(once));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(fer_code_of(refused.status()) == "FER-2101");
  CHECK(std::string(refused.status().message()).find("nothing was written") != std::string::npos);

  limit_pages(run, 1'000'000);
  CHECK(run.land(step) == landing::landed);
  CHECK(scene.events(step.run).back().value == step.events.back().value);
}

TEST_CASE("a commit that fails is told as an error, and nothing of it is there") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append step = run.next();
  step.body = [](void* handle) -> absl::StatusOr<bytes> {
    // A commit whose hook says no is rolled back.
    sqlite3_commit_hook(static_cast<sqlite3*>(handle), [](void*) { return 1; }, nullptr);
    return bytes{};
  };
  const start_request what = scene.request();
  batch once{.worker = run.worker};
  once.appends.push_back(step);
  once.starts.push_back(scene.item(what));

  CHECK_FALSE(scene.journal->commit(std::move(once)).ok());

  CHECK(absl::IsNotFound(scene.journal->find_run(what.run).status()));
}

TEST_CASE("flipped bits in the pages are reported as damage of the store, never believed") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  for (int i = 1; i <= 200; ++i)
    REQUIRE(run.land(run.next({step_completed(std::to_string(i))})) == landing::landed);
  const std::string copy = file_of(scene) + ".copy";
  REQUIRE(scene.journal->backup(copy, false).ok());

  // The first bytes of a b-tree page say what it is, and how many cells it has.
  const auto pages = std::filesystem::file_size(copy) / 4096;
  REQUIRE(pages > 10);
  int told = 0;
  for (std::uint64_t page = 1; page < pages; ++page) {
    const std::string broken = copy + ".broken";
    std::filesystem::copy_file(copy, broken, std::filesystem::copy_options::overwrite_existing);
    std::fstream file(broken, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(page * 4096));
    file.write("\xff\xff\xff\xff\xff", 5);
    file.close();
    for (const char* beside : {"-wal", "-shm"}) std::filesystem::remove(broken + beside);

    const auto journal = open_store("sqlite:" + broken);
    if (!journal.ok()) {
      CHECK(journal.status().code() != absl::StatusCode::kInternal);
      ++told;
      continue;
    }
    const auto found = (*journal)->check_pages();
    if (!found.ok()) {
      CHECK(found.status().code() == absl::StatusCode::kDataLoss);
      ++told;
    } else if (!found->empty()) {
      CHECK(found->front().find("damage") != std::string::npos);
      ++told;
    }
    const auto events = (*journal)->read_events(run.run, 1, 1'000);
    if (!events.ok()) CHECK(fer_code_of(events.status()) == "FER-2103");
  }
  CHECK(told == static_cast<int>(pages) - 1);
}

/// Has the root page of a table, which lies above its leaves, name its children in the other order.
void reverse_children(const std::string& path, const std::string& table) {
  const auto root = std::stoull(
      foreign(path).one("SELECT rootpage FROM sqlite_master WHERE name = '" + table + "'"));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto begin = static_cast<std::streamoff>((root - 1) * 4096);
  const auto bytes_at = [&](std::streamoff at, std::size_t count) {
    std::string bytes(count, '\0');
    file.seekg(begin + at);
    file.read(bytes.data(), static_cast<std::streamsize>(count));
    return bytes;
  };
  const auto number_at = [&](std::streamoff at) {
    const std::string two = bytes_at(at, 2);
    return static_cast<unsigned char>(two[0]) * 256 + static_cast<unsigned char>(two[1]);
  };
  REQUIRE(bytes_at(0, 1) == "\x05");  // an interior page of a table (SQLite's file format, 1.6)
  const int cells = number_at(3);
  REQUIRE(cells > 5);
  std::vector<std::string> children;
  for (int i = 0; i < cells; ++i) children.push_back(bytes_at(number_at(12 + 2 * i), 4));
  for (int i = 0; i < cells; ++i) {
    const std::streamoff at = begin + number_at(12 + 2 * i);
    file.seekp(at);
    file.write(children[static_cast<std::size_t>(cells - 1 - i)].data(), 4);
  }
}

TEST_CASE("whoever reads on in a log whose pages are out of order comes to an end") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  for (int i = 1; i <= 300; ++i)
    REQUIRE(run.land(run.next({step_completed(std::to_string(i))})) == landing::landed);
  const std::string copy = file_of(scene) + ".copy";
  REQUIRE(scene.journal->backup(copy, false).ok());
  reverse_children(copy, "events");
  for (const char* beside : {"-wal", "-shm"}) std::filesystem::remove(copy + beside);
  const auto journal = open_store("sqlite:" + copy);
  REQUIRE(journal.ok());

  absl::Status ended;
  std::string cursor;
  for (int pages = 0; ended.ok() && pages < 100; ++pages) {
    const auto events = (*journal)->changes(cursor, 64);
    if (events.ok() && events->empty()) break;
    ended = events.status();
    if (events.ok()) cursor = events->back().cursor;
  }
  CHECK(fer_code_of(ended) == "FER-2103");
  CHECK_FALSE(engine::verify(**journal, {}).ok());
}

TEST_CASE("an event whose payload is said to be a blob, and isn't, is damaged") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  REQUIRE(run.land(run.next({step_completed("1")})) == landing::landed);
  const auto last = [&] {
    return decode(run.run, scene.journal->read_events(run.run, 2, 1)->at(0));
  };
  REQUIRE(last().ok());
  foreign other(file_of(scene));
  REQUIRE(other.run("DROP TRIGGER events_never_change").empty());

  REQUIRE(other.run("UPDATE events SET flags = flags | 16 WHERE position = 2").empty());

  CHECK(absl::IsDataLoss(last().status()));
}

TEST_CASE("a message that can't be read blocks its own run, and no other") {
  scene scene;
  const worker_row me = scene.join();
  writer bad(scene, scene.begin(me));
  writer good(scene, scene.begin(me));
  scene.send(scene.signal(bad.chain));
  scene.send(scene.signal(good.chain));
  // What an older version let in: a text of a cancel that isn't UTF-8.
  foreign other(file_of(scene));
  REQUIRE(other
              .run("UPDATE inbox SET details = x'62031201e9' WHERE chain = (SELECT run FROM runs "
                   "WHERE id = " +
                   std::to_string(bad.row) + ")")
              .empty());

  const std::vector<claimed> taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == good.run);
  const run_row row = scene.row(bad.run);
  CHECK(row.attention == attention::blocked);
  CHECK(row.owner == 0);
  CHECK(row.report.find("[FER-2103]") != std::string::npos);
  CHECK(bad.land(bad.next({step_completed("1")})) == landing::not_owner);
  CHECK(scene.claim(me).empty());

  std::vector<std::string> told;
  const auto checked =
      verify(*scene.journal, {.found = [&](const finding& one) { told.push_back(one.what); }});
  REQUIRE(checked.ok());
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("in its inbox is damaged") != std::string::npos);

  REQUIRE(terminate(*scene.journal, bad.run, {.who = "ada", .why = "e\xe9"}).ok());
  CHECK(scene.row(bad.run).state == run_state::terminated);
  CHECK(scene.journal->inbox(bad.chain)->empty());
  CHECK(verify(*scene.journal, {})->findings == 0);
}

TEST_CASE("a schema that lost a guard is reported") {
  scene scene;
  CHECK(scene.journal->check_pages()->empty());
  foreign other(file_of(scene));
  REQUIRE(other.run("DROP TRIGGER events_stay").empty());

  const auto found = scene.journal->check_pages();
  REQUIRE(found->size() == 1);
  CHECK(found->front().find("events_stay") != std::string::npos);
}

TEST_CASE("a backup replaces an older one when it is whole, and nothing but a journal") {
  scene scene;
  const run_id first = scene.begin(scene.join()).run.run;
  const std::string copy = file_of(scene) + ".copy";
  REQUIRE(scene.journal->backup(copy, false).ok());
  // Looked at, it has a log beside it, and more than that was in the file.
  REQUIRE(open_store("sqlite:" + copy).ok());
  foreign(copy).run(
      "PRAGMA journal_mode = WAL; CREATE TABLE extra(a); INSERT INTO extra VALUES(1)");
  std::filesystem::copy_file(file_of(scene), copy + "-wal",
                             std::filesystem::copy_options::overwrite_existing);
  const run_id second = scene.begin(scene.join("build-2")).run.run;

  const absl::Status replaced = scene.journal->backup(copy, true);
  REQUIRE_MESSAGE(replaced.ok(), replaced.message());
  CHECK_FALSE(std::filesystem::exists(copy + "-wal"));
  CHECK_FALSE(std::filesystem::exists(copy + ".part"));
  {
    const auto journal = open_store("sqlite:" + copy);
    REQUIRE(journal.ok());
    CHECK((*journal)->check_pages()->empty());
    CHECK((*journal)->read_events(first, 1, 10)->size() == 1);
    CHECK((*journal)->read_events(second, 1, 10)->size() == 1);
  }

  const std::string letter = file_of(scene) + ".txt";
  std::ofstream(letter)
      << "Dear somebody, this is a letter and no journal at all, and it is longer "
         "than a header of SQLite's.";
  const absl::Status kept = scene.journal->backup(letter, true);
  CHECK(fer_code_of(kept) == "FER-2002");
  CHECK(std::filesystem::file_size(letter) > 72);
  CHECK_FALSE(scene.journal->backup(file_of(scene), true).ok());
  CHECK(scene.journal->read_events(first, 1, 10)->size() == 1);
}

TEST_CASE("a backup is a journal of its own, and never replaces a file") {
  scene scene;
  const run_id run = scene.begin(scene.join()).run.run;
  const std::string copy = file_of(scene) + ".copy";
  REQUIRE(scene.journal->backup(copy, false).ok());
  CHECK_FALSE(scene.journal->backup(copy, false).ok());

  const auto journal = open_store("sqlite:" + copy);
  REQUIRE(journal.ok());
  CHECK((*journal)->read_events(run, 1, 10)->size() == 1);
  CHECK((*journal)->check_pages()->empty());
}

}  // namespace
}  // namespace fermata::conformance
