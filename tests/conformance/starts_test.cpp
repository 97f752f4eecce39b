// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fermata::conformance;
using outcome = start_result::outcome;

namespace {

start_request keyed(scene& scene, std::string_view input = "input", std::uint64_t type = 1) {
  start_request what = scene.request();
  what.key = "order-42";
  what.input = text_payload(input, type);
  return what;
}

}  // namespace

TEST_CASE("a start waits as a request until a worker claims it") {
  scene scene;
  start_request what = scene.request();
  what.tags["customer"] = "acme";
  const start_result started = scene.start(what);

  CHECK(started.how == outcome::started);
  CHECK(started.run == what.run);
  CHECK(started.chain == what.chain);
  CHECK_FALSE(started.admitted);
  const run_row waiting = scene.row(what.run);
  CHECK(waiting.state == run_state::waiting_to_start);
  CHECK(waiting.row == 0);
  CHECK(waiting.workflow == "pay");
  CHECK(waiting.tags.at("customer") == "acme");
  const auto request = scene.journal->find_request(what.run);
  REQUIRE(request.ok());
  REQUIRE(request->has_value());
  CHECK((*request)->input.bytes == "input");
  CHECK((*request)->input.type == 1);
  CHECK((*request)->seed == what.seed);
}

TEST_CASE("the claim of a request writes event 1, which carries the request") {
  scene scene;
  start_request what = scene.request();
  what.queue = "";
  what.priority = 3;
  what.tags["customer"] = "acme";
  what.deadline = scene.now() + 60 * second;
  what.key = "order-7";
  const worker_row me = scene.join();
  const claimed run = scene.begin(me, what);

  CHECK(run.fresh);
  CHECK_FALSE(run.mine_before);
  CHECK(run.head.position == 1);
  CHECK(run.run.owner == me.row);
  CHECK(run.run.epoch == 1);
  CHECK(run.run.row != 0);
  CHECK(run.run.state == run_state::running);
  CHECK_FALSE(scene.journal->find_request(what.run)->has_value());
  const auto first = decode(what.run, scene.events(what.run).at(0));
  REQUIRE_MESSAGE(first.ok(), first.status().ToString());
  CHECK(first->kind == event_kind::run_started);
  CHECK(first->name == "pay");
  CHECK(first->value.bytes == "input");
  CHECK(first->details.started().seed() == what.seed);
  CHECK(first->details.started().key() == "order-7");
  CHECK(first->details.started().build() == "build-1");
  const auto timers = scene.journal->timers(what.run);
  REQUIRE(timers.ok());
  REQUIRE(timers->size() == 1);
  CHECK((*timers)[0].purpose == timer_purpose::deadline);
  CHECK((*timers)[0].due == what.deadline);
}

TEST_CASE("the same start again is the same start") {
  scene scene;
  const start_request what = keyed(scene);
  CHECK(scene.start(what).how == outcome::started);
  CHECK(scene.start(what).how == outcome::started);
  CHECK(scene.claim(scene.join()).size() == 1);

  const start_result late = scene.start(what);
  CHECK(late.how == outcome::started);
  CHECK(late.run == what.run);
  CHECK(scene.claim(scene.join()).empty());
  CHECK(scene.events(what.run).size() == 1);
}

TEST_CASE("a bound key and an equal input give the run that has it") {
  scene scene;
  const start_request first = keyed(scene);
  scene.start(first);

  for (const on_duplicate how : {on_duplicate::attach, on_duplicate::restart_if_ended}) {
    const start_result again = scene.start(scene.item(keyed(scene), how));
    CHECK(again.how == outcome::attached);
    CHECK(again.run == first.run);
    CHECK(again.chain == first.chain);
  }
  CHECK(scene.claim(scene.join()).size() == 1);
}

TEST_CASE("a bound key and another input are a conflict") {
  scene scene;
  const start_request first = keyed(scene);
  scene.start(first);

  for (const on_duplicate how : {on_duplicate::attach, on_duplicate::restart_if_ended}) {
    const start_result other = scene.start(scene.item(keyed(scene, "another"), how));
    CHECK(other.how == outcome::conflict);
    CHECK(other.run == first.run);
  }
  CHECK(scene.claim(scene.join()).size() == 1);
}

