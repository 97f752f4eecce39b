// SPDX-License-Identifier: Apache-2.0
// What it costs to look for ends, in rows that the server reads, however much there is besides.
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

constexpr int others = 4'000;

/// Rows read from the tables that tell of ends, by whatever way; told when a session has ended.
std::int64_t rows_read(beside& on) {
  const std::string ours =
      " WHERE schemaname = current_schema() AND relname ~ '^(runs|start_requests|events_.*)$'";
  return std::stoll(
      on.text("SELECT sum(seq_tup_read) + (SELECT sum(idx_tup_read) FROM "
              "pg_stat_user_indexes" +
              ours + ") FROM pg_stat_user_tables" + ours));
}

void enqueue(scene& at, int count) {
  batch many;
  for (int i = 0; i < count; ++i) many.starts.push_back(at.item(at.request()));
  REQUIRE(at.journal->commit(std::move(many)).ok());
}

}  // namespace

TEST_CASE("a look for ends reads what belongs to those chains, however many others there are") {
  scene at;
  beside on(at);
  const worker_row me = at.join();
  writer over(at, at.begin(me));
  CHECK(over.end() == landing::landed);
  const writer going(at, at.begin(me));
  const start_request waiting = at.request();
  CHECK(at.start(waiting).how == start_result::outcome::started);
  const std::vector<chain_id> asked{over.chain, going.chain, waiting.chain, at.new_run()};

  const std::int64_t before = rows_read(on);
  and_wait(on, [&] {
    open_options look;
    look.read_only = true;
    auto journal = open_store(address_of(at), look);
    REQUIRE(journal.ok());
    // Its statements are planned while there is next to nothing.
    CHECK((*journal)->ends_of(asked)->ended.size() == 1);
    enqueue(at, others);
    for (int i = 0; i < 10; ++i) {
      const auto found = (*journal)->ends_of(asked);
      REQUIRE(found.ok());
      CHECK(found->ended.size() == 1);
      CHECK(found->unknown.size() == 1);
    }
  });

  CHECK(rows_read(on) - before < others / 10);
}

}  // namespace fermata::postgres_tests
