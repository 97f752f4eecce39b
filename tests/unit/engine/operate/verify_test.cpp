// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"
#include "passing_store.hpp"

#include <doctest/doctest.h>

#include <functional>

namespace {

using namespace fermata::engine;
using namespace fermata::engine::testing;

const fermata::pb::failure down = failure("carrier_down", "no pickup today");

event at(event what, time_us when) {
  what.at = when;
  return what;
}

/// The one finding of a run that did `events`, as "position: sentence".
std::string planted(std::vector<event> events) {
  bench b;
  const run_id other = b.begin();
  b.write(other, {step_done("1", "charge"), completed()}, then::end);
  const run_id run = b.begin();
  REQUIRE(b.write(run, std::move(events)) == landing::landed);
  const std::vector<std::string> found = b.findings();
  std::string all;
  for (const std::string& one : found) {
    REQUIRE(one.starts_with(run.text() + "@"));
    all += one.substr(run.text().size() + 1) + "\n";
  }
  return all;
}

bool is(const std::string& found, std::string_view position, std::string_view what) {
  const bool single = std::ranges::count(found, '\n') == 1;
  return single && found.starts_with(std::string(position) + ": ") &&
         found.find(what) != std::string::npos;
}

event put_in_queue(std::string_view operation, int number) {
  event put = attempt_failed(operation, "render", number);
  put.kind = event_kind::attempt_started;
  put.details.mutable_attempt()->clear_why();
  put.details.mutable_attempt()->set_queue("gpu");
  return put;
}

event given_back(std::string_view operation, int number) {
  event back = attempt_failed(operation, "render", number);
  back.details.mutable_attempt()->mutable_why()->set_type("given_back");
  return back;
}

TEST_CASE("a step on a queue of its own: given back, taken back, answered late") {
  CHECK(planted({put_in_queue("1", 1), given_back("1", 0), put_in_queue("1", 1),
                 attempt_failed("1", "render", 1), put_in_queue("1", 2),
                 step_done("1", "render", 1), completed()}) == "");
  CHECK(is(planted({put_in_queue("1", 2)}), "2", "has number 2, 1 is expected"));
  CHECK(is(planted({attempt_failed("1", "render", 1), step_done("1", "render", 1)}), "3",
           "says 1 attempts"));
}

TEST_CASE("a clean journal of many kinds has no findings, and is counted") {
  bench b;
  const run_id run = b.begin();
  start_request child = b.request("bill");
  child.parent = child.parent_chain = run;
  child.parent_operation = "3";
  append more;
  more.children.push_back(child);
  b.write(run,
          {timer_set("1", b.store->now() + 2'000'000), marker("faster"),
           attempt_failed("2", "charge", 1, b.store->now() + 9'000'000),
           child_started("3", "bill", child.run)},
          then::keep, more);
  b.time->advance(3'000'000);
  b.write(run,
          {timer_fired("1"), step_done("2", "charge", 2), compensation("2", "refund"),
           published("4", "draft", "one"), published("5", "draft", "two"),
           tagged("6", "customer", "acme"), signal_received("hurry", message_id::of(b.make_id()))});
  b.claim();
  b.write(child.run, {completed()}, then::end);
  const message end{.id = message_id::of(b.make_id()),
                    .to = run,
                    .kind = message_kind::child_ended,
                    .operation = "3"};
  batch telling;
  telling.messages.push_back(end);
  REQUIRE(b.store->commit(std::move(telling)).ok());
  append consuming;
  consuming.consumed = {1};
  b.write(run,
          {child_done("3", "bill", child.run), step_failed("7", "ship", down), failing(down),
           attempt_failed("c.1", "refund", 1), step_done("c.1", "refund", 2), failed(down)},
          then::end, consuming);
  const run_id open = b.begin();

  std::vector<std::string> found = b.findings();
  verify_options options;
  const verify_summary summary = verify(*b.store, options).value();

  CHECK(found == std::vector<std::string>{});
  CHECK(summary.runs == 3);
  CHECK(summary.events == 21);
  CHECK(summary.findings == 0);
  options.only = open;
  CHECK(verify(*b.store, options)->events == 1);
}

TEST_CASE("planted faults in a journal are each found at their position, once") {
  CHECK(is(planted({step_done("1", "a"), step_done("1", "a")}), "3", "second outcome"));
  CHECK(is(planted({timer_fired("1")}), "2", "never set"));
  CHECK(is(planted({timer_set("1", 9'000'000'000'000'000), timer_fired("1")}), "3", "early"));
  CHECK(is(planted({attempt_failed("1", "a", 2), step_done("1", "a", 3)}), "2", "number 2"));
  CHECK(is(planted({attempt_failed("1", "a", 1), step_done("1", "a", 1)}), "3", "1 attempts"));
  CHECK(is(planted({step_done("1", "a"), attempt_failed("1", "a", 1)}), "3", "has an outcome"));
  CHECK(is(planted({marker("m"), marker("m")}), "3", "twice"));
  CHECK(is(planted({at(marker("m"), 5)}), "2", "older"));
  CHECK(is(planted({event{.kind = event_kind::run_started}}), "2", "isn't the first"));
  const message_id id = message_id::of(run_id::of(ulid::make(1'000'000, {3})));
  CHECK(is(planted({signal_received("s", id), signal_received("s", id)}), "3", "before"));
}

TEST_CASE("after failing only compensation follows, newest first and one by one") {
  const event one = compensation("1", "refund");
  const event two = compensation("2", "restock", 2);

  CHECK(planted({one, two, failing(down), step_done("c.1", "restock"), step_done("c.2", "refund")})
            .empty());
  CHECK(is(planted({one, two, failing(down), step_done("c.1", "refund")}), "5", "newest"));
  CHECK(is(planted({one, failing(down), step_done("c.2", "refund")}), "4", "follows 'c.0'"));
  CHECK(is(planted({one, step_done("c.1", "refund")}), "3", "before `failing`"));
  CHECK(is(planted({failing(down), step_done("c.1", "refund")}), "3", "isn't registered"));
  CHECK(is(planted({one, failing(down), timer_set("5", 1)}), "4", "only compensation"));
  CHECK(is(planted({two, failing(down), attempt_failed("c.1", "restock", 1),
                    attempt_failed("c.1", "restock", 2), attempt_failed("c.1", "restock", 3)}),
           "6", "allows 2"));
}

TEST_CASE("a cancelled run schedules nothing once it must have heard of it") {
  const time_us later = manual_clock().wall_now() + 600'000'000;

  CHECK(planted({cancel_received(), timer_set("1", 1)}).empty());
  CHECK(is(planted({cancel_received(), at(timer_set("1", 1), later)}), "3", "cancelled"));
  CHECK(planted({cancel_received(), at(timer_set("1.1", 1), later)}).empty());
}

TEST_CASE("what code asked before a cancel, which its next owner writes, isn't after it") {
  for (const bool late : {false, true}) {
    bench b;
    const run_id run = b.begin();
    b.write(run, {step_done("1", "charge"), cancel_received()});
    const time_us heard = b.history(run).back().at;
    REQUIRE(b.store->release(b.worker, {run}).ok());
    b.claim();

    b.write(run, {at(timer_set("2", 1), heard + (late ? 1 : 0))});

    CHECK(b.findings().size() == (late ? 1 : 0));
  }
}

TEST_CASE("a child that doesn't exist, and one that its parent doesn't know, are found") {
  bench b;
  const run_id parent = b.begin();
  b.write(parent, {child_started("1", "bill", b.make_id())});
  start_request stranger = b.request("bill");
  stranger.parent = parent;
  stranger.parent_chain = parent;
  stranger.parent_operation = "7";
  b.begin(stranger);

  const std::vector<std::string> found = b.findings();

  REQUIRE(found.size() == 2);
  CHECK(found[0].starts_with(stranger.run.text() + "@1: its parent"));
  CHECK(found[1].starts_with(parent.text() + "@2: its child"));
}

/// Rows, timers and workers that aren't what they should be.
class lying_store : public passing_store {
 public:
  using passing_store::passing_store;
  std::function<void(run_row&)> row = [](run_row&) {};
  std::function<void(std::vector<timer_row>&)> timer = [](std::vector<timer_row>&) {};
  std::vector<std::string> pages;
  bool no_ready = false;
  std::vector<message> unread;

  absl::StatusOr<run_row> find_run(const run_id& run) const override {
    auto found = inner_.find_run(run);
    if (found.ok()) row(*found);
    return found;
  }
  absl::StatusOr<std::vector<timer_row>> timers(const run_id& run) const override {
    auto found = inner_.timers(run);
    if (found.ok()) timer(*found);
    return found;
  }
  absl::StatusOr<std::vector<message>> inbox(const chain_id&) const override { return unread; }
  absl::StatusOr<payload> published(const run_id& run, std::string_view name) const override {
    auto value = inner_.published(run, name);
    if (value.ok() && no_ready) value->bytes += "!";
    return value;
  }
  absl::StatusOr<std::vector<std::string>> check_pages() const override { return pages; }
};

std::string lies(const std::function<void(lying_store&)>& tell) {
  bench b;
  const run_id run = b.begin();
  b.write(run, {timer_set("1", b.store->now() + 60'000'000), published("2", "draft", "x"),
                tagged("3", "customer", "acme")});
  lying_store lying(*b.store);
  tell(lying);
  std::string all;
  for (const std::string& one : b.findings(lying)) {
    all += one.starts_with(run.text()) ? one.substr(run.text().size() + 1) : one;
    all += "\n";
  }
  return all;
}

TEST_CASE("a row, a timer or a published value that the journal doesn't say is found") {
  CHECK(lies([](lying_store&) {}).empty());
  CHECK(is(
      lies([](lying_store& s) { s.row = [](run_row& r) { r.state = run_state::compensating; }; }),
      "0", "state 'compensating'"));
  CHECK(is(lies([](lying_store& s) { s.row = [](run_row& r) { r.error = "x"; }; }), "0", "error"));
  CHECK(is(lies([](lying_store& s) { s.row = [](run_row& r) { r.tags["customer"] = "x"; }; }), "0",
           "tag 'customer'"));
  CHECK(is(lies([](lying_store& s) { s.row = [](run_row& r) { r.tags["more"] = "x"; }; }), "0",
           "tag 'more'"));
  CHECK(is(lies([](lying_store& s) { s.timer = [](std::vector<timer_row>& t) { t[0].due += 1; }; }),
           "0", "timer of operation '1'"));
  CHECK(is(lies([](lying_store& s) {
             s.timer = [](std::vector<timer_row>& t) { t[0].operation = "9"; };
           }),
           "0", "timer of operation '9'"));
  CHECK(is(lies([](lying_store& s) { s.row = [](run_row& r) { r.epoch = 0; }; }), "0", "epoch 0"));
  CHECK(is(lies([](lying_store& s) { s.no_ready = true; }), "0", "published value 'draft'"));
  CHECK(is(lies([](lying_store& s) { s.row = [](run_row& r) { r.key = "k"; }; }), "0", "key 'k'"));
  CHECK(lies([](lying_store& s) { s.pages = {"page 7 is torn"}; }) == "store@0: page 7 is torn\n");
}

TEST_CASE("a message that was received and is unread all the same is found") {
  bench b;
  const run_id run = b.begin();
  b.signal(run, "hurry");
  const message sent = b.store->inbox(run).value().at(0);
  append takes;
  takes.consumed = {sent.seq};
  b.write(run, {signal_received("hurry", sent.id)}, then::keep, takes);
  CHECK(b.findings().empty());
  lying_store lying(*b.store);

  lying.unread = {sent};

  const std::vector<std::string> found = b.findings(lying);
  REQUIRE(found.size() == 1);
  CHECK(found[0] ==
        run.text() + "@0: message " + sent.id.text() + " is in its journal and in its inbox");
}

TEST_CASE("a run that nobody owns and nothing wakes is an orphan; one that waits isn't") {
  bench b;
  const run_id orphan = b.begin();
  const run_id waiting = b.begin();
  const run_id sleeping = b.begin();
  const run_id paused = b.begin();
  append waits;
  waits.waits = "signal 'hurry'";
  b.write(waiting, {}, then::park, waits);
  b.write(sleeping, {timer_set("1", b.store->now() + 60'000'000)}, then::park);
  REQUIRE(pause(*b.store, paused, {"ada", "x"}).ok());
  CHECK(b.findings().empty());

  b.write(orphan, {}, then::park);

  const std::vector<std::string> found = b.findings();
  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with(orphan.text() + "@0: nobody owns it"));
}

TEST_CASE("a run of a dead worker is found") {
  bench b;
  const run_id run = b.begin();
  lying_store lying(*b.store);
  lying.row = [](run_row& row) { row.owner = 99; };

  const std::vector<std::string> found = b.findings(lying);

  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with(run.text() + "@0: worker 99"));
}

}  // namespace
