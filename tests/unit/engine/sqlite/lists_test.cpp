// SPDX-License-Identifier: Apache-2.0
// What a page of a list costs, in steps of SQLite's virtual machine, however many runs there are.
#include "counting.hpp"
#include "place.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

using namespace fermata::conformance;

namespace {

/// So that run n is newer than run n - 1.
run_id id_of(std::int64_t n) { return run_id::of(ulid::from_view(fmt::format("{:016}", n))); }

/// The first ten runs are rare in every way there is, and so older than all others, which completed.
void fill(const place& at, std::int64_t runs) {
  REQUIRE(open_sqlite_store(at.address()).ok());
  foreign db(at.file());
  REQUIRE(db.run("INSERT INTO names(text) VALUES ('pay'), ('rare')") == "");
  REQUIRE(db.run("INSERT INTO namespaces(text) VALUES ('elsewhere')") == "");
  REQUIRE(
      db.run(fmt::format(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
          "INSERT INTO runs(run, name, space, workflow, queue, priority, not_before, deadline, "
          "requested, started, close_policy, build, format_level, state, owner, epoch, updated, "
          "key, chain, parent, parent_chain, attention) "
          "SELECT CAST(printf('%016d', i) AS BLOB), 'run_' || i, 1, "
          "(SELECT id FROM names WHERE text = iif(i <= 10, 'rare', 'pay')), 1, 0, 0, 0, i, i, 0, "
          "1, 1, CASE WHEN i <= 5 THEN 1 WHEN i <= 10 THEN 4 ELSE 3 END, 0, 1, i, 'key-' || i, "
          "iif(i IN (2, 3), CAST(printf('%016d', 1) AS BLOB), NULL), "
          "iif(i IN (4, 5), CAST(printf('%016d', 1) AS BLOB), NULL), "
          "iif(i IN (4, 5), CAST(printf('%016d', 1) AS BLOB), NULL), iif(i <= 3, 1, 0) FROM n",
          runs)) == "");
  REQUIRE(
      db.run("INSERT INTO run_tags SELECT id, 'color', iif(id <= 10, 'red', 'blue') FROM runs; "
             "INSERT INTO runs(run, name, space, workflow, queue, priority, not_before, "
             "deadline, requested, started, close_policy, build, format_level, state, owner, "
             "epoch, updated) SELECT CAST(printf('%016d', 0) AS BLOB), 'run_0', id, 1, 1, 0, 0, "
             "0, 1, 1, 0, 1, 1, 3, 0, 1, 1 FROM namespaces WHERE text = 'elsewhere'") == "");
}

struct asked {
  std::string what;
  run_query query;
  std::size_t found;
};

std::vector<asked> questions(std::int64_t runs) {
  const run_query all{.space = "default", .at_most = 50};
  std::vector<asked> some;
  const auto ask = [&](std::string what, std::size_t found, auto change) {
    run_query query = all;
    change(query);
    some.push_back({std::move(what), query, found});
  };
  using state = run_state;
  ask("all", 50, [](run_query&) {});
  ask("a later page", 50, [&](run_query& q) { q.before = id_of(runs / 2); });
  ask("of a namespace with one", 1, [](run_query& q) { q.space = "elsewhere"; });
  ask("completed", 50, [](run_query& q) { q.states = {state::completed}; });
  ask("running", 5, [](run_query& q) { q.states = {state::running}; });
  ask("failed", 5, [](run_query& q) { q.states = {state::failed}; });
  ask("cancelled: none", 0, [](run_query& q) { q.states = {state::cancelled}; });
  ask("failed or open", 10, [](run_query& q) {
    q.states = {state::failed, state::cancelled, state::running, state::compensating};
  });
  ask("failed or completed", 50,
      [](run_query& q) { q.states = {state::completed, state::failed}; });
  ask("workflow", 50, [](run_query& q) { q.workflow = "pay"; });
  ask("workflow of few", 10, [](run_query& q) { q.workflow = "rare"; });
  ask("failed of a workflow: none", 0, [](run_query& q) {
    q.workflow = "pay";
    q.states = {state::failed};
  });
  ask("key", 1, [](run_query& q) { q.key = "key-7"; });
  ask("key of a workflow that failed", 1, [](run_query& q) {
    q.key = "key-7";
    q.workflow = "rare";
    q.states = {state::failed};
  });
  ask("chain", 3, [](run_query& q) { q.chain = id_of(1); });
  ask("parent", 2, [](run_query& q) { q.parent = id_of(1); });
  ask("attention", 3, [](run_query& q) { q.attention = attention::blocked; });
  ask("tag of few", 10, [](run_query& q) { q.tags = {{"color", "red"}}; });
  ask("since", 50, [&](run_query& q) { q.since = runs - 100; });
  return some;
}

}  // namespace

TEST_CASE("a page of a list costs as much with ten times as many runs") {
  const counting while_this_lasts;
  std::vector<std::int64_t> before;
  for (const std::int64_t runs : {2'000, 20'000}) {
    place at;
    fill(at, runs);
    auto journal = *open_sqlite_store(at.address());
    std::size_t i = 0;
    for (const asked& one : questions(runs)) {
      CAPTURE(one.what);
      steps = 0;
      const auto found = journal->list(one.query);
      REQUIRE(found.ok());
      CHECK(found->size() == one.found);
      if (before.size() == i)
        before.push_back(steps);
      else
        CHECK(steps <= before[i] + before[i] / 10);
      ++i;
    }
    steps = 0;
    run_query common{.space = "default", .tags = {{"color", "blue"}}, .at_most = 50};
    CHECK(journal->list(common)->size() == 50);
    CHECK(steps < 20'000);  // most of them look whether it is common
  }
  for (const std::int64_t cost : before) CHECK(cost > 0);
}
