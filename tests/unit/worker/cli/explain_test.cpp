// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/cli/prepared.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <tuple>

using namespace fermata::cli;
namespace json = boost::json;

namespace {

struct answer {
  std::string reason, sentence, evidence, next, advice;
};

answer explained(prepared& p, const std::string& run) {
  const ran shown = p.call({"explain", run, "-o", "json", "--time", "relative"});
  REQUIRE_MESSAGE(shown.code == 0, shown.err);
  const json::object all = json::parse(shown.out).as_object();
  return {std::string(all.at("reason").as_string()), std::string(all.at("sentence").as_string()),
          json::serialize(all.at("evidence")), json::serialize(all.at("next")),
          json::serialize(all.at("advice"))};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A worker has begun order-42.
struct begun : prepared {
  begun() : worker(join({"place_order"})), run(ask("place_order", "order-42")) { claim(worker); }
  worker_row worker;
  run_id run;
};

}  // namespace

TEST_CASE("a run that no worker could take says that none is alive") {
  prepared p;
  p.ask("place_order", "order-42");
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "no_worker");
  CHECK(why.sentence == "order-42 waits for a worker: none is alive on this journal.");
}

TEST_CASE("a workflow that no live worker serves is named, with what was meant") {
  prepared p;
  p.join({"place_order"});
  p.ask("place_oder", "order-42");
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "workflow_not_served");
  CHECK(has(why.evidence, "did you mean 'place_order'"));
}

TEST_CASE("when one of two workers leaves, the other one's workflows are still served") {
  prepared p;
  p.join({"place_order"});
  const worker_row leaves = p.join({"place_order"});
  CHECK(p.journal->leave(leaves.row).ok());
  p.ask("place_order", "order-42");
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "queued");
  const ran status = p.call({"status"});
  CHECK_MESSAGE(has(status.out, "place_order"), status.out);
}

TEST_CASE("a run that begins later says when") {
  prepared p;
  start_request later = p.request("place_order", "order-42");
  later.not_before = p.journal->now() + 7200 * second;
  p.ask(later);
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "not_before");
  CHECK(why.sentence == "order-42 begins in 2h, as its start asked for.");
}

TEST_CASE("a run in a queue that nobody takes from names the queue") {
  prepared p;
  p.join({"place_order"});
  start_request elsewhere = p.request("place_order", "order-42");
  elsewhere.queue = "gpu";
  p.ask(elsewhere);
  p.pass(180 * second);
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "queued");
  CHECK(has(why.sentence, "queue 'gpu' for 3m"));
  CHECK(has(why.advice, "--queue gpu"));
  CHECK(has(why.next, "[\"fermata status"));
}

TEST_CASE("a run that waits for a signal says which, since when, how long, and how to send it") {
  begun p;
  p.append(p.run, {waits_for("3", "reviewed", p.journal->now() + 7200 * second)}, then::park);
  p.pass(60 * second);
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "waits_for_signal");
  CHECK(why.sentence ==
        "order-42 waits for signal 'reviewed' for 1m, at most for another 2h (orders.cpp:25).");
  CHECK(has(why.advice, "fermata signal order-42 reviewed [JSON]"));
  CHECK(why.next == "[]");
}

TEST_CASE("a run that sleeps says until when") {
  begun p;
  p.append(p.run, {sleeps("3", p.journal->now() + 7200 * second)}, then::park);
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "sleeps");
  CHECK(has(why.sentence, "sleeps for another 2h"));
}

TEST_CASE("a step that is retried says which attempt comes when, and the last error") {
  begun p;
  p.append(
      p.run,
      {attempt_failed("3", "ship_parcel", 2, "no pickup today", p.journal->now() + 90 * second)},
      then::park, "step 'ship_parcel', attempt 3 of 5");
  const answer why = explained(p, "order-42");

  CHECK(has(why.sentence, "retries step 'ship_parcel' (orders.cpp:31): attempt 3 comes in 2m"));
  CHECK(has(why.evidence, "carrier_down: no pickup today"));
  CHECK(has(why.evidence, "attempt 3 of 5"));
}

TEST_CASE("a run whose worker stopped renewing names the worker and its process") {
  begun p;
  CHECK(p.journal->renew(p.worker.row, p.journal->boot_now() + second).ok());
  p.pass(60 * second);
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "lease_over");
  CHECK(has(why.sentence, "stopped renewing 59s ago"));
  CHECK(has(why.evidence, "process 4711 on host-1"));
}

