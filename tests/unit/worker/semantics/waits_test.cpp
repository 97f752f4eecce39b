// SPDX-License-Identifier: Apache-2.0
#include "semantics.hpp"

using namespace semantics;

namespace {

constexpr fermata::signal<int> number{"number"};
constexpr fermata::signal<std::string> word{"word"};
constexpr fermata::signal<> go_on{"go_on"};
constexpr fermata::workflow<std::int64_t(int)> sleeper{"sleeper"};
constexpr fermata::workflow<std::string(int)> listener{"listener"};

fermata::task<std::int64_t> sleep_twice(fermata::context& ctx, int minutes) {
  const fermata::time_point begun = ctx.now();
  co_await ctx.sleep(std::chrono::minutes(minutes));
  co_await ctx.sleep_until(begun - 1h);
  co_await ctx.sleep_until(begun + 24h);
  co_return std::chrono::duration_cast<std::chrono::minutes>(ctx.now() - begun).count();
}

fermata::task<std::string> three_numbers(fermata::context& ctx, int) {
  int a = co_await ctx.receive(number);
  int b = co_await ctx.receive(number);
  std::optional<int> c = co_await ctx.receive(number, 1h);
  co_return std::to_string(a) + std::to_string(b) + (c ? std::to_string(*c) : "-");
}

fermata::task<std::string> two_names(fermata::context& ctx, int) {
  fermata::future<int> later = ctx.receive(number);
  std::string first = co_await ctx.receive(word);
  bool came = co_await ctx.receive(go_on, 1h);
  int n = co_await later;
  co_return first + (came ? " came " : " silence ") + std::to_string(n);
}

fermata::task<std::string> impatient(fermata::context& ctx, int) {
  std::optional<int> early = co_await ctx.receive(number, 1h);
  std::optional<int> late = co_await ctx.receive(number, 1h);
  co_return std::string(early ? "early" : "nothing") + ", " + (late ? "late" : "nothing");
}

fermata::task<std::string> oldest_first(fermata::context& ctx, int) {
  fermata::future<int> one = ctx.receive(number);
  fermata::future<std::optional<int>> two = ctx.receive(number, 1h);
  fermata::future<int> three = ctx.receive(number);
  co_await ctx.sleep(2h);
  int first = co_await one;
  std::optional<int> second = co_await two;
  int third = co_await three;
  co_return std::to_string(first) + (second ? "+" : "-") + std::to_string(third);
}

}  // namespace

TEST_CASE("sleeps are never early, and one into the past is over at once") {
  every_way([](kit& t) {
    t.worker.serve(sleeper, sleep_twice);

    auto run = t.client.start(sleeper, 90);

    CHECK(run.result() == 24 * 60);
    CHECK(t.now() - run.describe().created_at >= 24h);
  });
}

TEST_CASE("signals are taken in the order in which they came, also those before the receive") {
  every_way([](kit& t) {
    t.worker.serve(listener, three_numbers);

    auto run = t.client.start(listener, 0);
    run.signal(number, 1);
    t.work();
    run.signal(number, 2);
    run.signal(number, 3);

    CHECK(run.result() == "123");
  });
}

TEST_CASE("a receive without an answer gives up when its patience is over") {
  every_way([](kit& t) {
    t.worker.serve(listener, three_numbers);

    auto run = t.client.start(listener, 0);
    run.signal(number, 1);
    run.signal(number, 2);

    CHECK(run.result() == "12-");
  });
}

TEST_CASE("names don't mix, and a signal that carries nothing says whether it came") {
  every_way([](kit& t) {
    t.worker.serve(listener, two_names);

    auto heard = t.client.start(listener, 0, {.key = "heard"});
    heard.signal(word, "yes");
    t.work();
    heard.signal(go_on);
    heard.signal(number, 7);
    CHECK(heard.result() == "yes came 7");

    auto unheard = t.client.start(listener, 0, {.key = "unheard"});
    unheard.signal(word, "no");
    unheard.signal(number, 8);
    CHECK(unheard.result() == "no silence 8");
  });
}

TEST_CASE("a signal that comes after the patience goes to the next receive") {
  every_way([](kit& t) {
    t.worker.serve(listener, impatient);

    auto run = t.client.start(listener, 0);
    t.advance(61min);
    run.signal(number, 1);

    CHECK(run.result() == "nothing, late");
  });
}

TEST_CASE("the oldest waiting receive takes the signal, one that lost its patience takes none") {
  every_way([](kit& t) {
    t.worker.serve(listener, oldest_first);

    auto run = t.client.start(listener, 0);
    t.work();
    run.signal(number, 1);
    t.advance(90min);
    run.signal(number, 2);

    CHECK(run.result() == "1-2");
  });
}

TEST_CASE("many runs wait at once, each for its own") {
  every_way([](kit& t) {
    t.worker.serve(listener, three_numbers);

    std::vector<fermata::run<std::string>> runs = t.client.start_many(listener, {1, 2, 3});
    for (int n : {1, 2, 3})
      for (auto& run : runs) run.signal(number, n);

    for (auto& run : runs) CHECK(run.result() == "123");
  });
}
