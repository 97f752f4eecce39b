// SPDX-License-Identifier: Apache-2.0
// What a client may ask, and what it is told.
#include "semantics.hpp"

using namespace semantics;

namespace {

constexpr fermata::signal<int> number{"number"};
constexpr fermata::step<void(int)> undo{"undo"};
constexpr fermata::workflow<int(int)> listener{"listener"}, other{"other"};
constexpr fermata::workflow<std::int64_t()> begun_at{"begun_at"};

fermata::task<int> wait_for_number(fermata::context& ctx, int base) {
  ctx.on_failure(undo, base);
  int n = co_await ctx.receive(number);
  co_return base + n;
}

void serve(kit& t) {
  t.worker.serve(undo, [](int) {});
  t.worker.serve(listener, wait_for_number);
  t.worker.serve(other, wait_for_number);
  t.worker.serve(begun_at, [](fermata::context& ctx) -> fermata::task<std::int64_t> {
    co_return ctx.now().time_since_epoch().count();
  });
}

}  // namespace

TEST_CASE("a key names one run per workflow: equal input attaches, another one is a conflict") {
  every_way([](kit& t) {
    serve(t);

    auto one = t.client.start(listener, 1, {.key = "k"});
    auto again = t.client.start(listener, 1, {.key = "k"});
    auto elsewhere = t.client.start(other, 1, {.key = "k"});
    CHECK(again.id() == one.id());
    CHECK(elsewhere.id() != one.id());
    CHECK(code_of([&] { (void)t.client.start(listener, 2, {.key = "k"}); }) == "FER-1301");
    CHECK(t.client.attach(listener, "k").id() == one.id());
    CHECK(t.client.attach(other, "k").id() == elsewhere.id());
    CHECK(code_of([&] { (void)t.client.attach(listener, "nobody"); }) == "FER-1302");

    one.signal(number, 5);
    elsewhere.signal(number, 6);
    CHECK(again.result() == 6);
    CHECK(elsewhere.result() == 7);
  });
}

TEST_CASE("on_duplicate says what a second start does") {
  every_way([](kit& t) {
    serve(t);
    using fermata::on_duplicate;

    auto one = t.client.start(listener, 1, {.key = "k"});
    t.work();
    CHECK(code_of([&] {
            (void)t.client.start(listener, 1, {.key = "k", .on_duplicate = on_duplicate::fail});
          }) == "FER-1301");
    auto open =
        t.client.start(listener, 1, {.key = "k", .on_duplicate = on_duplicate::restart_if_ended});
    CHECK(open.id() == one.id());
    one.signal(number, 5);
    CHECK(one.result() == 6);

    CHECK(t.client.start(listener, 1, {.key = "k"}).result() == 6);
    auto anew =
        t.client.start(listener, 2, {.key = "k", .on_duplicate = on_duplicate::restart_if_ended});
    CHECK(anew.id() != one.id());
    anew.signal(number, 5);
    CHECK(anew.result() == 7);
    CHECK(t.client.attach(listener, "k").id() == anew.id());
  });
}

TEST_CASE("keys that can't be are refused") {
  kit t;
  serve(t);

  CHECK(code_of([&] { (void)t.client.start(listener, 1, {.key = "run_x"}); }) == "FER-1307");
  CHECK(code_of([&] { (void)t.client.start(listener, 1, {.key = std::string(256, 'x')}); }) ==
        "FER-1307");
  for (const std::string key : {"caf\xe9", "a\xff", "\xed\xa0\x80", "a\nb", "del\x7f"})
    CHECK(code_of([&] { (void)t.client.start(listener, 1, {.key = key}); }) == "FER-1307");
  CHECK(code_of([&] { (void)t.client.start(listener, 1, {.key = std::string("a\0b", 3)}); }) ==
        "FER-1307");
  CHECK_FALSE(
      contains(problem_of([&] { (void)t.client.start(listener, 1, {.key = "a\xff"}); }), "\xff"));
  CHECK(t.client.start(listener, 1, {.key = "café 42"}).id() != "");
}