TEST_CASE("inputs of different types aren't compared: the start attaches") {
  scene scene;
  const start_request first = keyed(scene);
  scene.start(first);

  const start_result other = scene.start(keyed(scene, "another", 2));
  CHECK(other.how == outcome::attached);
  CHECK(other.run == first.run);
}

TEST_CASE("fail refuses a bound key, open or ended, whatever the input") {
  scene scene;
  const start_request first = keyed(scene);
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me, first));

  CHECK(scene.start(scene.item(keyed(scene), on_duplicate::fail)).how == outcome::exists);
  CHECK(run.end() == landing::landed);
  const start_result refused = scene.start(scene.item(keyed(scene, "x"), on_duplicate::fail));
  CHECK(refused.how == outcome::exists);
  CHECK(refused.run == first.run);
  CHECK(scene.claim(me).empty());
}

TEST_CASE("a key stays bound when its run has ended") {
  scene scene;
  const start_request first = keyed(scene);
  writer run(scene, scene.begin(scene.join(), first));
  CHECK(run.end() == landing::landed);

  CHECK(scene.start(keyed(scene)).how == outcome::attached);
  CHECK(scene.start(keyed(scene, "another")).how == outcome::conflict);
  CHECK(scene.start(keyed(scene)).run == first.run);
}

TEST_CASE("restart_if_ended begins a new chain under the key of an ended one") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me, keyed(scene)));
  CHECK(run.end() == landing::landed);

  const start_request next = keyed(scene, "another");
  const start_result started = scene.start(scene.item(next, on_duplicate::restart_if_ended));
  CHECK(started.how == outcome::started);
  CHECK(started.run == next.run);
  const auto bound = scene.journal->find_key("default", "pay", "order-42");
  REQUIRE(bound.ok());
  REQUIRE(bound->size() == 1);
  CHECK((*bound)[0].run == next.run);
  CHECK(scene.start(keyed(scene, "another")).how == outcome::attached);
  CHECK(scene.start(keyed(scene)).how == outcome::conflict);
}

TEST_CASE("a key is bound per workflow and per namespace") {
  scene scene;
  scene.start(keyed(scene));
  start_request other = keyed(scene, "another");
  other.workflow = "ship";
  CHECK(scene.start(other).how == outcome::started);
  start_request elsewhere = keyed(scene, "another");
  elsewhere.space = "tests";
  CHECK(scene.start(elsewhere).how == outcome::started);
}

TEST_CASE("two starts with one key in one batch make one run") {
  scene scene;
  batch both;
  both.starts = {scene.item(keyed(scene)), scene.item(keyed(scene))};
  const auto done = scene.journal->commit(std::move(both));

  REQUIRE(done.ok());
  CHECK(done->starts[0].how == outcome::started);
  CHECK(done->starts[1].how == outcome::attached);
  CHECK(done->starts[1].run == done->starts[0].run);
}

TEST_CASE("of starts tied together none is written when one is refused") {
  scene scene;
  const start_request first = keyed(scene);
  scene.start(first);
  const worker_row me = scene.join();

  batch tied;
  tied.worker = me.row;
  start_request fresh = keyed(scene);
  fresh.key = "order-43";
  tied.starts = {scene.item(fresh), scene.item(scene.request()), scene.item(keyed(scene, "other")),
                 scene.item(keyed(scene), on_duplicate::fail), scene.item(scene.request())};
  for (std::size_t i = 0; i < 3; ++i) tied.starts[i].with_next = true;
  tied.starts[1].admit = scene.first_event(tied.starts[1].request);
  const run_id apart = tied.starts[4].request.run;
  const auto done = scene.journal->commit(std::move(tied));

  REQUIRE(done.ok());
  CHECK(done->starts[0].how == outcome::withheld);
  CHECK(done->starts[1].how == outcome::withheld);
  CHECK_FALSE(done->starts[1].admitted);
  CHECK(done->starts[2].how == outcome::conflict);
  CHECK(done->starts[2].run == first.run);
  CHECK(done->starts[3].how == outcome::exists);
  CHECK(done->starts[4].how == outcome::started);
  CHECK(scene.journal->find_key("default", "pay", "order-43")->empty());
  const auto runs = scene.claim(me);
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].run.run == first.run);
  CHECK(runs[1].run.run == apart);
}

