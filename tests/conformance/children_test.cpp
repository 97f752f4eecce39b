// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fermata::conformance;

namespace {

start_request child_of(scene& scene, const writer& parent, int close_policy = 0) {
  start_request child = scene.request("ship");
  child.parent = parent.run;
  child.parent_chain = parent.chain;
  child.parent_operation = "1";
  child.close_policy = close_policy;
  return child;
}

append starting(writer& parent, const std::vector<start_request>& children) {
  append what = parent.next({plain(event_kind::child_started)});
  what.children = children;
  return what;
}

/// What a child tells its parent's chain when it ends.
append ending_and_telling(scene& scene, writer& child, const chain_id& parent) {
  append what = child.ending();
  message told = scene.signal(parent, "");
  told.kind = message_kind::child_ended;
  told.operation = "1";
  told.sender = child.run;
  what.messages = {told};
  return what;
}

}  // namespace

TEST_CASE("a child is requested in the transaction of its parent's event") {
  scene scene;
  const worker_row me = scene.join();
  writer parent(scene, scene.begin(me));
  const start_request child = child_of(scene, parent);
  append start = starting(parent, {child});
  append refused = start;
  refused.epoch += 1;
  CHECK(parent.land(refused) == landing::not_owner);
  CHECK_FALSE(scene.journal->find_run(child.run).ok());

  CHECK(parent.land(start) == landing::landed);
  CHECK(scene.row(child.run).state == run_state::waiting_to_start);
  CHECK(scene.row(child.run).parent == parent.run);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == child.run);
  CHECK(taken[0].run.parent_chain == parent.chain);
  CHECK(taken[0].run.parent_operation == "1");

  CHECK(parent.land(start) == landing::landed);
  CHECK(scene.claim(me).empty());
}

TEST_CASE("a child whose run exists already is left alone") {
  scene scene;
  const worker_row me = scene.join();
  writer parent(scene, scene.begin(me));
  const start_request child = child_of(scene, parent);
  CHECK(parent.land(starting(parent, {child})) == landing::landed);
  writer running(scene, scene.claim(me).at(0));
  CHECK(running.end() == landing::landed);

  CHECK(parent.land(starting(parent, {child})) == landing::landed);
  CHECK(scene.claim(me).empty());
  CHECK(scene.row(child.run).state == run_state::completed);
}

TEST_CASE("a child's key is bound, and found") {
  scene scene;
  writer parent(scene, scene.begin(scene.join()));
  start_request child = child_of(scene, parent);
  child.key = "parcel-1";
  CHECK(parent.land(starting(parent, {child})) == landing::landed);

  const auto bound = scene.journal->find_key("default", "ship", "parcel-1");
  REQUIRE(bound.ok());
  REQUIRE(bound->size() == 1);
  CHECK((*bound)[0].run == child.run);
  start_request other = scene.request("ship");
  other.key = "parcel-1";
  CHECK(scene.start(other).how == start_result::outcome::attached);
}

TEST_CASE("a child's end and its message to the parent are one transaction") {
  scene scene;
  const worker_row me = scene.join();
  writer parent(scene, scene.begin(me));
  const start_request request = child_of(scene, parent);
  append start = starting(parent, {request});
  start.then = then::park;
  CHECK(parent.result(start).parked);
  writer child(scene, scene.claim(me).at(0));

  const append_result told = child.result(ending_and_telling(scene, child, parent.chain));
  CHECK(told.how == landing::landed);
  CHECK(told.undeliverable.empty());
  CHECK(scene.row(child.run).state == run_state::completed);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == parent.run);
  REQUIRE(taken[0].inbox.size() == 1);
  CHECK(taken[0].inbox[0].kind == message_kind::child_ended);
  CHECK(taken[0].inbox[0].operation == "1");
  CHECK(taken[0].inbox[0].sender == child.run);
}

TEST_CASE("a child's end that is refused tells nobody") {
  scene scene;
  const worker_row me = scene.join();
  writer parent(scene, scene.begin(me));
  CHECK(parent.land(starting(parent, {child_of(scene, parent)})) == landing::landed);
  writer child(scene, scene.claim(me).at(0));
  const append end = ending_and_telling(scene, child, parent.chain);
  scene.send(scene.signal(child.chain));

  CHECK(child.land(end) == landing::inbox_not_empty);
  CHECK(scene.journal->inbox(parent.chain)->empty());
}

