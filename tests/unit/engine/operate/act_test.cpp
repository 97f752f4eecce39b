// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"
#include "racing_store.hpp"

#include "engine/store/status.hpp"

#include <doctest/doctest.h>

namespace {

using namespace fermata::engine;
using namespace fermata::engine::testing;

const act ada{.who = "ada@host (fermata)", .why = "bank is down"};

std::string code_of(const absl::Status& status) { return status.ok() ? "OK" : fer_code_of(status); }

TEST_CASE("a terminated run is nobody's, and its last event says who, why and what was left") {
  bench b;
  const run_id run = b.begin();
  b.write(run,
          {compensation("1", "refund"), step_done("1", "charge"), attempt_failed("2", "ship", 1)});
  b.signal(run, "hurry");

  REQUIRE(terminate(*b.store, run, ada).ok());

  CHECK(b.told(run) ==
        "run_started, compensation_registered 1, step_completed 1, attempt_failed 2, "
        "owner_changed, run_terminated");
  const event end = b.history(run).back();
  CHECK(end.details.ended().by() == ada.who);
  CHECK(end.details.ended().why().message() == ada.why);
  CHECK(end.details.ended().left(0) == "1/refund");
  CHECK(end.details.ended().abandoned(0) == "2");
  CHECK(end.details.ended().unread_size() == 1);
  CHECK(b.row(run).state == run_state::terminated);
  CHECK(b.row(run).owner == 0);
  CHECK(b.store->inbox(run)->empty());
  CHECK(b.findings().empty());
}

TEST_CASE("the owner of a terminated run can't append any more") {
  bench b;
  const run_id run = b.begin();
  REQUIRE(terminate(*b.store, run, ada).ok());

  CHECK(b.write(run, {step_done("1", "charge")}) != landing::landed);
}

TEST_CASE("an unknown and an ended run refuse every act with their codes") {
  bench b;
  const run_id ended_run = b.begin();
  b.write(ended_run, {completed()}, then::end);

  for (const auto& [run, code] : {std::pair{b.make_id(), "FER-1302"}, {ended_run, "FER-1303"}}) {
    CHECK(code_of(terminate(*b.store, run, ada)) == code);
    CHECK(code_of(pause(*b.store, run, ada)) == code);
    CHECK(code_of(resume(*b.store, run, ada)) == code);
  }
}

TEST_CASE("a start request that is terminated becomes an ended run of two events") {
  bench b;
  const run_id run = b.ask(b.request());

  REQUIRE(terminate(*b.store, run, ada).ok());

  CHECK(b.told(run) == "run_started, run_terminated");
  b.claim();
  CHECK(b.row(run).state == run_state::terminated);
  CHECK(b.findings().empty());
}

TEST_CASE("a terminated child tells its parent, once") {
  bench b;
  const run_id parent = b.begin();
  start_request child = b.request("bill");
  child.parent = child.parent_chain = parent;
  child.parent_operation = "1";
  append more;
  more.children.push_back(child);
  b.write(parent, {child_started("1", "bill", child.run)}, then::keep, more);
  b.claim();

  REQUIRE(terminate(*b.store, child.run, ada).ok());

  const std::vector<message> inbox = b.store->inbox(parent).value();
  REQUIRE(inbox.size() == 1);
  CHECK(inbox[0].kind == message_kind::child_ended);
  CHECK(inbox[0].operation == "1");
  CHECK(inbox[0].details.child_end().state() == static_cast<int>(run_state::terminated));
  CHECK(b.findings().empty());
}

TEST_CASE("a paused run isn't claimed until it is resumed") {
  bench b;
  const run_id run = b.begin();

  REQUIRE(pause(*b.store, run, ada).ok());
  REQUIRE(pause(*b.store, run, ada).ok());

  CHECK(b.row(run).attention == attention::paused);
  CHECK(b.row(run).report == "paused by ada@host (fermata): bank is down");
  b.signal(run, "hurry");
  b.claim();
  CHECK(b.row(run).owner == 0);

  REQUIRE(resume(*b.store, run, ada).ok());
  REQUIRE(resume(*b.store, run, ada).ok());

  b.claim();
  CHECK(b.row(run).owner == b.worker);
  CHECK(b.told(run) ==
        "run_started, owner_changed, operator_act pause, owner_changed, "
        "operator_act resume");
  CHECK(b.findings().empty());
}

TEST_CASE("a run that hasn't begun can't be paused, nor one that is blocked resumed") {
  bench b;
  const run_id waiting = b.ask(b.request("unserved"));
  const run_id blocked = b.begin();
  append more;
  more.attention = attention::blocked;
  b.write(blocked, {}, then::park, more);

  CHECK(code_of(pause(*b.store, waiting, ada)) == "FER-1308");
  CHECK(code_of(retry(*b.store, waiting, ada, false).status()) == "FER-1308");
  CHECK(code_of(resume(*b.store, blocked, ada)) == "FER-1308");
}

TEST_CASE("retry clears the attention of an open run, and refuses a healthy or a paused one") {
  bench b;
  const run_id run = b.begin();
  CHECK(code_of(retry(*b.store, run, ada, false).status()) == "FER-1308");
  append more;
  more.attention = attention::quarantined;
  more.report = "step 'ship' takes its process down";
  b.write(run, {}, then::park, more);

  CHECK(code_of(retry(*b.store, run, ada, true).status()) == "FER-1308");
  CHECK(retry(*b.store, run, ada, false).value() == run);

  CHECK(b.row(run).attention == attention::none);
  CHECK(b.row(run).report.empty());
  CHECK(b.told(run) == "run_started, owner_changed, operator_act retry");
  b.claim();
  CHECK(b.row(run).owner == b.worker);
  REQUIRE(pause(*b.store, run, ada).ok());
  CHECK(code_of(retry(*b.store, run, ada, false).status()) == "FER-1308");
}

TEST_CASE("what a rescuer found is journaled, and the run is ready again") {
  bench b;
  const run_id run = b.begin();

  worker_row dead = b.store->workers()->front();
  REQUIRE(journal_blame(*b.store, run, dead,
                        {{.operation = "1", .step = "ship", .attempt = 1, .signal = 11},
                         {.operation = "2", .step = "bill", .attempt = 1, .alone = true}})
              .ok());

  CHECK(b.told(run) == "run_started, owner_changed, attempt_crashed 1, suspicion 2");
  CHECK(b.history(run)[2].details.attempt().signal() == 11);
  CHECK(b.history(run)[2].details.attempt().worker() == dead.id.text());
  CHECK(b.history(run)[3].details.attempt().alone());
  CHECK(b.row(run).owner == 0);
  CHECK(b.store->counts("default")->ready == 1);
  CHECK(journal_blame(*b.store, b.make_id(), dead, {{.operation = "1"}}).ok());
  CHECK(b.findings().empty());
}

TEST_CASE("a death is journaled once, however many rescuers tell it, and whoever has the run now") {
  bench b;
  const run_id run = b.begin();
  const worker_row dead = b.store->workers()->front();
  const std::vector<blame> found = {{.operation = "1", .step = "ship", .attempt = 1, .signal = 11}};
  racing_store raced(*b.store, [&] { REQUIRE(journal_blame(*b.store, run, dead, found).ok()); });
  raced.races = 1;
  REQUIRE(journal_blame(raced, run, dead, found).ok());
  CHECK(b.told(run) == "run_started, owner_changed, attempt_crashed 1");

  b.worker = b.store->register_worker({}).value().row;
  b.claim();
  b.write(run, {timer_set("2", 1)});
  REQUIRE(journal_blame(*b.store, run, dead, found).ok());
  CHECK(b.told(run) == "run_started, owner_changed, attempt_crashed 1, timer_set 2");
}

TEST_CASE("children of an ended parent are told by their close policy") {
  bench b;
  const run_id parent = b.begin();
  std::vector<start_request> children;
  append more;
  std::vector<event> started;
  for (int policy = 0; policy < 3; ++policy) {
    start_request child = b.request("bill");
    child.parent = child.parent_chain = parent;
    child.parent_operation = std::to_string(policy + 1);
    child.close_policy = policy;
    started.push_back(child_started(child.parent_operation, "bill", child.run));
    children.push_back(child);
  }
  more.children = children;
  b.write(parent, started, then::keep, more);
  b.claim();
  b.write(parent, {completed()}, then::end);

  bool again = true;
  while (again) again = close_children(*b.store, 1).value();

  CHECK(b.row(children[0].run).state == run_state::terminated);
  CHECK(b.store->inbox(children[1].run)->size() == 1);
  CHECK(b.store->inbox(children[1].run)->front().details.cancel().by() == "parent");
  CHECK(b.row(children[2].run).state == run_state::running);
  CHECK(b.store->inbox(children[2].run)->empty());
  CHECK(b.store->children_to_close(10)->empty());
}

TEST_CASE("a start request that came too late ends as expired, and its parent hears of it") {
  bench b;
  const run_id parent = b.begin();
  start_request child = b.request("unserved");
  child.not_after = b.store->now() + 5'000'000;
  child.parent = child.parent_chain = parent;
  child.parent_operation = "1";
  append more;
  more.children.push_back(child);
  b.write(parent, {child_started("1", "unserved", child.run)}, then::keep, more);
  REQUIRE(expire_requests(*b.store, 10).ok());
  CHECK(b.row(child.run).state == run_state::waiting_to_start);

  b.time->advance(10'000'000);
  REQUIRE(expire_requests(*b.store, 10).ok());

  CHECK(b.row(child.run).state == run_state::expired);
  CHECK(b.told(child.run) == "run_started, run_expired");
  CHECK(b.store->inbox(parent)->size() == 1);
  CHECK(b.findings().empty());
}

TEST_CASE("an act that loses races tries again, and gives up with a sentence") {
  bench b;
  const run_id run = b.begin();
  racing_store racing(*b.store, [&] { b.write(run, {marker(std::to_string(b.store->now()))}); });

  racing.races = 3;
  REQUIRE(pause(racing, run, ada).ok());
  CHECK(racing.races == 0);
  CHECK(b.row(run).attention == attention::paused);

  racing_store losing(*b.store,
                      [&] { (void)pause(*b.store, run, ada), (void)resume(*b.store, run, ada); });
  losing.races = 1'000;
  CHECK(terminate(losing, run, ada).code() == absl::StatusCode::kAborted);
}

TEST_CASE("an act whose commit landed although it answered an error is done once") {
  bench b;
  const run_id run = b.begin();
  racing_store lossy(*b.store, [] {});

  lossy.lost_answers = 2;
  REQUIRE(pause(lossy, run, ada).ok());
  lossy.lost_answers = 2;
  REQUIRE(terminate(lossy, run, ada).ok());

  CHECK(b.told(run) ==
        "run_started, owner_changed, operator_act pause, owner_changed, "
        "run_terminated");
  const run_id waiting = b.ask(b.request());
  lossy.lost_answers = 2;
  REQUIRE(terminate(lossy, waiting, ada).ok());
  CHECK(b.told(waiting) == "run_started, run_terminated");
}

}  // namespace
