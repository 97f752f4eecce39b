// SPDX-License-Identifier: Apache-2.0
// What a claim reads to find due timers, however many others are due before.
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <string>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

constexpr int many = 20'000;

/// So many runs that nobody has sleep, and were due before any other; its session has ended, too.
void let_sleep(const scene& at, beside& on, std::string_view workflow) {
  std::string session;
  {
    beside writing(at);
    writing.execute(
        fmt::format("INSERT INTO names(text) SELECT '{0}' WHERE NOT EXISTS(SELECT 1 FROM names "
                    "WHERE text = '{0}')",
                    workflow));
    writing.execute(fmt::format(
        "INSERT INTO runs(run, space, workflow, queue, priority, not_before, deadline, requested, "
        "started, close_policy, build, format_level, state, owner, epoch, updated) "
        "SELECT lpad(to_hex(i), 32, '0')::uuid, 1, (SELECT id FROM names WHERE text = '{}'), "
        "(SELECT queue FROM runs LIMIT 1), 0, 0, 0, i, i, 0, 1, 1, 1, 0, 1, i "
        "FROM generate_series(1, {}) i",
        workflow, many));
    writing.execute(
        fmt::format("INSERT INTO timers(space, due, run, operation, purpose) SELECT 1, i, "
                    "lpad(to_hex(i), 32, '0')::uuid, '1', 0 FROM generate_series(1, {}) i",
                    many));
    session = writing.text("SELECT pg_backend_pid()");
  }
  on.wait_for("SELECT count(*) FROM pg_stat_activity WHERE pid = " + session, "0");
}

/// Entries of indexes; told when a session has ended.
std::int64_t entries_read(beside& on) {
  return std::stoll(
      on.text("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = "
              "current_schema() AND relname IN ('runs', 'timers')"));
}

/// What it reads by a store of its own, whose sessions end.
std::int64_t cost_of(scene& at, beside& on, const std::function<void(store&)>& work) {
  const std::int64_t before = entries_read(on);
  and_wait(on, [&] {
    const auto journal = at.factory->reopen();
    work(*journal);
  });
  return entries_read(on) - before;
}

}  // namespace

TEST_CASE("a worker's own due timers are found behind any number of others'") {
  scene at;
  beside on(at);
  const worker_row me = at.join();
  writer run(at, at.begin(me));
  REQUIRE(run.land(run.next({timer_set("1", at.now() + second)})) == landing::landed);
  let_sleep(at, on, "pay");
  at.pass(2 * second);
  batch asking;
  asking.worker = me.row;
  asking.claim = at.wants();
  asking.claim->new_at_most = 0;

  const std::int64_t cost = cost_of(at, on, [&](store& journal) {
    const auto found = journal.commit(std::move(asking));
    REQUIRE(found.ok());
    CHECK((runs_of(found->claimed) == std::vector<run_id>{run.run}));
    CHECK(found->more_ready);
  });

  CHECK(cost < many / 2);
}

TEST_CASE("claims don't walk past due timers of what nobody serves again and again") {
  scene at;
  beside on(at);
  const worker_row me = at.join();
  writer run(at, at.begin(me));
  append parking = run.next({timer_set("1", at.now() + second)});
  parking.then = then::park;
  REQUIRE(run.result(parking).parked);
  let_sleep(at, on, "gone");
  at.pass(2 * second);

  const std::int64_t cost = cost_of(at, on, [&](store& journal) {
    std::size_t taken = 0;
    for (int i = 0; i < 20; ++i) {
      batch both;
      both.worker = me.row;
      both.starts.push_back(at.item(at.request()));
      both.starts.push_back(at.item(at.request()));
      both.claim = at.wants(1);
      const auto found = journal.commit(std::move(both));
      REQUIRE(found.ok());
      taken += found->claimed.size();
    }
    CHECK(taken == 20);
  });

  CHECK(cost < 10 * many);
}

}  // namespace fermata::postgres_tests