TEST_CASE("a child that outlives its parent's chain can't deliver, and ends anyway") {
  scene scene;
  const worker_row me = scene.join();
  writer parent(scene, scene.begin(me));
  CHECK(parent.land(starting(parent, {child_of(scene, parent)})) == landing::landed);
  writer child(scene, scene.claim(me).at(0));
  CHECK(parent.end() == landing::landed);

  const append_result result = child.result(ending_and_telling(scene, child, parent.chain));
  CHECK(result.how == landing::landed);
  CHECK(result.undeliverable.size() == 1);
}

TEST_CASE("an end lists its open children by policy, begun or not, until they are closed") {
  scene scene;
  const worker_row me = scene.join();
  writer parent(scene, scene.begin(me));
  const start_request begun = child_of(scene, parent, 0);
  const start_request done = child_of(scene, parent, 0);
  CHECK(parent.land(starting(parent, {begun, done})) == landing::landed);
  for (const claimed& one : scene.claim(me)) {
    writer child(scene, one);
    if (child.run == done.run) CHECK(child.end() == landing::landed);
  }
  const start_request waiting = child_of(scene, parent, 1);
  const start_request abandoned = child_of(scene, parent, 2);
  CHECK(parent.land(starting(parent, {waiting, abandoned})) == landing::landed);
  CHECK(scene.journal->children_to_close(10)->empty());

  CHECK(parent.end() == landing::landed);
  const auto listed = scene.journal->children_to_close(10);
  REQUIRE(listed.ok());
  REQUIRE(listed->size() == 2);
  CHECK(scene.journal->needs_care(me.row)->closing);
  const auto has = [&](const run_id& id) {
    return std::ranges::find(*listed, id, &run_row::run) != listed->end();
  };
  CHECK(has(begun.run));
  CHECK(has(waiting.run));
  for (const run_row& row : *listed) CHECK(row.close_policy == (row.run == begun.run ? 0 : 1));
  CHECK(scene.journal->children_to_close(1)->size() == 1);

  CHECK(scene.journal->closed({begun.run}).ok());
  CHECK((runs_of(*scene.journal->children_to_close(10)) == std::vector<run_id>{waiting.run}));
  CHECK(scene.journal->closed({waiting.run}).ok());
  CHECK(scene.journal->children_to_close(10)->empty());
}

TEST_CASE("a child that ended by itself needn't be closed any more") {
  scene scene;
  const worker_row me = scene.join();
  writer parent(scene, scene.begin(me));
  CHECK(parent.land(starting(parent, {child_of(scene, parent)})) == landing::landed);
  writer child(scene, scene.claim(me).at(0));
  CHECK(parent.end() == landing::landed);
  CHECK(child.end() == landing::landed);

  CHECK(scene.journal->children_to_close(10)->empty());
}

TEST_CASE("a continuation takes the chain, its key and its children over") {
  scene scene;
  const worker_row me = scene.join();
  start_request first = scene.request();
  first.key = "order-42";
  writer run(scene, scene.begin(me, first));
  CHECK(run.land(starting(run, {child_of(scene, run)})) == landing::landed);
  start_request next = scene.request();
  next.chain = first.chain;
  next.key = first.key;
  next.previous_run = first.run;
  append end = run.ending(event_kind::run_continued);
  end.children = {next};
  CHECK(run.land(end) == landing::landed);

  CHECK(scene.journal->children_to_close(10)->empty());
  CHECK(scene.row(first.run).state == run_state::continued);
  CHECK(scene.row(first.run).next_run == next.run);
  CHECK(scene.journal->find_chain(first.chain)->run == next.run);
  CHECK(scene.journal->find_key("default", "pay", "order-42")->at(0).run == next.run);
  CHECK(scene.send(scene.signal(first.chain)).how == message_result::outcome::accepted);
  std::vector<claimed> taken = scene.claim(me);
  const auto continued =
      std::ranges::find_if(taken, [&](const claimed& one) { return one.run.run == next.run; });
  REQUIRE(continued != taken.end());
  CHECK(continued->inbox.size() == 1);
}
