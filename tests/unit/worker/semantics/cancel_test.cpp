// SPDX-License-Identifier: Apache-2.0
// Cancel: by the client, by a deadline; what goes on, what is tidied, what is undone.
#include "semantics.hpp"

#include <fermata/asio.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

using namespace semantics;

namespace {

constexpr fermata::step<std::string(std::string)> charge{"charge"}, note{"note"};
constexpr fermata::step<void(std::string)> refund{"refund"}, tidy{"tidy"};
constexpr fermata::signal<> go_on{"go_on"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

/// Serves `charge` as a step in the middle of which its run is cancelled; it completes all the same.
void serve(kit& t, outside& world) {
  t.worker.serve(charge,
                 [&](const std::string& what,
                     fermata::step_context& s) -> boost::asio::awaitable<std::string> {
                   co_await boost::asio::this_coro::reset_cancellation_state(
                       boost::asio::disable_cancellation());
                   if (!world.has("cancel")) t.client.find(s.run_id()).cancel();
                   world.note("cancel");
                   for (int i = 0; i < 5; ++i)
                     co_await boost::asio::post(boost::asio::use_awaitable);
                   world.note("charge " + what);
                   co_return what;
                 });
  t.worker.serve(note, [&](const std::string& what) {
    world.note(what);
    return what;
  });
  t.worker.serve(refund, [&](const std::string& what) { world.note("refund " + what); });
  t.worker.serve(tidy, [&](const std::string& what) { world.note("tidy " + what); });
}

/// The run's state and what happened outside, when it is cancelled during a charge. Without crashes:
/// an attempt that dies with its process after the cancel isn't tried again (`.undo` is for that).
template <class Flow>
void is_told(Flow body, const std::string& expected) {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    outside world;
    serve(t, world);
    t.worker.serve(flow, body);
    auto run = t.client.start(flow, 0);
    const std::string problem = problem_of([&] { (void)run.result(); });
    CHECK(problem == "run " + run.id() + " was cancelled");
    CHECK(run.describe().state == fermata::run_state::cancelled);
    CHECK(world.story() == expected);
    t.replay_all();
  }
}

}  // namespace

TEST_CASE("a step that completes while its run is cancelled is delivered, then undone") {
  is_told(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        std::string paid = co_await ctx.call(charge, "a");
        ctx.on_failure(refund, paid);
        std::string never = co_await ctx.call(note, "never");
        co_return never;
      },
      "cancel, charge a, refund a");
}

TEST_CASE("so is one that is awaited through all") {
  is_told(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        auto [a, b] = co_await ctx.all(ctx.call(charge, "a"), ctx.call(charge, "b"));
        ctx.on_failure(refund, a);
        ctx.on_failure(refund, b);
        std::string never = co_await ctx.call(note, "never");
        co_return never;
      },
      "cancel, charge a, charge b, refund b, refund a");
}

TEST_CASE("so is one that is awaited through timeout") {
  is_told(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        std::string paid = co_await ctx.timeout(ctx.call(charge, "a"), 1h);
        ctx.on_failure(refund, paid);
        std::string never = co_await ctx.call(note, "never");
        co_return never;
      },
      "cancel, charge a, refund a");
}

TEST_CASE("so is one in a branch of a scope") {
  is_told(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        auto pay = [](fermata::context& branch, std::string what) -> fermata::task<void> {
          std::string paid = co_await branch.call(charge, what);
          branch.on_failure(refund, paid);
        };
        fermata::scope crew(ctx);
        crew.spawn(pay(ctx, "a"));
        co_await crew.join();
        std::string never = co_await ctx.call(note, "never");
        co_return never;
      },
      "cancel, charge a, refund a");
}

TEST_CASE("a cancelled time limit is no time-out: code that handles time-outs doesn't see it") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      fermata::future<std::string> part =
          ctx.spawn([](fermata::context& branch) -> fermata::task<std::string> {
            co_await branch.sleep(10h);
            co_return "slept";
          });
      fermata::outcome<std::string> how = co_await ctx.settle(ctx.timeout(part, 2h));
      co_return how ? "done" : std::string(how.error().type());
    });

    auto run = t.client.start(flow, 0);
    t.advance(1h);
    run.cancel();

    CHECK(problem_of([&] { (void)run.result(); }) == "run " + run.id() + " was cancelled");
  });
}

