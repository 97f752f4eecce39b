// SPDX-License-Identifier: Apache-2.0
#include "semantics.hpp"

using namespace semantics;

namespace {

constexpr fermata::step<int(int)> twice{"twice"}, thrice{"thrice"};
constexpr fermata::step<void(int)> touch{"touch"};
constexpr fermata::step<int(int)> breaks{"breaks"}, breaks_too{"breaks_too"};
constexpr fermata::workflow<int(int)> nap{"nap"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

fermata::task<int> take_a_nap(fermata::context& ctx, int minutes) {
  co_await ctx.sleep(std::chrono::minutes(minutes));
  co_return minutes;
}

void serve(kit& t) {
  t.worker.serve(twice, [](int n) { return 2 * n; });
  t.worker.serve(thrice, [](int n) { return 3 * n; });
  t.worker.serve(touch, [](int) {});
  t.worker.serve(breaks,
                 [](int) -> int { throw fermata::failure("broken", {.retryable = false}); });
  t.worker.serve(breaks_too,
                 [](int) -> int { throw fermata::failure("broken, too", {.retryable = false}); });
  t.worker.serve(nap, take_a_nap);
}

template <class Flow>
void gives(Flow body, const std::string& expected) {
  every_way([&](kit& t) {
    serve(t);
    t.worker.serve(flow, body);
    auto run = t.client.start(flow, 5);
    CHECK(problem_of([&] { CHECK(run.result() == expected); }) == "");
  });
}

template <class Flow>
void fails_with(Flow body, const std::string& expected) {
  every_way([&](kit& t) {
    serve(t);
    t.worker.serve(flow, body);
    auto run = t.client.start(flow, 5);
    CHECK(problem_of([&] { (void)run.result(); }) == expected);
  });
}

}  // namespace

TEST_CASE("all gives every result, in the order of the parts") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        std::vector<fermata::future<int>> parts{ctx.call(nap, 3), ctx.call(twice, n),
                                                ctx.call(nap, 1)};
        std::vector<int> values = co_await ctx.all(parts);
        auto [a, b, c] = co_await ctx.all(ctx.call(twice, n), ctx.call(touch, n), ctx.sleep(1s));
        (void)b;
        (void)c;
        co_return std::to_string(values[0]) + std::to_string(values[1]) +
            std::to_string(values[2]) + std::to_string(a);
      },
      "310110");
}

TEST_CASE("all throws the first failure at once, and the others' are known with it") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        std::vector<fermata::future<int>> parts{ctx.call(nap, 60), ctx.call(breaks, n),
                                                ctx.call(breaks_too, n)};
        const fermata::time_point begun = ctx.now();
        fermata::outcome<std::vector<int>> all = co_await ctx.settle(ctx.all(parts));
        const bool at_once = ctx.now() - begun < 1min;
        int slow = co_await parts[0];
        co_return std::string(all.error().what()) + (at_once ? ", at once, " : ", late, ") +
            std::to_string(slow);
      },
      "broken, at once, 60");
}

TEST_CASE("any ends with the first, the others go on") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        std::vector<fermata::future<int>> parts{ctx.call(nap, 60), ctx.call(nap, n)};
        fermata::first<int> winner = co_await ctx.any(parts);
        int other = co_await parts[0];
        std::variant<std::monostate, int> mixed =
            co_await ctx.any(ctx.sleep(1h), ctx.call(twice, n));
        co_return std::to_string(winner.index) + std::to_string(winner.value) +
            std::to_string(other) + std::to_string(std::get<1>(mixed));
      },
      "156010");
}

TEST_CASE("any ends with a failure, too, when that is first") {
  fails_with(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        std::vector<fermata::future<int>> parts{ctx.call(nap, 60), ctx.call(breaks, n)};
        fermata::first<int> winner = co_await ctx.any(parts);
        co_return std::to_string(winner.value);
      },
      "broken");
}

TEST_CASE("race cancels the losers: a child, a sleep, a receive") {
  constexpr fermata::signal<int> number{"number"};
  every_way([&](kit& t) {
    serve(t);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      fermata::future<int> slow = ctx.call(nap, 600);
      std::variant<int, int, int, std::monostate> winner = co_await ctx.race(
          slow, ctx.call(nap, n), ctx.receive(fermata::signal<int>{"number"}), ctx.sleep(1h));
      co_await ctx.sleep(1min);
      co_return std::to_string(winner.index());
    });

    auto run = t.client.start(flow, 5);

    CHECK(run.result() == "1");
    CHECK(t.now() - run.describe().created_at < 1h);
    int cancelled = 0;
    for (const auto& child : t.client.list({.workflow = "nap"})) {
      if (child.state != fermata::run_state::cancelled) continue;
      ++cancelled;
      CHECK(*run.describe().ended_at - *child.ended_at >= 1min);  // by the race, not by the end
    }
    CHECK(cancelled == 1);
    CHECK(code_of([&] { run.signal(number, 1); }) == "FER-1303");
  });
}

