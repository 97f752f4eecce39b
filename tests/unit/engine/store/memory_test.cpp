// SPDX-License-Identifier: Apache-2.0
// What a journal in memory hasn't got.
#include "engine/store/store.hpp"

#include <doctest/doctest.h>

namespace fermata::engine {
namespace {

TEST_CASE("a journal in memory has no SQL, no copy and no pages, and says what has") {
  const auto opened = open_store("memory:");
  REQUIRE(opened.ok());
  const store& journal = **opened;

  const absl::Status asked = journal.query("SELECT 1", payloads::hidden,
                                           [](const std::vector<sql_value>&) { return true; });
  const absl::Status copied = journal.backup("copy.db", false);

  for (const absl::Status& told : {asked, copied}) {
    CHECK(told.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(told.message()).find("sqlite:FILE") != std::string::npos);
  }
  CHECK(journal.check_pages()->empty());
  CHECK(journal.body_handle() == body_handle::none);
  CHECK(journal.lineage() == 0);
  CHECK(journal.away_since() == 0);
}

}  // namespace
}  // namespace fermata::engine
