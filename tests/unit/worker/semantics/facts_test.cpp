// SPDX-License-Identifier: Apache-2.0
// What a run knows and shows: time, chance, status, published values, tags, logs.
#include "semantics.hpp"
#include "src/journal_impl.hpp"

#include <map>

using namespace semantics;

namespace {

struct draft {
  std::string text;
  int round = 0;
};
BOOST_DESCRIBE_STRUCT(draft, (), (text, round))

constexpr fermata::step<int(int)> twice{"twice"};
constexpr fermata::signal<> go_on{"go_on"};
constexpr fermata::published<draft> current_draft{"current_draft"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

}  // namespace

TEST_CASE("now, random and uuid are the same in every world and in every replay") {
  std::string seen;
  every_way([&](kit& t) {
    t.worker.serve(twice, [](int n) { return 2 * n; });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto facts = [](fermata::context& in) {
        return std::to_string(in.now().time_since_epoch().count()) + " " + in.uuid() + " " +
               std::to_string(in.random()) + " " + std::to_string(in.random(1, 6)) + "\n";
      };
      std::string told = facts(ctx);
      auto branch = [&](fermata::context& in) -> fermata::task<std::string> {
        std::string mine = facts(in);
        co_await in.sleep(1h);
        mine += facts(in);
        co_return mine;
      };
      fermata::future<std::string> inside = ctx.spawn(branch);
      (void)co_await ctx.call(twice, n);
      told += facts(ctx);
      std::string theirs = co_await inside;
      told += theirs;
      co_return told;
    });

    const std::string told = t.client.start(flow, 1).result();

    if (seen.empty()) seen = told;
    CHECK(told == seen);
  });
  std::set<std::string> different;
  for (std::size_t at = 0; at < seen.size(); at = seen.find('\n', at) + 1)
    different.insert(seen.substr(at, seen.find('\n', at) - at));
  CHECK(different.size() == 4);
}

TEST_CASE(
    "a status that is too long is cut between characters, and is UTF-8 whatever the code gave") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      std::string text = "a\xff";
      for (int i = 0; i < 1000; ++i) text += "\u00e9";
      ctx.status(text);
      co_await ctx.receive(go_on);
      co_return "done";
    });

    auto run = t.client.start(flow, 1);
    t.work();
    std::string wanted = "a\ufffd";
    for (int i = 0; i < 511; ++i) wanted += "\u00e9";
    CHECK(run.describe().status == wanted);
    run.signal(go_on);

    CHECK(run.result() == "done");
  });
}

TEST_CASE("a run shows its status, and the newest of what it published") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int rounds) -> fermata::task<std::string> {
      for (int round = 1; round <= rounds; ++round) {
        ctx.publish(current_draft, draft{"draft", round});
        ctx.status("round " + std::to_string(round));
        co_await ctx.receive(go_on);
      }
      co_return "done";
    });

    auto run = t.client.start(flow, 2);
    CHECK(!run.published(current_draft));
    t.work();
    CHECK(run.published(current_draft)->round == 1);
    CHECK(run.describe().status == "round 1");
    run.signal(go_on);
    t.work();
    CHECK(run.published(current_draft)->round == 2);
    CHECK(run.describe().status == "round 2");
    run.signal(go_on);

    CHECK(run.result() == "done");
    CHECK(run.published(current_draft)->round == 2);
  });
}

TEST_CASE("a branch that fails at the root's last event isn't given up: nobody has looked at it") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      fermata::future<void> first = ctx.sleep(1h);
      fermata::future<void> both = ctx.sleep(2h);
      auto branch = [first, both](fermata::context&) -> fermata::task<void> {
        co_await first;
        co_await both;  // after the root does
        throw fermata::failure("last words", {.type = "late", .retryable = false});
      };
      (void)ctx.spawn(branch);
      co_await both;
      co_return "done";
    });

    auto run = t.client.start(flow, 1);

    CHECK_THROWS_WITH_AS(run.result(), doctest::Contains("last words"), fermata::failure);
  });
}

