// SPDX-License-Identifier: Apache-2.0
// What a page of a list costs, in blocks and rows that the server reads, however many runs there are.
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

run_id id_of(std::int64_t n) {
  std::string bytes(16, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[15 - i] = static_cast<char>(n >> (8 * i));
  return run_id::of(ulid::from_view(bytes));
}

/// The first ten runs are rare in every way there is, and so older than all others, which completed.
std::string filled(const scene& at, std::int64_t from, std::int64_t to) {
  beside on(at);
  on.execute(
      "INSERT INTO names(text) SELECT t FROM unnest(ARRAY['pay', 'rare']) t "
      "WHERE NOT EXISTS(SELECT 1 FROM names n WHERE n.text = t)");
  const auto id = [](std::string_view n) {
    return fmt::format("lpad(to_hex({}), 32, '0')::uuid", n);
  };
  on.execute(fmt::format(
      "INSERT INTO runs(run, space, workflow, queue, priority, not_before, deadline, requested, "
      "started, close_policy, build, format_level, state, owner, epoch, updated, key, chain, "
      "parent, "
      "parent_chain, attention) "
      "SELECT {}, 1, (SELECT id FROM names WHERE text = CASE WHEN i <= 10 THEN 'rare' ELSE 'pay' "
      "END), 1, 0, 0, 0, i, i, 0, 1, 1, CASE WHEN i <= 5 THEN 1 WHEN i <= 10 THEN 4 ELSE 3 END, 0, "
      "1, i, 'key-' || i, CASE WHEN i IN (2, 3) THEN {} END, CASE WHEN i IN (4, 5) THEN {} END, "
      "CASE WHEN i IN (4, 5) THEN {} END, CASE WHEN i <= 3 THEN 1 ELSE 0 END "
      "FROM generate_series({}, {}) i",
      id("i"), id("1"), id("1"), id("1"), from, to));
  on.execute(
      fmt::format("INSERT INTO run_tags SELECT run, 'color', CASE WHEN requested <= 10 THEN "
                  "'red' ELSE 'blue' END FROM runs WHERE requested >= {}",
                  from));
  on.execute("VACUUM ANALYZE runs, run_tags");
  return on.text("SELECT pg_backend_pid()");
}

/// Its session has ended, too.
void fill(const scene& at, beside& on, std::int64_t from, std::int64_t to) {
  const std::string session = filled(at, from, to);
  on.wait_for("SELECT count(*) FROM pg_stat_activity WHERE pid = " + session, "0");
}

struct asked {
  std::string what;
  run_query query;
  std::size_t found;
};

std::vector<asked> questions() {
  std::vector<asked> some;
  const auto ask = [&](std::string what, std::size_t found, auto change) {
    run_query query{.space = "default", .at_most = 50};
    change(query);
    some.push_back({std::move(what), query, found});
  };
  using state = run_state;
  ask("all", 50, [](run_query&) {});
  ask("a later page", 50, [&](run_query& q) { q.before = id_of(1'000); });
  ask("completed", 50, [](run_query& q) { q.states = {state::completed}; });
  ask("failed", 5, [](run_query& q) { q.states = {state::failed}; });
  ask("failed or open", 10,
      [](run_query& q) { q.states = {state::failed, state::cancelled, state::running}; });
  ask("workflow", 50, [](run_query& q) { q.workflow = "pay"; });
  ask("workflow of few", 10, [](run_query& q) { q.workflow = "rare"; });
  ask("failed of a workflow: none", 0, [](run_query& q) {
    q.workflow = "pay";
    q.states = {state::failed};
  });
  ask("key", 1, [](run_query& q) { q.key = "key-7"; });
  ask("chain", 3, [](run_query& q) { q.chain = id_of(1); });
  ask("parent", 2, [](run_query& q) { q.parent = id_of(1); });
  ask("attention", 3, [](run_query& q) { q.attention = attention::blocked; });
  ask("tag of few", 10, [](run_query& q) { q.tags = {{"color", "red"}}; });
  ask("tag of most", 50, [](run_query& q) { q.tags = {{"color", "blue"}}; });
  return some;
}

/// Rows read from the tables of runs and tags, by whatever way; told when a session has ended.
std::int64_t rows_read(beside& on) {
  return std::stoll(on.text(
      "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) + (SELECT sum(idx_tup_read) FROM "
      "pg_stat_user_indexes WHERE schemaname = current_schema() AND relname IN ('runs', "
      "'run_tags')) FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname IN "
      "('runs', 'run_tags')"));
}

/// By a store of its own, whose sessions end.
std::int64_t cost_of(const scene& at, beside& on, const asked& one) {
  const std::int64_t before = rows_read(on);
  and_wait(on, [&] {
    open_options look;
    look.read_only = true;
    auto journal = open_store(address_of(at), look);
    REQUIRE(journal.ok());
    const auto found = (*journal)->list(one.query);
    REQUIRE(found.ok());
    CHECK(found->size() == one.found);
  });
  return rows_read(on) - before;
}

}  // namespace

TEST_CASE("a page of a list reads as many rows with ten times as many runs") {
  scene at;
  beside on(at);
  fill(at, on, 1, 2'000);
  std::vector<std::int64_t> before;
  for (const asked& one : questions()) before.push_back(cost_of(at, on, one));
  fill(at, on, 2'001, 20'000);

  std::size_t i = 0;
  for (const asked& one : questions()) {
    CAPTURE(one.what);
    CHECK(before[i] > 0);
    CHECK(cost_of(at, on, one) <= before[i] + 100);
    ++i;
  }
}

}  // namespace fermata::postgres_tests
