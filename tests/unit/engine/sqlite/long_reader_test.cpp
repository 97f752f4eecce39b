// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "place.hpp"

#include <filesystem>
#include <vector>

using namespace fermata::conformance;

namespace {

constexpr std::size_t large = 1024 * 1024;

/// Starts with inputs of a mebibyte, which lie in the log until a checkpoint has moved them.
void write_mebibytes(store& journal, scene& of, std::size_t count) {
  batch some;
  for (std::size_t i = 0; i < count; ++i) {
    start_request what = of.request();
    what.input = text_payload(std::string(large, static_cast<char>('a' + i % 26)));
    some.starts.push_back(of.item(what));
  }
  const auto done = journal.commit(std::move(some));
  REQUIRE_MESSAGE(done.ok(), done.status().ToString());
}

std::size_t log_size(const place& at) {
  return static_cast<std::size_t>(std::filesystem::file_size(at.file() + "-wal"));
}

}  // namespace

TEST_CASE("a log that a reader holds back is told once, with who has it open; then it is reused") {
  place at;
  scene of;
  std::vector<std::string> said;
  sqlite::surroundings around;
  around.say = [&](std::string_view what) { said.emplace_back(what); };
  auto journal = open_sqlite_store(at.address(), {}, around);
  REQUIRE(journal.ok());
  foreign reader(at.file());
  CHECK(reader.run("BEGIN; SELECT count(*) FROM runs") == "");

  for (int i = 0; i < 6; ++i) write_mebibytes(**journal, of, 10);
  CHECK(said.empty());
  for (int i = 0; i < 3; ++i) write_mebibytes(**journal, of, 10);

  CHECK(log_size(at) > limits::wal_warning);
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("journal.db-wal has grown to") != std::string::npos);
  CHECK(said[0].find("a reader holds it back") != std::string::npos);
  CHECK(said[0].find("it is open in processes " + std::to_string(getpid())) != std::string::npos);

  const std::size_t before = log_size(at);
  CHECK(reader.run("COMMIT") == "");
  for (int i = 0; i < 5; ++i) write_mebibytes(**journal, of, 4);
  CHECK(log_size(at) <= before + 5 * large);
  CHECK(said.size() == 1);
}