TEST_CASE("starts tied together are all written when none is refused") {
  scene scene;
  const start_request first = keyed(scene);
  scene.start(first);

  batch tied;
  start_request fresh = keyed(scene);
  fresh.key = "order-43";
  start_request same = fresh;
  same.run = same.chain = scene.new_run();
  tied.starts = {scene.item(keyed(scene)), scene.item(fresh), scene.item(same)};
  tied.starts[0].with_next = tied.starts[1].with_next = true;
  const batch again = tied;
  const auto done = scene.journal->commit(std::move(tied));

  REQUIRE(done.ok());
  CHECK(done->starts[0].how == outcome::attached);
  CHECK(done->starts[0].run == first.run);
  CHECK(done->starts[1].how == outcome::started);
  CHECK(done->starts[2].how == outcome::attached);
  CHECK(done->starts[2].run == fresh.run);
  const auto repeated = scene.journal->commit(batch(again));
  REQUIRE(repeated.ok());
  CHECK(repeated->starts[1].how == outcome::started);
  CHECK(scene.claim(scene.join()).size() == 2);
}

TEST_CASE("a key twice among starts tied together, with two inputs, refuses them all") {
  scene scene;

  batch tied;
  tied.starts = {scene.item(keyed(scene)), scene.item(keyed(scene, "another"))};
  tied.starts[0].with_next = true;
  const auto done = scene.journal->commit(std::move(tied));

  REQUIRE(done.ok());
  CHECK(done->starts[0].how == outcome::withheld);
  CHECK(done->starts[1].how == outcome::conflict);
  CHECK(done->starts[1].run.empty());
  CHECK(scene.claim(scene.join()).empty());
}

TEST_CASE("an admitted start is the worker's at once, without a request") {
  scene scene;
  const worker_row me = scene.join();
  batch admitting;
  admitting.worker = me.row;
  admitting.starts.push_back(scene.item(keyed(scene)));
  start_item& item = admitting.starts[0];
  item.request.deadline = scene.now() + 9 * second;
  item.admit = scene.first_event(item.request, "build-7");
  item.build = "build-7";
  const encoded_event first = *item.admit;
  const run_id id = item.request.run;
  const batch again = admitting;
  const auto done = scene.journal->commit(std::move(admitting));

  REQUIRE(done.ok());
  CHECK(done->starts[0].how == outcome::started);
  CHECK(done->starts[0].admitted);
  const run_row row = scene.row(id);
  CHECK(done->starts[0].row == row.row);
  CHECK(row.owner == me.row);
  CHECK(row.epoch == 1);
  CHECK(row.build == "build-7");
  CHECK(row.state == run_state::running);
  CHECK(scene.journal->timers(id)->size() == 1);
  REQUIRE(scene.events(id).size() == 1);
  CHECK(scene.events(id)[0].chain == first.chain);
  CHECK(scene.claim(me).empty());
  writer run(scene, row);
  CHECK(run.land(run.next({step_completed("1")})) == landing::landed);

  const auto repeated = scene.journal->commit(batch(again));
  REQUIRE(repeated.ok());
  CHECK(repeated->starts[0].how == outcome::started);
  CHECK(repeated->starts[0].admitted);
  CHECK(scene.events(id).size() == 2);
}