TEST_CASE("a run that its worker works on now is no trouble") {
  begun p;
  p.append(p.run, {step_done("1", "reserve_stock", "{}", "{}")});
  const answer why = explained(p, "order-42");

  CHECK(why.reason == "running");
  CHECK(has(why.sentence, "the last event was step 'reserve_stock'"));
}

TEST_CASE(
    "blocked, quarantined and a failed compensation are told with their report and the way out") {
  const std::tuple<attention, const char*, const char*> all[] = {
      {attention::blocked, "blocked", "code has changed"},
      {attention::quarantined, "quarantined", "took its worker down"},
      {attention::needs_attention, "needs_attention", "a compensation failed"}};
  for (const auto& [why, reason, words] : all) {
    CAPTURE(reason);
    begun p;
    p.append(p.run, {}, then::park, "", why, "position 3: step 'charge_card' became 'charge'");
    const answer told = explained(p, "order-42");
    CHECK(told.reason == reason);
    CHECK(has(told.sentence, words));
    CHECK(has(told.evidence, "position 3"));
    CHECK(has(told.next, "fermata retry order-42"));
  }
}

TEST_CASE("a signal that can't be read is named, and not called changed code") {
  begun p;
  p.append(
      p.run, {signal_came("reviewed", R"({"approved":"yes"})")}, then::park, "", attention::blocked,
      "run r, after position 2: the result of signal 'reviewed' can't be read: .approved isn't "
      "true or false [FER-1201]; deploy a build whose types can read what is recorded");
  const answer told = explained(p, "order-42");

  CHECK(has(told.sentence, "signal 'reviewed' at position 2 can't be read"));
  CHECK_FALSE(has(told.sentence, "changed"));
  CHECK(has(told.next, "fermata terminate order-42"));
}

TEST_CASE("what has compensated is offered a start over, since a plain retry is refused") {
  begun p;
  p.append(p.run, {step_done("c.1", "release_stock", "{}", "null"), run_failed("no", "no")},
           then::end);

  const answer told = explained(p, "order-42");
  CHECK(has(told.next, "fermata retry order-42 --from-start"));
  CHECK(has(p.call({"show", "order-42"}).out, "fermata retry order-42 --from-start"));
}

TEST_CASE("next commands keep the journal and the namespace they are about") {
  begun p;
  p.append(p.run, {run_failed("no", "no")}, then::end);

  const answer told = explained(p, "order-42");
  CHECK(has(told.next, "fermata retry order-42 -j " + p.address));
}

TEST_CASE("show and explain count the crashes of one operation alike") {
  begun p;
  const auto crashed = [](std::string operation, std::string step) {
    event what = attempt_failed(std::move(operation), std::move(step), 1, "", 0);
    what.kind = event_kind::attempt_crashed;
    what.details.mutable_attempt()->set_signal(11);
    what.details.mutable_attempt()->clear_why();
    return what;
  };
  p.append(p.run, {crashed("2", "other"), crashed("3", "resize"), crashed("3", "resize")},
           then::park, "", attention::quarantined, "step 'resize'");

  const std::string told = "step 'resize', attempt 1, ";
  CHECK(has(explained(p, "order-42").evidence, told + "crashed 2 times, the last"));
  CHECK(has(p.call({"show", "order-42"}).out, told + "2 times, the last"));
}

TEST_CASE("an ended run says how it ended and what to do") {
  begun failed;
  failed.append(failed.run, {run_failed("carrier_down", "no pickup today")}, then::end);
  const answer bad = explained(failed, "order-42");
  CHECK(bad.reason == "failed");
  CHECK(has(bad.sentence, "carrier_down: no pickup today"));
  CHECK(has(bad.next, "fermata retry order-42"));

  begun completed;
  completed.append(completed.run, {run_completed("{}")}, then::end);
  const answer good = explained(completed, "order-42");
  CHECK(good.reason == "completed");
  CHECK(has(good.next, "fermata result order-42"));
}

TEST_CASE("an explanation for people is a sentence, its evidence and the next command") {
  begun p;
  p.append(p.run, {waits_for("3", "reviewed", p.journal->now() + 7200 * second)}, then::park);
  const ran shown = p.call({"explain", "order-42"}, 80);

  CHECK(has(shown.out, "order-42 waits for signal 'reviewed'"));
  CHECK(has(shown.out, "Next: fermata signal order-42 reviewed"));
}