TEST_CASE("waits end at once, and the code may tidy up in a shielded stretch") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      auto clean = [](fermata::context& in) -> fermata::task<void> {
        co_await in.sleep(1h);
        co_await in.call(tidy, "up");
      };
      bool stopped = false;
      try {
        co_await ctx.receive(go_on, 100h);
      } catch (const fermata::cancelled&) {
        stopped = true;
      }
      if (stopped) co_await ctx.shield(clean(ctx));
      std::string never = co_await ctx.call(note, "never");
      co_return never;
    });

    auto run = t.client.start(flow, 0);
    t.advance(1h);
    run.cancel();

    CHECK(problem_of([&] { (void)run.result(); }) == "run " + run.id() + " was cancelled");
    CHECK(world.story() == "tidy up");
    CHECK(t.now() - run.describe().created_at < 3h);
  });
}

TEST_CASE("a cancelled run that returns a value all the same has completed") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      try {
        co_await ctx.receive(go_on);
      } catch (const fermata::cancelled&) {
      }
      co_return "enough";
    });

    auto run = t.client.start(flow, 0);
    t.work();
    run.cancel();

    CHECK(run.result() == "enough");
  });
}

TEST_CASE("a shielded stretch under way goes on to its end, then the cancel is told") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      auto stretch = [](fermata::context& in) -> fermata::task<int> {
        co_await in.sleep(1h);
        std::string a = co_await in.call(note, "inside");
        in.on_failure(refund, a);
        co_return 7;
      };
      int seven = co_await ctx.shield(stretch(ctx));
      std::string never = co_await ctx.call(note, "never " + std::to_string(seven));
      co_return never;
    });

    auto run = t.client.start(flow, 0);
    t.advance(10min);
    run.cancel();

    CHECK(problem_of([&] { (void)run.result(); }) == "run " + run.id() + " was cancelled");
    CHECK(world.story() == "inside, refund inside");
  });
}

TEST_CASE("the deadline of a run cancels it, and says so") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      std::string a = co_await ctx.call(note, "a");
      ctx.on_failure(refund, a);
      co_await ctx.sleep(10h);
      co_return a;
    });

    auto run = t.client.start(flow, 0, {.deadline = 2h});

    CHECK(problem_of([&] { (void)run.result(); }) == "the deadline of the run has passed");
    CHECK(world.story() == "a, refund a");
    CHECK(run.describe().state == fermata::run_state::cancelled);
    CHECK(t.now() - run.describe().created_at < 3h);
  });
}

TEST_CASE("a step that waits for its next attempt isn't tried again once its run is cancelled") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.fail(note, fermata::failure("not yet"));
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      std::string a = co_await ctx.call(
          note, "a", {.retry = {.max_attempts = 100, .first_delay = 10h, .max_delay = 100h}});
      co_return a;
    });

    auto run = t.client.start(flow, 0);
    t.work();
    const int before = t.attempts("note");
    run.cancel();

    CHECK(problem_of([&] { (void)run.result(); }) == "run " + run.id() + " was cancelled");
    CHECK(t.attempts("note") <= before + 1);  // a crash may have taken one
  });
}

TEST_CASE("a step that never listens is abandoned after the grace time") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.hang(note);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      fermata::future<std::string> lost = ctx.call(note, "a");
      co_await ctx.sleep(1min);
      co_return lost.ready() ? "ready" : "gone on";
    });

    auto run = t.client.start(flow, 0);

    CHECK(run.result() == "gone on");
    CHECK(t.now() - run.describe().created_at < 5min);
  });
}

TEST_CASE("an ended run takes no cancel") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      co_await ctx.sleep(1s);
      co_return "done";
    });

    auto run = t.client.start(flow, 0);
    CHECK(run.result() == "done");

    CHECK(code_of([&] { run.cancel(); }) == "FER-1303");
  });
}
