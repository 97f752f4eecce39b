// SPDX-License-Identifier: Apache-2.0
// Compensation: what is undone, in which order, with what.
#include "engine/operate/operate.hpp"
#include "semantics.hpp"
#include "src/journal_impl.hpp"

using namespace semantics;

namespace {

struct order {
  std::string id;
  int cents = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents))

constexpr fermata::step<std::string(order)> reserve{"reserve"}, charge{"charge"}, ship{"ship"};
constexpr fermata::step<void(std::string)> release{"release"}, refund{"refund"};
constexpr fermata::step<void(order)> refund_by_key{"refund_by_key"};
constexpr fermata::workflow<void(std::string)> apologise{"apologise"};
constexpr fermata::workflow<std::string(order)> buy{"buy"};
constexpr fermata::signal<> go_on{"go_on"};

fermata::task<void> say_sorry(fermata::context& ctx, std::string whom) {
  co_await ctx.sleep(1h);
  co_await ctx.call(release, "sorry " + whom);
}

fermata::task<std::string> saga(fermata::context& ctx, order o) {
  std::string held = co_await ctx.call(reserve, o);
  ctx.on_failure(release, held);
  std::string paid = co_await ctx.call(charge, o);
  ctx.on_failure(refund, paid, {.retry = {.max_attempts = 3, .first_delay = 1min}});
  std::string sent = co_await ctx.call(ship, o, {.retry = {.max_attempts = 2}});
  co_return sent;
}

void serve(kit& t, outside& world) {
  t.worker.serve(reserve, [](const order& o) { return "h-" + o.id; });
  t.worker.serve(charge, [](const order& o) { return "c-" + o.id; });
  t.worker.serve(ship, [](const order& o) { return "s-" + o.id; });
  t.worker.serve(release, [&](const std::string& what) { world.note("release " + what); });
  t.worker.serve(refund, [&](const std::string& what) { world.note("refund " + what); });
  t.worker.serve(apologise, say_sorry);
  t.worker.serve(buy, saga);
}

}  // namespace

TEST_CASE("nothing is undone when all goes well") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);

    CHECK(t.client.start(buy, order{"o1", 5}).result() == "s-o1");
    CHECK(world.story() == "");
  });
}

TEST_CASE("a failed shipment refunds the card, then releases the stock") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.fail(ship, fermata::failure("carrier is down", {.type = "carrier"}));

    auto run = t.client.start(buy, order{"o1", 5});

    CHECK(problem_of([&] { (void)run.result(); }) == "carrier is down");
    CHECK(world.story() == "refund c-o1, release h-o1");
    CHECK(run.describe().state == fermata::run_state::failed);
    CHECK(run.describe().error_type == "carrier");
  });
}

TEST_CASE("a compensation is retried by its own policy") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.fail(ship, fermata::failure("no", {.retryable = false}));
    t.fail(refund, fermata::failure("bank is closed"), 2);

    auto run = t.client.start(buy, order{"o1", 5});

    CHECK(problem_of([&] { (void)run.result(); }) == "no");
    CHECK(world.story() == "refund c-o1, release h-o1");
  });
}

TEST_CASE("a compensation that fails for good asks for a person; after retry the rest is undone") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.fail(ship, fermata::failure("no", {.retryable = false}));
    t.fail(refund, fermata::failure("bank is broke"));

    auto run = t.client.start(buy, order{"o1", 5});
    CHECK(code_of([&] { (void)run.result(); }) == "FER-1103");
    const fermata::run_info stuck = run.describe();
    CHECK(stuck.state == fermata::run_state::compensating);
    CHECK(stuck.attention == fermata::attention::needs_attention);
    CHECK(contains(stuck.error, "bank is broke"));
    CHECK(contains(stuck.error, "[FER-1204]"));
    CHECK(contains(stuck.error, "refund"));
    CHECK(world.story() == "");

    t.fail(refund, fermata::failure("not any more"), 0);
    fermata::engine::store& store = fermata::detail::inside(t.journal).store();
    const auto id = fermata::engine::run_id::parse(run.id());
    CHECK(fermata::engine::retry(store, *id, {.who = "test", .why = "repaired"}, false).ok());
    CHECK(problem_of([&] { (void)run.result(); }) == "no");
    CHECK(world.story() == "refund c-o1, release h-o1");
  });
}

TEST_CASE("a child workflow can be a compensation") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(buy, [](fermata::context& ctx, order o) -> fermata::task<std::string> {
      ctx.on_failure(release, "first");
      ctx.on_failure(apologise, o.id);
      ctx.on_failure(release, "last");
      co_await ctx.sleep(1s);
      throw fermata::failure("no");
    });

    auto run = t.client.start(buy, order{"o1", 5});

    CHECK(problem_of([&] { (void)run.result(); }) == "no");
    CHECK(world.story() == "release last, release sorry o1, release first");
  });
}

TEST_CASE("with .undo a charge whose outcome is unknown is undone by its key, exactly once") {
  for (const std::string how : {"fails", "hangs", "is cancelled", "succeeds, then all fails"}) {
    CAPTURE(how);
    every_way([&](kit& t) {
      std::set<std::string> charged, refunded;
      t.worker.serve(charge, [&](const order& o, fermata::step_context& s) {
        charged.insert(std::string(s.idempotency_key()));
        CHECK(s.undoes().empty());
        return "c-" + o.id;
      });
      t.worker.serve(refund_by_key, [&](const order& o, fermata::step_context& s) {
        CHECK(o.cents == 5);
        refunded.insert(std::string(s.undoes()));
        CHECK(s.idempotency_key() != s.undoes());
      });
      t.worker.serve(buy, [](fermata::context& ctx, order o) -> fermata::task<std::string> {
        fermata::future<std::string> paying = ctx.call(
            charge, o, {.timeout = 1h, .retry = {.max_attempts = 2}, .undo = refund_by_key});
        std::string paid = co_await paying;
        (void)co_await ctx.receive(go_on, 1min);
        throw fermata::failure("then all fails");
      });
      if (how == "fails") t.fail(charge, fermata::failure("no answer"));
      if (how == "hangs" || how == "is cancelled") t.hang(charge);

      auto run = t.client.start(buy, order{"o1", 5});
      if (how == "is cancelled") {
        t.advance(1min);
        run.cancel();
      }

      const std::string problem = problem_of([&] { (void)run.result(); });
      CHECK(problem != "");
      const std::string key = run.id() + "/1/charge";
      CHECK(refunded == std::set<std::string>{key});
      if (!charged.empty()) CHECK(charged == std::set<std::string>{key});
      CHECK(run.describe().state ==
            (how == "is cancelled" ? fermata::run_state::cancelled : fermata::run_state::failed));
    });
  }
}

TEST_CASE("what a branch registered is undone, too, in the order of the journal") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(buy, [](fermata::context& ctx, order) -> fermata::task<std::string> {
      auto branch = [](fermata::context& in, int n) -> fermata::task<void> {
        co_await in.sleep(std::chrono::minutes(n));
        in.on_failure(release, std::to_string(n));
      };
      fermata::future<void> slow = ctx.spawn(branch(ctx, 2));
      fermata::future<void> fast = ctx.spawn(branch(ctx, 1));
      co_await ctx.all(slow, fast);
      throw fermata::failure("no");
    });

    CHECK(problem_of([&] { (void)t.client.start(buy, order{}).result(); }) == "no");
    CHECK(world.story() == "release 2, release 1");
  });
}
