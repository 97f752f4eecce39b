// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"
#include "racing_store.hpp"

#include "engine/event/encode.hpp"
#include "engine/replay/machine.hpp"
#include "engine/store/status.hpp"

#include <doctest/doctest.h>

namespace {

using namespace fermata::engine;
using namespace fermata::engine::testing;

const act ada{.who = "ada", .why = "the carrier is back"};
const fermata::pb::failure down = failure("carrier_down", "no pickup today");

std::string code_of(const absl::Status& status) { return status.ok() ? "OK" : fer_code_of(status); }

/// Code that asks steps one after the other, and fails with the first that fails.
class steps_code {
 public:
  steps_code(machine& m, std::vector<std::string> names) : m_(m), names_(std::move(names)) {}

  void run() {
    if (asked_ == 0) next();
    for (const slot op : m_.take_settled()) {
      const operation& what = m_.look(op);
      if (what.how == settled::failed) m_.root_ended(settled::failed, {}, *what.why);
      if (what.how == settled::value) next();
    }
  }

 private:
  void next() {
    if (asked_ == names_.size()) return m_.root_ended(settled::value, text("done"));
    m_.ask(0, {.kind = operation_kind::step, .name = names_[asked_++], .place = "code:1"});
  }

  machine& m_;
  std::vector<std::string> names_;
  std::size_t asked_ = 0;
};

/// A run that has failed, and its child, which is claimed and goes on.
std::pair<run_id, run_id> failed_beside_child(bench& b) {
  const run_id parent = b.begin();
  start_request child = b.request("bill");
  child.parent = child.parent_chain = parent;
  child.parent_operation = "1";
  child.close_policy = 2;
  append more;
  more.children.push_back(child);
  b.write(parent, {child_started("1", "bill", child.run)}, then::keep, more);
  b.write(parent, {step_failed("2", "ship", down), failed(down)}, then::end);
  b.claim();
  return {parent, child.run};
}

/// Replays the run's journal; then the keys of what starts, or the difference.
std::string replay(const bench& b, const run_id& run, std::vector<std::string> names) {
  const std::vector<event> history = b.history(run);
  machine m({.run = run, .chain = b.row(run).chain});
  for (const event& what : history) {
    if (class_of(what.kind) == event_class::command) m.foresee(what);
  }
  m.history_ends_at(history.back().position);
  steps_code code(m, std::move(names));
  for (const event& what : history) {
    m.deliver(what);
    code.run();
    m.stand();
  }
  if (!m.difference().empty()) return m.difference().text(run);
  m.set_time(b.store->now());
  m.go_live();
  std::string starts;
  for (const attempt_start& one : m.take_starts()) {
    starts += one.key + "#" + std::to_string(one.number) + " ";
  }
  return starts;
}

TEST_CASE("a retried run begins with what went well, and does the failed step again") {
  bench b;
  start_request request = b.request();
  request.key = "order-42";
  const run_id run = b.begin(request);
  b.write(run, {step_done("1", "reserve"), tagged("", "customer", "acme")});
  b.write(run, {attempt_failed("2", "ship", 1)});
  b.write(run, {step_failed("2", "ship", down, 2), failed(down)}, then::end);

  const run_id next = retry(*b.store, run, ada, false).value();

  CHECK(next != run);
  CHECK(b.told(next) == "run_started, step_completed 1, tagged, operator_act retry");
  const run_row row = b.row(next);
  CHECK(row.chain == run);
  CHECK(row.state == run_state::running);
  CHECK(row.owner == 0);
  CHECK(row.tags.at("customer") == "acme");
  CHECK(b.row(run).next_run == next);
  CHECK(b.store->find_key("default", "order", "order-42")->front().run == next);
  CHECK(b.findings().empty());
}

TEST_CASE("a copied journal is sealed for its own run and replays without a difference") {
  bench b;
  const run_id run = b.begin();
  b.write(run, {step_done("1", "reserve", 1, "value"), step_done("2", "label")});
  b.write(run, {step_failed("3", "ship", down), failed(down)}, then::end);
  const head last = b.store->read_head(run).value();

  const run_id next = retry(*b.store, run, ada, false).value();

  chain_hash before{};
  const std::vector<encoded_event> copied = b.store->read_events(next, 1, 100).value();
  for (const encoded_event& stored : copied) {
    CHECK(check_chain(next, before, stored).ok());
    before = stored.chain;
  }
  const event first = b.history(next).front();
  const fermata::pb::started& started = first.details.started();
  CHECK(started.previous_run() == run.view());
  CHECK(started.previous_hash() ==
        std::string(reinterpret_cast<const char*>(last.hash.data()), last.hash.size()));
  CHECK(started.origin() == run.view());
  CHECK(started.seed() == b.history(run).front().details.started().seed());
  CHECK(b.history(next).front().epoch == 1);
  CHECK(replay(b, next, {"reserve", "label", "ship"}) == run.text() + "/3/ship#1 ");
  b.claim();
  CHECK(b.row(next).owner == b.worker);
  CHECK(b.write(next, {step_done("3", "ship"), completed()}, then::end) == landing::landed);
  CHECK(b.findings().empty());
}

TEST_CASE("a retried run can fail and be retried again, but only the last of its chain") {
  bench b;
  const run_id run = b.begin();
  b.write(run, {step_failed("1", "ship", down), failed(down)}, then::end);
  const run_id second = retry(*b.store, run, ada, false).value();
  CHECK(code_of(retry(*b.store, run, ada, false).status()) == "FER-1308");
  b.claim();
  b.write(second, {step_done("1", "ship"), step_failed("2", "bill", down), failed(down)},
          then::end);

  CHECK(code_of(retry(*b.store, run, ada, false).status()) == "FER-1308");
  const run_id third = retry(*b.store, second, ada, false).value();

  CHECK(b.told(third) == "run_started, operator_act retry, step_completed 1, operator_act retry");
  CHECK(replay(b, third, {"ship", "bill"}) == run.text() + "/2/bill#1 ");
  CHECK(b.findings().empty());
}

TEST_CASE("a run whose key was started with again isn't retried: one key, one run") {
  bench b;
  start_request keyed = b.request();
  keyed.key = "order-42";
  const run_id run = b.begin(keyed);
  b.write(run, {step_failed("1", "ship", down), failed(down)}, then::end);
  start_request again = b.request();
  again.key = "order-42";
  batch restart;
  restart.starts.push_back({.request = again, .on_duplicate = on_duplicate::restart_if_ended});
  REQUIRE(b.store->commit(std::move(restart)).ok());

  const absl::Status refused = retry(*b.store, run, ada, false).status();

  CHECK(code_of(refused) == "FER-1308");
  CHECK(refused.message().find(again.run.text()) != std::string_view::npos);
  CHECK(b.findings().empty());
}

TEST_CASE("a run that has compensated is only started over, under new keys") {
  bench b;
  const run_id run = b.begin();
  b.write(run, {compensation("1", "refund"), step_done("1", "charge")});
  b.write(run,
          {step_failed("2", "ship", down), failing(down), step_done("c.1", "refund"), failed(down)},
          then::end);

  const absl::Status refused = retry(*b.store, run, ada, false).status();
  CHECK(code_of(refused) == "FER-1308");
  CHECK(std::string(refused.message()).find("--from-start") != std::string::npos);
  const run_id next = retry(*b.store, run, ada, true).value();

  CHECK(b.told(next) == "run_started, operator_act retry");
  CHECK(b.history(next).front().details.started().origin() == next.view());
  CHECK(b.findings().empty());
}

TEST_CASE("starting over without compensation keeps the keys and copies nothing") {
  bench b;
  const run_id run = b.begin();
  b.write(run, {step_done("1", "charge"), failed(down)}, then::end);

  const run_id next = retry(*b.store, run, ada, true).value();

  CHECK(b.told(next) == "run_started, operator_act retry");
  CHECK(replay(b, next, {"charge"}) == run.text() + "/1/charge#1 ");
}

TEST_CASE("completed, expired and unknown runs aren't retried") {
  bench b;
  const run_id done = b.begin();
  b.write(done, {completed()}, then::end);

  CHECK(code_of(retry(*b.store, done, ada, false).status()) == "FER-1308");
  CHECK(code_of(retry(*b.store, b.make_id(), ada, false).status()) == "FER-1302");
}

TEST_CASE("terminated and cancelled runs go on where they were") {
  bench b;
  const run_id stopped = b.begin();
  b.write(stopped, {step_done("1", "reserve")});
  REQUIRE(terminate(*b.store, stopped, ada).ok());
  const run_id gone = b.begin();
  b.write(gone, {step_done("1", "reserve"), cancel_received(), cancelled()}, then::end);

  const run_id first = retry(*b.store, stopped, ada, false).value();
  const run_id second = retry(*b.store, gone, ada, false).value();

  CHECK(b.told(first) == "run_started, step_completed 1, owner_changed, operator_act retry");
  CHECK(b.told(second) == "run_started, step_completed 1, operator_act retry");
  CHECK(replay(b, first, {"reserve", "ship"}) == stopped.text() + "/2/ship#1 ");
  CHECK(replay(b, second, {"reserve", "ship"}) == gone.text() + "/2/ship#1 ");
  CHECK(b.findings().empty());
}

TEST_CASE("the end of a child that came too late for its parent is in the copy") {
  bench b;
  const auto [parent, child] = failed_beside_child(b);
  b.write(child, {completed()}, then::end);

  const run_id next = retry(*b.store, parent, ada, false).value();

  CHECK(b.told(next) == "run_started, child_started 1, child_completed 1, operator_act retry");
  CHECK(b.history(next)[2].value.bytes == "done");
  CHECK(b.findings().empty());
}

TEST_CASE("a child that ends while its parent is retried is in the copy") {
  bench b;
  const auto [parent, child] = failed_beside_child(b);
  racing_store racing(*b.store, [&b, bill = child] { b.write(bill, {completed()}, then::end); });
  racing.late_copies = 1;

  const run_id next = retry(racing, parent, ada, false).value();

  CHECK(b.told(next) == "run_started, child_started 1, child_completed 1, operator_act retry");
  CHECK(b.store->list({.chain = parent})->size() == 2);
  CHECK(b.findings().empty());
}

TEST_CASE("a retried child has no parent to tell, since it was told") {
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

  const run_id next = retry(*b.store, child.run, ada, false).value();

  CHECK(b.row(next).parent == parent);
  CHECK(b.row(next).parent_chain.empty());
  CHECK(b.history(next).front().details.started().parent_chain().empty());
  CHECK(b.findings().empty());
}

TEST_CASE("a deadline that has passed doesn't cancel the retried run") {
  bench b;
  start_request request = b.request();
  request.deadline = b.store->now() + 3'000'000;
  const run_id run = b.begin(request);
  b.write(run, {step_failed("1", "ship", down), failed(down)}, then::end);
  b.time->advance(10'000'000);

  const run_id next = retry(*b.store, run, ada, false).value();

  CHECK(b.store->timers(next)->empty());
  CHECK(b.row(next).deadline == 0);
  CHECK(b.findings().empty());
}

TEST_CASE("a retry whose answer was lost has made one run") {
  bench b;
  const run_id run = b.begin();
  b.write(run, {failed(down)}, then::end);
  racing_store lossy(*b.store, [] {});
  lossy.lost_answers = 2;

  const run_id next = retry(lossy, run, ada, false).value();

  CHECK(b.store->list({.chain = run})->size() == 2);
  CHECK(b.row(next).state == run_state::running);
}

}  // namespace
