// SPDX-License-Identifier: Apache-2.0
#include "semantics.hpp"

using namespace semantics;

namespace {

constexpr fermata::step<int(int)> twice{"twice"}, breaks{"breaks"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

fermata::task<int> wait_then(fermata::context& ctx, fermata::duration how_long, int value) {
  co_await ctx.sleep(how_long);
  co_return value;
}

fermata::task<int> wait_then_fail(fermata::context& ctx, fermata::duration how_long) {
  co_await ctx.sleep(how_long);
  throw fermata::failure("fell over");
}

template <class Flow>
void gives(Flow body, const std::string& expected) {
  every_way([&](kit& t) {
    t.worker.serve(twice, [](int n) { return 2 * n; });
    t.worker.serve(breaks,
                   [](int) -> int { throw fermata::failure("broken", {.retryable = false}); });
    t.worker.serve(flow, body);
    auto run = t.client.start(flow, 5);
    CHECK(problem_of([&] { CHECK(run.result() == expected); }) == "");
  });
}

}  // namespace

TEST_CASE("a scope waits for all its branches, calls and waits") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        const fermata::time_point begun = ctx.now();
        fermata::scope crew(ctx, {.deadline = 1h});
        fermata::future<int> a = crew.spawn(wait_then(ctx, 10min, 1));
        fermata::future<int> b = crew.add(ctx.call(twice, n));
        crew.spawn(
            [](fermata::context& branch) -> fermata::task<void> { co_await branch.sleep(20min); });
        co_await crew.join();
        const bool waited = ctx.now() - begun >= 20min;
        int first = co_await a;
        int second = co_await b;
        co_return std::to_string(first) + std::to_string(second) + (waited ? " waited" : "");
      },
      "110 waited");
}

TEST_CASE("one failing branch cancels the others, and join throws its failure") {
  gives(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        const fermata::time_point begun = ctx.now();
        std::string what;
        try {
          fermata::scope crew(ctx);
          crew.spawn(wait_then(ctx, 10h, 1));
          crew.spawn(wait_then_fail(ctx, 1min));
          co_await crew.join();
        } catch (const fermata::failure& why) {
          what = why.what();
        }
        const bool at_once = ctx.now() - begun < 2min;
        co_await ctx.sleep(1s);
        co_return what + (at_once ? " at once" : " late");
      },
      "fell over at once");
}

TEST_CASE("with siblings::finish the others go on to their end") {
  gives(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        const fermata::time_point begun = ctx.now();
        std::string what;
        try {
          fermata::scope crew(ctx, {.when_one_fails = fermata::siblings::finish});
          crew.spawn(wait_then(ctx, 1h, 1));
          crew.spawn(wait_then_fail(ctx, 1min));
          crew.spawn(wait_then_fail(ctx, 2min));
          co_await crew.join();
        } catch (const fermata::failure& why) {
          what = why.what();
        }
        co_return what + (ctx.now() - begun >= 1h ? " after all" : " too early");
      },
      "fell over after all");
}

TEST_CASE("a scope's deadline cancels what is left") {
  gives(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        std::string what;
        try {
          fermata::scope crew(ctx, {.deadline = 30min});
          crew.spawn(wait_then(ctx, 10min, 1));
          crew.spawn(wait_then(ctx, 2h, 2));
          co_await crew.join();
        } catch (const fermata::timed_out& why) {
          what = why.what();
        }
        co_await ctx.sleep(1s);
        co_return what;
      },
      "the scope's deadline passed");
}

TEST_CASE("a scope that is cancelled throws cancelled from join; the workflow goes on") {
  gives(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        std::string what;
        fermata::scope crew(ctx);
        crew.spawn(wait_then(ctx, 2h, 2));
        co_await ctx.sleep(1min);
        crew.cancel();
        try {
          co_await crew.join();
        } catch (const fermata::cancelled&) {
          what = "cancelled";
        }
        co_await ctx.sleep(1min);
        co_return what;
      },
      "cancelled");
}

TEST_CASE("a scope left by an exception drops its branches before the locals that they use") {
  gives(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        std::string local(100, 'x');
        try {
          fermata::scope crew(ctx, {.when_one_fails = fermata::siblings::finish});
          crew.spawn([&local](fermata::context& branch) -> fermata::task<int> {
            co_await branch.sleep(1h);
            co_return static_cast<int>(local.size());
          });
          crew.add(ctx.sleep(2h));
          throw fermata::failure("left");
        } catch (const fermata::failure&) {
          local.clear();
        }
        co_await ctx.sleep(5h);
        co_return std::to_string(local.size());
      },
      "0");
}

TEST_CASE("a branch that ended before its scope was left still has its value") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        std::optional<fermata::future<int>> kept;
        try {
          fermata::scope crew(ctx);
          kept = crew.spawn(wait_then(ctx, 1min, n));
          co_await ctx.sleep(2min);
          throw fermata::failure("left");
        } catch (const fermata::failure&) {
        }
        int value = co_await *kept;
        co_return std::to_string(value);
      },
      "5");
}

TEST_CASE("a branch whose ctx.run is about to begin is dropped with its scope") {
  gives(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        std::string local = "kept";
        try {
          fermata::scope crew(ctx);
          crew.spawn([&local](fermata::context& branch) -> fermata::task<int> {
            auto measure = [&local] { return static_cast<int>(local.size()); };
            co_return co_await branch.run("measure", measure);
          });
          throw fermata::failure("left");
        } catch (const fermata::failure&) {
          local.clear();
        }
        co_await ctx.sleep(1min);
        co_return local;
      },
      "");
}

TEST_CASE("a failing step inside a nested scope is seen outside") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        auto inner = [](fermata::context& branch, int m) -> fermata::task<int> {
          fermata::scope crew(branch);
          fermata::future<int> part = crew.add(branch.call(breaks, m));
          co_await crew.join();
          co_return co_await part;
        };
        fermata::scope crew(ctx);
        crew.spawn(inner(ctx, n));
        crew.spawn(wait_then(ctx, 5h, 1));
        std::string what;
        try {
          co_await crew.join();
        } catch (const fermata::failure& why) {
          what = why.what();
        }
        co_return what;
      },
      "broken");
}
