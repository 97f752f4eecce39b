// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fermata/testing.hpp>

#include <cstdlib>
#include <string>

using namespace std::chrono_literals;
using fermata::testing::kit;

namespace {

constexpr fermata::step<std::string(std::string)> greet{"greet"};
constexpr fermata::step<int(int)> twice{"twice"};
constexpr fermata::signal<int> number{"number"};
constexpr fermata::workflow<std::string(std::string)> hello{"hello"};
constexpr fermata::workflow<int(int)> patient{"patient"};

fermata::task<std::string> say_hello(fermata::context& ctx, std::string name) {
  std::string greeting = co_await ctx.call(greet, name);
  co_return greeting;
}

fermata::task<int> wait_a_little(fermata::context& ctx, int n) {
  int doubled = co_await ctx.call(twice, n);
  co_await ctx.sleep(1h);
  std::optional<int> more = co_await ctx.receive(number, 2h);
  co_return doubled + more.value_or(0);
}

}  // namespace

TEST_CASE("a workflow of one step gives its result, in every way") {
  const int worlds = fermata::testing::every_way([](kit& t) {
    t.worker.serve(greet, [](const std::string& name) { return "Hello, " + name + "!"; });
    t.worker.serve(hello, say_hello);

    auto run = t.client.start(hello, "Ada", {.key = "hello-1"});

    CHECK(run.result() == "Hello, Ada!");
    CHECK(run.describe().state == fermata::run_state::completed);
  });

  CHECK(worlds > 4);
}

TEST_CASE("of many crashes a part is tried, before events and after them, when that is asked for") {
  const auto one_step = [](kit& t) {
    t.worker.serve(greet, [](const std::string& name) { return "Hello, " + name + "!"; });
    t.worker.serve(hello, say_hello);
    CHECK(t.client.start(hello, "Ada", {.key = "hello-1"}).result() == "Hello, Ada!");
  };
  const int crashes = fermata::testing::every_way(one_step) - 2;  // kept and evicted
  for (const int each : {1, 3, 1000}) {
    ::setenv("FERMATA_KIT_CRASHES", std::to_string(each).c_str(), 1);
    const int tried = fermata::testing::every_way(one_step) - 2;
    CHECK(tried >= crashes / each);
    CHECK(tried <= crashes / each + 1);
  }
  ::unsetenv("FERMATA_KIT_CRASHES");
}

TEST_CASE("a run sleeps, then takes a signal that came while it slept") {
  fermata::testing::every_way([](kit& t) {
    t.worker.serve(twice, [](int n) { return 2 * n; });
    t.worker.serve(patient, wait_a_little);

    auto run = t.client.start(patient, 4, {.key = "p"});
    t.advance(10min);
    run.signal(number, 3);

    CHECK(run.result() == 11);
  });
}

TEST_CASE("a receive that nobody answers is over after its patience") {
  fermata::testing::every_way([](kit& t) {
    t.worker.serve(twice, [](int n) { return 2 * n; });
    t.worker.serve(patient, wait_a_little);

    auto run = t.client.start(patient, 4, {.key = "p"});

    CHECK(run.result() == 8);
    CHECK(t.now() - run.describe().created_at >= 3h);
  });
}

TEST_CASE("a step that fails is tried again") {
  fermata::testing::every_way([](kit& t) {
    t.worker.serve(greet, [](const std::string& name) { return "Hello, " + name + "!"; });
    t.worker.serve(hello, say_hello);
    t.fail(greet, fermata::failure("not yet"), 2);

    auto run = t.client.start(hello, "Ada");

    CHECK(run.result() == "Hello, Ada!");
    CHECK(t.attempts("greet") >= 3);
  });
}
