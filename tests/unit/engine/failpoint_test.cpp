// SPDX-License-Identifier: Apache-2.0
// Places that fail by name, and what stands on them. They are read once, so all of them are told here first.
#include "engine/dispatch/writer.hpp"
#include "engine/failpoint.hpp"
#include "engine/store/status.hpp"
#include "engine/store/store.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fermata::conformance {
namespace {

/// Before anything passes a place.
const std::string hits = [] {
  std::string file = std::filesystem::temp_directory_path() / "fermata-hits-XXXXXX";
  close(mkstemp(file.data()));
  setenv("FERMATA_FAILPOINT",
         "test.twice=error@2,test.rests=sleep,test.other=nothing,writer.before_commit=error@1,"
         "sqlite.before_lock=error@2,sqlite.in_transaction=error@3,sqlite.before_checkpoint=error",
         1);
  setenv("FERMATA_FAILPOINT_HITS", file.c_str(), 1);
  return file;
}();

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> all;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

TEST_CASE("a place fails at the hit that was asked for, and at no other; each hit is told") {
  CHECK(has_failpoints());
  std::vector<bool> failed;
  for (int i = 0; i < 3; ++i) failed.push_back(failpoint("test.twice"));
  CHECK(failed == std::vector{false, true, false});
  CHECK_FALSE(failpoint("test.rests"));
  CHECK_FALSE(failpoint("test.other"));
  CHECK_FALSE(failpoint("test.unknown"));

  std::vector<std::string> told = lines_of(hits);
  std::erase_if(told, [](const std::string& name) { return !name.starts_with("test."); });
  CHECK(told == std::vector<std::string>{"test.twice", "test.twice", "test.twice", "test.rests",
                                         "test.other", "test.unknown"});
}

TEST_CASE("a bound is another's only by its own name") {
  CHECK(bound("some_ms", 7) == 7);
  setenv("FERMATA_BOUND", "some_ms=9", 1);
  CHECK(bound("some_ms", 7) == 9);
  CHECK(bound("other_ms", 7) == 7);
  setenv("FERMATA_BOUND", "some_ms", 1);
  CHECK(bound("some_ms", 7) == 7);
  unsetenv("FERMATA_BOUND");
}

TEST_CASE(
    "a transaction that a place keeps away is told, nothing of it is there, the next goes on") {
  scene at;
  const start_request run = at.request();
  at.start(run);
  std::vector<std::string> codes;
  std::vector<std::size_t> unread;
  for (int i = 0; i < 4; ++i) {
    batch one;
    one.messages.push_back(at.signal(run.chain));
    const auto done = at.journal->commit(std::move(one));
    codes.push_back(done.ok() ? "" : fer_code_of(done.status()));
    unread.push_back(at.journal->inbox(run.chain)->size());
  }
  CHECK(codes == std::vector<std::string>{"FER-2102", "", "FER-2102", ""});
  CHECK(unread == std::vector<std::size_t>{0, 1, 1, 2});
  CHECK(at.journal->check_pages()->empty());
}

TEST_CASE(
    "a group of the writer that a place keeps away is told, and written when it comes again") {
  const auto opened = open_store("memory:");
  REQUIRE(opened.ok());
  scene at;
  engine::writer writer(*opened);
  const auto start = [&](const start_request& what) {
    batch one;
    one.starts.push_back(at.item(what));
    return writer.commit(std::move(one));
  };
  const start_request run = at.request();

  const auto first = start(run);
  const bool there = (*opened)->find_run(run.run).ok();
  const auto second = start(run);

  CHECK(first.status().code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(there);
  REQUIRE(second.ok());
  CHECK((*opened)->find_run(run.run).ok());
  const std::vector<std::string> told = lines_of(hits);
  CHECK(std::ranges::count(told, "writer.before_start") >= 1);
  CHECK(std::ranges::count(told, "writer.before_claim") == 0);
}

}  // namespace
}  // namespace fermata::conformance
