// SPDX-License-Identifier: Apache-2.0
// Each act of an operator on a store of which one call fails, whichever: the error is told, or the act is
// done; and done again it ends as it would have at once.
#include "bench.hpp"
#include "failing_store.hpp"

#include "engine/operate/taking.hpp"
#include "engine/store/status.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace fermata::engine;
using namespace fermata::engine::testing;

const act ada{.who = "ada", .why = "the carrier is back"};
const fermata::pb::failure down = failure("carrier_down", "no pickup today");
constexpr const char* lost = "a call was lost";
constexpr int calls_at_most = 200;

/// A journal to act on: a parent with a child, a signal, timers, published values and a key.
struct shop {
  bench b;
  run_id parent;
  run_id child;

  shop() {
    start_request order = b.request();
    order.key = "order-42";
    parent = b.begin(order);
    start_request bill = b.request("bill");
    bill.parent = bill.parent_chain = parent;
    bill.parent_operation = "2";
    bill.close_policy = 1;
    child = bill.run;
    append more;
    more.children.push_back(bill);
    b.write(
        parent,
        {compensation("1", "refund"), step_done("1", "charge"), child_started("2", "bill", child),
         published("3", "draft", "v1"), timer_set("4", b.store->now() + 90'000'000)},
        then::keep, more);
    b.claim();
    b.signal(parent, "hurry");
  }

  void fail_child() {
    append more;
    more.messages.push_back(end_message(b.row(child), failed(down), run_state::failed).value());
    REQUIRE(b.write(child, {step_failed("1", "post", down), failed(down)}, then::end, more) ==
            landing::landed);
  }
  void fail_parent() {
    const std::vector<message> inbox = b.store->inbox(parent).value();
    append more;
    std::vector<event> events;
    for (const message& one : inbox) {
      more.consumed.push_back(one.seq);
      events.push_back(one.kind == message_kind::child_ended
                           ? child_failed("2", "bill", child, down)
                           : signal_received(one.name, one.id));
    }
    events.push_back(step_failed("5", "ship", down));
    events.push_back(failed(down));
    REQUIRE(b.write(parent, std::move(events), then::end, more) == landing::landed);
  }
  /// What was done, whatever its ids are.
  std::vector<std::string> told() const {
    std::vector<std::string> all;
    const std::vector<run_row> rows = b.store->list({.at_most = 100}).value();
    for (const run_row& row : rows)
      all.push_back(std::string(text_of(row.state)) + " " + row.workflow + ": " + b.told(row.run));
    std::ranges::sort(all);
    return all;
  }
};

using doing = std::function<absl::Status(store&, shop&)>;

/// Calls of the store that were failed, one after the other.
int attack(const std::function<void(shop&)>& before, const doing& act, const absl::Status& error) {
  shop well;
  before(well);
  REQUIRE(act(*well.b.store, well).ok());
  const std::vector<std::string> right = well.told();

  for (int nth = 1; nth < calls_at_most; ++nth) {
    CAPTURE(nth);
    shop at;
    before(at);
    failing_store failing(*at.b.store, nth, error);

    const absl::Status first = act(failing, at);

    if (!failing.failed()) return nth - 1;
    if (!first.ok()) {
      CHECK(std::string(first.message()).find(lost) != std::string::npos);
      const absl::Status second = act(*at.b.store, at);
      // It had landed, and only what follows was lost.
      const bool done =
          second.ok() || fer_code_of(second) == "FER-1303" || fer_code_of(second) == "FER-1308";
      CHECK_MESSAGE(done, second.ToString());
    }
    CHECK(at.told() == right);
    CHECK(at.b.findings().empty());
  }
  return calls_at_most;
}

/// Both kinds of failure: one that another try may overcome, and one that none does.
void attack_twice(const std::function<void(shop&)>& before, const doing& act, int calls_at_least) {
  CHECK(attack(before, act, absl::InternalError(lost)) >= calls_at_least);
  CHECK(attack(before, act, absl::UnavailableError(lost)) >= calls_at_least);
}

TEST_CASE("a termination whose store fails is told, and done again") {
  attack_twice([](shop&) {},
               [](store& where, shop& at) { return terminate(where, at.parent, ada); }, 6);
}

TEST_CASE("a termination of what hasn't begun, likewise") {
  run_id asked;
  attack_twice([&](shop& at) { asked = at.b.ask(at.b.request()); },
               [&](store& where, shop&) { return terminate(where, asked, ada); }, 3);
}

TEST_CASE("a pause, and going on, likewise") {
  attack_twice([](shop&) {}, [](store& where, shop& at) { return pause(where, at.parent, ada); },
               3);
  attack_twice([](shop& at) { REQUIRE(pause(*at.b.store, at.parent, ada).ok()); },
               [](store& where, shop& at) { return resume(where, at.parent, ada); }, 3);
}

TEST_CASE("a retry, likewise: there is one run more, whatever fails") {
  for (const bool from_start : {false, true}) {
    CAPTURE(from_start);
    attack_twice(
        [](shop& at) {
          at.fail_child();
          at.fail_parent();
        },
        [&](store& where, shop& at) { return retry(where, at.parent, ada, from_start).status(); },
        5);
  }
}

TEST_CASE("a retry of a blocked run, likewise") {
  attack_twice(
      [](shop& at) {
        append blocked;
        blocked.attention = attention::blocked;
        blocked.report = "changed";
        at.b.write(at.parent, {}, then::park, blocked);
      },
      [](store& where, shop& at) { return retry(where, at.parent, ada, false).status(); }, 3);
}

TEST_CASE("a death is told once, whatever fails") {
  attack_twice([](shop&) {},
               [](store& where, shop& at) {
                 worker_row dead;
                 dead.row = at.b.worker;
                 dead.id = worker_id::of(at.parent);
                 return journal_blame(
                     where, at.parent, dead,
                     {{.operation = "5", .step = "ship", .attempt = 1, .signal = 11}});
               },
               3);
}

TEST_CASE("children of an ended parent are told, whatever fails") {
  attack_twice([](shop& at) { at.fail_parent(); },
               [](store& where, shop&) { return close_children(where, 100).status(); }, 3);
}

TEST_CASE("what is overdue ends as expired, whatever fails") {
  attack_twice(
      [](shop& at) {
        start_request late = at.b.request();
        late.not_after = at.b.store->now() + 1'000'000;
        at.b.ask(late);
        at.b.time->advance(2'000'000);
      },
      [](store& where, shop&) { return expire_requests(where, 100); }, 2);
}

TEST_CASE("a verification that can't read something says so, and finds nothing that isn't so") {
  for (const bool only : {false, true}) {
    for (int nth = 1;; ++nth) {
      CAPTURE(nth);
      shop at;
      at.fail_child();
      at.b.ask(at.b.request());
      at.b.write(at.b.begin(), {step_done("1", "charge"), completed()}, then::end);
      failing_store failing(*at.b.store, nth, absl::InternalError(lost));
      verify_options options;
      if (only) options.only = at.parent;
      options.found = [](const finding& one) { FAIL_CHECK(one.what); };

      const auto done = verify(failing, options);

      if (!failing.failed()) {
        CHECK(done.ok());
        CHECK(nth > 8);
        break;
      }
      CHECK_FALSE(done.ok());
      CHECK(std::string(done.status().message()).find(lost) != std::string::npos);
    }
  }
}

}  // namespace