TEST_CASE("a start isn't claimed before its time") {
  scene scene;
  const worker_row me = scene.join();
  start_request later = scene.request();
  later.not_before = scene.now() + 10 * second;
  scene.start(later);

  const batch_result early = scene.claim(me, scene.wants());
  CHECK(early.claimed.empty());
  CHECK(early.next_not_before == later.not_before);

  scene.pass(10 * second);
  const batch_result due = scene.claim(me, scene.wants());
  CHECK(due.claimed.size() == 1);
  CHECK(due.next_not_before == 0);
}

TEST_CASE("a start that wasn't begun in time is left to expire") {
  scene scene;
  const worker_row me = scene.join();
  start_request brief = scene.request();
  brief.not_after = scene.now() + second;
  scene.start(brief);
  start_request patient = scene.request();
  patient.not_after = scene.now() + 100 * second;
  scene.start(patient);
  CHECK(scene.journal->overdue_requests(scene.now(), 10)->empty());

  scene.pass(2 * second);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == patient.run);
  const auto overdue = scene.journal->overdue_requests(scene.now(), 10);
  REQUIRE(overdue.ok());
  REQUIRE(overdue->size() == 1);
  CHECK(scene.journal->needs_care(me.row)->overdue);
  CHECK((*overdue)[0].run == brief.run);
  CHECK((*overdue)[0].input.bytes == "input");

  event expired = plain(event_kind::run_expired);
  expired.position = 1;
  expired.at = scene.now();
  const encoded_event only = encode(brief.run, {}, expired, std::string(16, 'x'));
  run_changes changes;
  changes.state = run_state::expired;
  changes.ended = scene.now();
  const auto ended =
      scene.journal->end_request(brief.run, {only}, changes, {scene.signal(patient.chain)});
  REQUIRE(ended.ok());
  CHECK(*ended);
  CHECK(scene.row(brief.run).state == run_state::expired);
  CHECK(scene.events(brief.run).size() == 1);
  CHECK(scene.journal->inbox(patient.chain)->size() == 1);
  CHECK(scene.journal->overdue_requests(scene.now(), 10)->empty());
  CHECK(scene.send(scene.signal(brief.chain)).how == message_result::outcome::ended);
}

TEST_CASE("a request that was claimed meanwhile isn't ended") {
  scene scene;
  const start_request what = scene.request();
  scene.begin(scene.join(), what);

  const encoded_event other = scene.first_event(what);
  const auto ended = scene.journal->end_request(what.run, {other}, {}, {scene.signal(what.chain)});
  REQUIRE(ended.ok());
  CHECK_FALSE(*ended);
  CHECK(scene.journal->inbox(what.chain)->empty());
  CHECK(scene.row(what.run).state == run_state::running);
}

TEST_CASE("a copy continues its chain: unowned, ready, and the key names it") {
  scene scene;
  const worker_row me = scene.join();
  const start_request first = keyed(scene);
  writer run(scene, scene.begin(me, first));
  CHECK(run.end(event_kind::run_failed) == landing::landed);

  start_request copy = keyed(scene);
  copy.chain = first.chain;
  copy.origin = first.run;
  copy.previous_run = first.run;
  const encoded_event start = scene.first_event(copy);
  run_changes changes;
  changes.state = run_state::running;
  CHECK(scene.journal->begin_copy(copy, {start}, changes, {}).ok());
  CHECK(scene.journal->begin_copy(copy, {start}, changes, {}).ok());

  CHECK(scene.row(first.run).next_run == copy.run);
  CHECK(scene.journal->find_chain(first.chain)->run == copy.run);
  CHECK(scene.journal->find_key("default", "pay", "order-42")->at(0).run == copy.run);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == copy.run);
  CHECK_FALSE(taken[0].fresh);
  CHECK(scene.send(scene.signal(first.chain)).run == copy.run);
}