TEST_CASE("tags that can't be are refused") {
  kit t;
  serve(t);
  const auto starting = [&](std::map<std::string, std::string> tags) {
    return code_of([&] { (void)t.client.start(listener, 1, {.tags = std::move(tags)}); });
  };

  CHECK(starting({{"customer", "\xff"}}) == "FER-1307");
  CHECK(starting({{"\xff", "c-7"}}) == "FER-1307");
  CHECK(starting({{"customer", std::string(256, 'x')}}) == "FER-1404");
  CHECK(starting({{"", "c-7"}}) == "FER-1404");
  std::map<std::string, std::string> many;
  for (int i = 0; i < 33; ++i) many[std::to_string(i)] = "x";
  CHECK(starting(many) == "FER-1404");
  CHECK(starting({{"customer", "Zoë"}}) == "none");
}

TEST_CASE("a delayed start begins when its time has come") {
  every_way([](kit& t) {
    serve(t);

    const auto asked = t.now();
    auto run = t.client.start(begun_at, {.delay = 3h});
    CHECK(run.describe().state == fermata::run_state::waiting_to_start);
    t.advance(2h);
    CHECK(run.describe().state == fermata::run_state::waiting_to_start);

    CHECK(run.result() >= (asked + 3h).time_since_epoch().count());
    CHECK(t.now() - asked < 4h);
  });
}

TEST_CASE("a signal to a run that hasn't begun waits for it") {
  every_way([](kit& t) {
    serve(t);

    auto run = t.client.start(listener, 1, {.delay = 1h});
    run.signal(number, 5);

    CHECK(run.result() == 6);
  });
}

TEST_CASE("a run not begun by its not_after ends as expired") {
  every_way([](kit& t) {
    serve(t);

    auto run = t.client.start(begun_at, {.delay = 3h, .not_after = t.now() + 1h});

    CHECK(code_of([&] { (void)run.result(); }) == "FER-1105");
    CHECK(run.describe().state == fermata::run_state::expired);
  });
}

TEST_CASE("many runs are started at once, with or without keys") {
  every_way([](kit& t) {
    serve(t);

    auto plain = t.client.start_many(listener, {1, 2, 3}, {.tags = {{"batch", "b"}}});
    std::vector<std::pair<int, std::string>> keyed{{10, "a"}, {20, "b"}};
    auto named = t.client.start_many(listener, keyed);
    REQUIRE(plain.size() == 3);
    REQUIRE(named.size() == 2);
    for (auto& run : plain) run.signal(number, 1);
    for (auto& run : named) run.signal(number, 1);

    CHECK(plain[2].result() == 4);
    CHECK(named[1].result() == 21);
    CHECK(t.client.attach(listener, "a").result() == 11);
    CHECK(plain[0].result() + plain[1].result() == 5);
    CHECK(t.client.list({.tags = {{"batch", "b"}}}).size() == 3);
  });
}

TEST_CASE("when one of many can't be started, none is, and the error names it") {
  every_way([](kit& t) {
    serve(t);

    (void)t.client.start(listener, 1, {.key = "k"});
    std::vector<std::pair<int, std::string>> inputs{{5, "a"}, {2, "k"}, {6, "b"}};
    const std::string why = problem_of([&] { (void)t.client.start_many(listener, inputs); });
    CHECK(contains(why, "input 2 of 3"));
    CHECK(contains(why, "key 'k'"));
    CHECK(contains(why, "FER-1301"));

    t.work();
    CHECK(t.client.list().size() == 1);
    CHECK(code_of([&] { (void)t.client.attach(listener, "a"); }) == "FER-1302");
    inputs = {{5, "a"}, {6, "a"}};
    CHECK(contains(problem_of([&] { (void)t.client.start_many(listener, inputs); }),
                   "comes twice in this call with another input"));
    CHECK(t.client.list().size() == 1);
  });
}