TEST_CASE("code that throws before its coroutine begins fails as one that throws in it") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context&, int) -> fermata::task<std::string> {
      throw fermata::failure("not even begun", {.type = "early", .retryable = false});
    });

    auto run = t.client.start(flow, 1);

    CHECK_THROWS_WITH_AS(run.result(), doctest::Contains("not even begun"), fermata::failure);
  });
}

TEST_CASE("a run has at most 32 tags, those of its start included") {
  constexpr fermata::workflow<std::string(int)> many{"many"};
  every_way([&](kit& t) {
    t.worker.serve(many, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      std::vector<std::string> names;
      for (int i = 0; i < n; ++i) names.push_back("tag-" + std::to_string(i));
      std::string refused;
      try {
        for (const std::string& name : names) ctx.tag(fermata::name::dynamic(name), "x");
        ctx.tag("tag-0", "again");
      } catch (const fermata::failure& why) {
        refused = why.type();
      }
      co_await ctx.sleep(1min);
      try {
        ctx.tag("tag-0", "\xff");
      } catch (const fermata::failure& why) {
        refused += " " + why.type();
      }
      co_return refused;
    });
    const fermata::start_options two{.tags = {{"customer", "c-7"}, {"tag-1", "y"}}};

    CHECK(t.client.start(many, 31, two).result() == " bad_tag");
    CHECK(t.client.start(many, 32, two).result() == "too_many_tags bad_tag");
    CHECK(t.client.list({.tags = {{"tag-0", "again"}}}).size() == 1);
  });
}

TEST_CASE("runs are found by their tags, given at the start or by themselves") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      ctx.tag("parity", n % 2 == 0 ? "even" : "odd");
      co_await ctx.sleep(1s);
      ctx.tag("state", "slept");
      co_return "done";
    });

    for (int n : {1, 2, 3}) {
      auto run = t.client.start(flow, n, {.tags = {{"customer", "c-7"}}});
      CHECK(run.result() == "done");
    }

    CHECK(t.client.list({.tags = {{"customer", "c-7"}}}).size() == 3);
    CHECK(t.client.list({.tags = {{"parity", "odd"}}}).size() == 2);
    CHECK(t.client.list({.tags = {{"parity", "odd"}, {"state", "slept"}}}).size() == 2);
    CHECK(t.client.list({.tags = {{"parity", "strange"}}}).empty());
  });
}

TEST_CASE("a log line stands once in the run's log, in every world") {
  every_way([](kit& t) {
    t.worker.serve(twice, [](int n) { return 2 * n; });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      ctx.log("begun");
      ctx.log(fermata::level::warning, "twice at one position");
      int a = co_await ctx.call(twice, n);
      ctx.log("doubled " + std::to_string(a));
      co_await ctx.sleep(1h);
      ctx.log("slept");
      co_return "done";
    });

    auto run = t.client.start(flow, 1);
    CHECK(run.result() == "done");

    const auto id = fermata::engine::run_id::parse(run.id());
    auto lines = fermata::detail::inside(t.journal).store().logs(*id, 100);
    REQUIRE(lines.ok());
    std::string told;
    std::set<std::pair<std::uint64_t, int>> places;
    for (const auto& line : *lines) {
      told += line.text + "; ";
      CHECK(places.emplace(line.position, line.ordinal).second);
    }
    CHECK(told == "begun; twice at one position; doubled 2; slept; ");
  });
}

TEST_CASE("what a run publishes can be read after a failure, too") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      ctx.publish(current_draft, draft{"last words", 9});
      throw fermata::failure("no", {.type = "tired"});
      co_return "never";
    });

    auto run = t.client.start(flow, 1);

    CHECK(problem_of([&] { (void)run.result(); }) == "no");
    CHECK(run.published(current_draft)->text == "last words");
    CHECK(run.describe().error_type == "tired");
    CHECK(run.describe().error == "tired: no");
  });
}
