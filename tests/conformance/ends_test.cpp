// SPDX-License-Identifier: Apache-2.0
#include "engine/store/status.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace fermata::engine;
using namespace fermata::conformance;

namespace {

/// The chain's end as it is told; empty: it goes on, or isn't known.
std::optional<chain_ends::end> end_of(scene& scene, const chain_id& chain) {
  auto found = scene.journal->ends_of({chain});
  REQUIRE(found.ok());
  CHECK(found->unknown.empty());
  if (found->ended.empty()) return std::nullopt;
  CHECK(found->ended.size() == 1);
  CHECK(found->ended[0].chain == chain);
  return found->ended[0];
}

start_request next_of(scene& scene, const start_request& before) {
  start_request next = scene.request();
  next.chain = before.chain;
  next.origin = before.origin;
  next.previous_run = before.run;
  return next;
}

}  // namespace

TEST_CASE("a chain has ended with its run's last event") {
  scene scene;
  const worker_row me = scene.join();
  const start_request what = scene.request();
  writer run(scene, scene.begin(me, what));
  CHECK(run.land(run.next({step_completed("1")})) == landing::landed);
  CHECK_FALSE(end_of(scene, what.chain));

  CHECK(run.end(event_kind::run_failed) == landing::landed);

  const auto end = end_of(scene, what.chain);
  REQUIRE(end);
  CHECK(end->run == what.run);
  const encoded_event last = scene.events(what.run).back();
  CHECK(end->last.kind == event_kind::run_failed);
  CHECK(end->last.position == last.position);
  CHECK(end->last.chain == last.chain);
  CHECK(end->last.value == last.value);
  CHECK(end->last.details == last.details);
}

TEST_CASE("of many chains those are told that have ended, and those that nobody knows") {
  scene scene;
  const worker_row me = scene.join();
  std::vector<chain_id> all, over;
  for (int i = 0; i < 5; ++i) {
    const start_request what = scene.request();
    writer run(scene, scene.begin(me, what));
    all.push_back(what.chain);
    if (i % 2 == 0) continue;
    CHECK(run.end() == landing::landed);
    over.push_back(what.chain);
  }
  const start_request waits = scene.request();
  CHECK(scene.start(waits).how == start_result::outcome::started);
  all.push_back(waits.chain);
  const chain_id unknown = scene.new_run();
  all.push_back(unknown);

  const auto found = scene.journal->ends_of(all);

  REQUIRE(found.ok());
  std::vector<chain_id> told;
  for (const chain_ends::end& one : found->ended) told.push_back(one.chain);
  std::ranges::sort(told);
  std::ranges::sort(over);
  CHECK(told == over);
  CHECK(found->unknown == std::vector{unknown});
  CHECK(scene.journal->ends_of({})->ended.empty());
}

TEST_CASE("a chain that continues anew hasn't ended before its last run has") {
  scene scene;
  const worker_row me = scene.join();
  const start_request first = scene.request();
  writer run(scene, scene.begin(me, first));
  const start_request next = next_of(scene, first);
  append end = run.ending(event_kind::run_continued);
  end.children = {next};
  CHECK(run.land(end) == landing::landed);
  CHECK_FALSE(end_of(scene, first.chain));  // it waits to begin

  writer later(scene, scene.claim(me).at(0));
  CHECK_FALSE(end_of(scene, first.chain));
  CHECK(later.end() == landing::landed);

  const auto over = end_of(scene, first.chain);
  REQUIRE(over);
  CHECK(over->run == next.run);
  CHECK(over->last.kind == event_kind::run_completed);
  // It is the chain that is named, not one of its runs.
  const auto by_run = scene.journal->ends_of({next.run});
  REQUIRE(by_run.ok());
  CHECK(by_run->ended.empty());
  CHECK(by_run->unknown == std::vector<chain_id>{next.run});
}

TEST_CASE("a chain that was retried goes on, and ends with the copy") {
  scene scene;
  const worker_row me = scene.join();
  const start_request first = scene.request();
  writer run(scene, scene.begin(me, first));
  CHECK(run.end(event_kind::run_failed) == landing::landed);
  start_request copy = next_of(scene, first);
  copy.origin = first.run;
  run_changes changes;
  changes.state = run_state::running;
  CHECK(scene.journal->begin_copy(copy, {scene.first_event(copy)}, changes, {}).ok());
  CHECK_FALSE(end_of(scene, first.chain));

  writer retried(scene, scene.claim(me).at(0));
  CHECK(retried.end() == landing::landed);

  const auto over = end_of(scene, first.chain);
  REQUIRE(over);
  CHECK(over->run == copy.run);
}