TEST_CASE("what nobody knows and what has ended is an error with its code") {
  every_way([](kit& t) {
    serve(t);

    auto run = t.client.start(listener, 1);
    run.signal(number, 1);
    CHECK(run.result() == 2);

    CHECK(code_of([&] { run.signal(number, 1); }) == "FER-1303");
    CHECK(code_of([&] { run.cancel(); }) == "FER-1303");
    CHECK(code_of([&] { run.terminate("late"); }) == "FER-1303");
    const std::string nobody = "run_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    CHECK(code_of([&] { (void)t.client.find(nobody); }) == "FER-1302");
    CHECK(code_of([&] { (void)t.client.find("run_zzz"); }) == "FER-1302");
    CHECK(t.client.find(run.id().substr(0, run.id().size() - 1)).id() == run.id());
  });
}

TEST_CASE("a terminated run runs no code and no compensation") {
  every_way([](kit& t) {
    serve(t);

    auto run = t.client.start(listener, 1);
    t.work();
    run.terminate("enough is enough");
    t.work();

    CHECK(code_of([&] { (void)run.result(); }) == "FER-1104");
    CHECK(contains(problem_of([&] { (void)run.result(); }), "enough is enough"));
    CHECK(t.attempts("undo") == 0);
    CHECK(run.describe().state == fermata::run_state::terminated);
  });
}

TEST_CASE("a run that hasn't begun can be cancelled or terminated") {
  every_way([](kit& t) {
    serve(t);

    auto one = t.client.start(listener, 1, {.delay = 5h});
    auto two = t.client.start(listener, 2, {.delay = 5h});
    one.terminate("never mind");
    two.cancel();

    CHECK(code_of([&] { (void)one.result(); }) == "FER-1104");
    CHECK(code_of([&] { (void)two.result(); }) == "FER-1101");
  });
}

TEST_CASE("a client waits as long as it says; the run goes on") {
  every_way([](kit& t) {
    serve(t);

    auto run = t.client.start(listener, 1, {.deadline = 100h});
    const auto begun = t.now();
    CHECK(code_of([&] { (void)run.result(30min); }) == "FER-1103");
    CHECK(t.now() - begun >= 30min);
    CHECK(t.now() - begun < 1h);
    run.signal(number, 1);

    CHECK(run.result(30min) == 2);
  });
}

TEST_CASE("list filters by workflow, state and time, a page at a time, the newest first") {
  every_way([](kit& t) {
    serve(t);

    auto one = t.client.start(listener, 1);
    one.signal(number, 1);
    CHECK(one.result() == 2);
    t.advance(1h);
    const auto later = t.now();
    auto two = t.client.start(listener, 2, {.key = "second"});
    t.advance(1min);
    auto three = t.client.start(other, 3);
    t.work();

    CHECK(t.client.list().size() == 3);
    CHECK(t.client.list({.workflow = "listener"}).size() == 2);
    CHECK(t.client.list({.state = fermata::run_state::running}).size() == 2);
    CHECK(t.client.list({.since = later}).size() == 2);
    CHECK(t.client.list({.until = later}).size() == 1);
    CHECK(t.client.list({.key = "second"})[0].id == two.id());
    const fermata::run_page page = t.client.list({.at_most = 2});
    REQUIRE(page.size() == 2);
    CHECK(page[0].id == three.id());
    CHECK(page[1].id == two.id());
    const fermata::run_page rest = t.client.list({.at_most = 2, .cursor = page.next});
    REQUIRE(rest.size() == 1);
    CHECK(rest[0].id == one.id());
    CHECK(rest.next.empty());
  });
}

TEST_CASE("describe says what a run waits for, and where") {
  every_way([](kit& t) {
    serve(t);

    auto run = t.client.start(listener, 1, {.key = "k", .priority = 3, .tags = {{"a", "b"}}});
    t.work();
    const fermata::run_info info = run.describe();

    CHECK(info.key == "k");
    CHECK(info.workflow == "listener");
    CHECK(info.priority == 3);
    CHECK(info.tags.at("a") == "b");
    CHECK(info.chain == run.id());
    CHECK(info.events == 2);
    CHECK(contains(info.waiting_for, "signal 'number' (client_test.cpp:"));
  });
}