TEST_CASE("a race that nobody wins in time is told by timeout") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        std::vector<fermata::future<int>> parts{ctx.call(nap, 60), ctx.call(nap, 90)};
        fermata::outcome<fermata::first<int>> late =
            co_await ctx.settle(ctx.timeout(ctx.race(parts), 10min));
        int in_time = co_await ctx.timeout(ctx.call(twice, n), 1min);
        int task_in_time = co_await ctx.timeout(take_a_nap(ctx, 2), 3min);
        fermata::outcome<int> task_late =
            co_await ctx.settle(ctx.timeout(take_a_nap(ctx, 20), 3min));
        co_return late.error().type() + std::to_string(in_time) + std::to_string(task_in_time) +
            task_late.error().type();
      },
      "timed_out102timed_out");
}

TEST_CASE("settle gives the value, or the failure with its type") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        fermata::outcome<int> good = co_await ctx.settle(ctx.call(twice, n));
        fermata::outcome<int> bad = co_await ctx.settle(ctx.call(breaks, n));
        fermata::outcome<void> done = co_await ctx.settle(ctx.call(touch, n));
        co_return std::to_string(good.value()) + bad.error().what() + (done ? " done" : "");
      },
      "10broken done");
}

TEST_CASE("map gives results in the order of the inputs, so many at a time") {
  every_way([](kit& t) {
    serve(t);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      std::vector<int> doubled = co_await ctx.map(twice, {1, 2, 3, 4, 5}, {.at_most = 2});
      std::vector<int> naps = co_await ctx.map(nap, {60, 10, 20, 30}, {.at_most = 2});
      co_await ctx.map(touch, {1, 2, 3});
      std::string text;
      for (int n : doubled) text += std::to_string(n);
      for (int n : naps) text += " " + std::to_string(n);
      co_return text;
    });

    auto run = t.client.start(flow, 0);

    CHECK(run.result() == "246810 60 10 20 30");
    const auto took = t.now() - run.describe().created_at;
    CHECK(took >= 60min);  // 60 beside 10, 20, 30
    CHECK(took < 90min);
  });
}

TEST_CASE("the first failure of a map is thrown, and the calls in flight are cancelled") {
  every_way([](kit& t) {
    serve(t);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      fermata::outcome<std::vector<int>> all =
          co_await ctx.settle(ctx.map(breaks, {n, n, n}, {.at_most = 1}));
      fermata::future<std::vector<int>> naps = ctx.map(nap, {600, 600}, {.at_most = 2});
      fermata::outcome<std::vector<int>> late = co_await ctx.settle(ctx.timeout(naps, 1min));
      co_await ctx.sleep(1min);
      co_return std::string(all.error().what()) + " " + late.error().type();
    });

    auto run = t.client.start(flow, 5);

    CHECK(run.result() == "broken timed_out");
    CHECK(t.now() - run.describe().created_at < 10min);
    for (const auto& child : t.client.list({.workflow = "nap"}))
      CHECK(child.state == fermata::run_state::cancelled);
  });
}

TEST_CASE("branches share variables, and run in the order of the journal") {
  gives(
      [](fermata::context& ctx, int n) -> fermata::task<std::string> {
        std::string order;
        std::vector<fermata::future<void>> parts;
        for (int i = 0; i < n; ++i)
          parts.push_back(ctx.spawn([&order, i](fermata::context& branch) -> fermata::task<void> {
            co_await branch.sleep(std::chrono::seconds(10 - i));
            order += std::to_string(i);
          }));
        co_await ctx.all(parts);
        co_return order;
      },
      "43210");
}

TEST_CASE("a failure that nobody looked at fails the run") {
  fails_with(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        auto failing = [](fermata::context& branch) -> fermata::task<void> {
          co_await branch.sleep(1s);
          throw fermata::failure("nobody listens");
        };
        (void)ctx.spawn(failing);
        co_await ctx.sleep(2s);
        co_return "lost";
      },
      "nobody listens");
}

TEST_CASE("what a branch started and didn't await is cancelled with it") {
  every_way([](kit& t) {
    serve(t);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      auto careless = [](fermata::context& branch) -> fermata::task<int> {
        (void)branch.call(nap, 600);
        co_await branch.sleep(1min);
        co_return 1;
      };
      int one = co_await ctx.spawn(careless);
      co_await ctx.sleep(1min);
      (void)ctx.call(nap, 601);
      co_await ctx.sleep(1min);
      co_return std::to_string(one);
    });

    CHECK(t.client.start(flow, 0).result() == "1");
    t.work();
    for (const auto& child : t.client.list({.workflow = "nap"}))
      CHECK(child.state == fermata::run_state::cancelled);
  });
}

TEST_CASE("a cancelled operation throws where it is awaited") {
  gives(
      [](fermata::context& ctx, int) -> fermata::task<std::string> {
        fermata::future<int> slow = ctx.call(nap, 600);
        fermata::future<void> sleep = ctx.sleep(10h);
        co_await ctx.sleep(1min);
        ctx.cancel(slow);
        ctx.cancel(sleep);
        std::string how;
        try {
          (void)co_await slow;
        } catch (const fermata::cancelled&) {
          how = "child";
        }
        try {
          co_await sleep;
        } catch (const fermata::cancelled&) {
          how += " sleep";
        }
        co_await ctx.sleep(1min);
        co_return how;
      },
      "child sleep");
}