TEST_CASE(
    "a chain whose runs have all ended stands for its last one, however their ids are ordered") {
  scene scene;
  const worker_row me = scene.join();
  const start_request first = scene.request();
  writer run(scene, scene.begin(me, first));
  CHECK(run.end(event_kind::run_failed) == landing::landed);
  run_id last = first.run;
  for (int again = 0; again < 8; ++again) {  // time stands still: their ids are in no order
    start_request copy = scene.request();
    copy.chain = first.chain;
    copy.origin = first.run;
    copy.previous_run = last;
    run_changes changes;
    changes.state = run_state::running;
    CHECK(scene.journal->begin_copy(copy, {scene.first_event(copy)}, changes, {}).ok());
    last = copy.run;
    const auto taken = scene.claim(me);
    REQUIRE(taken.size() == 1);
    writer retried(scene, taken[0]);
    CHECK(retried.end(event_kind::run_failed) == landing::landed);
    CHECK(scene.journal->find_chain(first.chain)->run == last);
  }
}

TEST_CASE("a copy whose key names another chain by now isn't begun") {
  scene scene;
  const start_request first = keyed(scene);
  writer run(scene, scene.begin(scene.join(), first));
  CHECK(run.end(event_kind::run_failed) == landing::landed);
  const start_request again = keyed(scene);
  CHECK(scene.start(scene.item(again, on_duplicate::restart_if_ended)).how ==
        start_result::outcome::started);

  start_request copy = keyed(scene);
  copy.chain = first.chain;
  copy.previous_run = first.run;
  run_changes changes;
  changes.state = run_state::running;
  CHECK(scene.journal->begin_copy(copy, {scene.first_event(copy)}, changes, {}).code() ==
        absl::StatusCode::kFailedPrecondition);

  CHECK_FALSE(scene.journal->find_run(copy.run).ok());
  CHECK(scene.journal->find_key("default", "pay", "order-42")->at(0).run == again.run);
}

TEST_CASE("a copy isn't begun while a child that is in flight in it has ended") {
  scene scene;
  const worker_row me = scene.join();
  const start_request first = scene.request();
  writer run(scene, scene.begin(me, first));
  CHECK(run.end(event_kind::run_failed) == landing::landed);
  writer child(scene, scene.begin(me, scene.request()));
  writer sister(scene, scene.begin(me, scene.request()));
  CHECK(sister.end(event_kind::run_completed) == landing::landed);
  const start_request waiting = scene.request();
  CHECK(scene.start(scene.item(waiting)).how == start_result::outcome::started);

  start_request copy = scene.request();
  copy.chain = first.chain;
  copy.previous_run = first.run;
  run_changes changes;
  changes.state = run_state::running;
  const encoded_event start = scene.first_event(copy);
  CHECK(scene.journal->begin_copy(copy, {start}, changes, {child.chain, sister.chain}).code() ==
        absl::StatusCode::kAborted);
  CHECK_FALSE(scene.journal->find_run(copy.run).ok());

  CHECK(scene.journal->begin_copy(copy, {start}, changes, {child.chain, waiting.run}).ok());
  CHECK(scene.journal->find_chain(first.chain)->run == copy.run);
  // It was begun: what its children have done since makes no difference.
  CHECK(child.end(event_kind::run_completed) == landing::landed);
  CHECK(scene.journal->begin_copy(copy, {start}, changes, {child.chain}).ok());
}

TEST_CASE("at most one run of a chain is open") {
  scene scene;
  const start_request first = scene.request();
  scene.begin(scene.join(), first);
  start_request copy = scene.request();
  copy.chain = first.chain;

  CHECK(scene.journal->begin_copy(copy, {scene.first_event(copy)}, {}, {}).code() ==
        absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("a start finds the chain of its key beside an append to it") {
  scene scene;
  const worker_row worker = scene.join();
  start_request first = scene.request();
  first.key = "order-42";
  writer run(scene, scene.begin(worker, first));
  append looks = run.next({step_completed("1")});
  looks.looked = true;
  start_request again = scene.request();
  again.key = "order-42";

  batch both;
  both.worker = worker.row;
  both.appends = {looks};
  both.starts = {scene.item(again)};
  const auto done = scene.journal->commit(std::move(both));

  REQUIRE(done.ok());
  CHECK(done->appends[0].how == landing::landed);
  CHECK(done->starts[0].how == start_result::outcome::attached);
  CHECK(done->starts[0].run == run.run);
}
