// SPDX-License-Identifier: Apache-2.0
#include "semantics.hpp"

using namespace semantics;

namespace {

constexpr fermata::signal<int> number{"number"};
constexpr fermata::step<int(int)> twice{"twice"};
constexpr fermata::step<void(int)> undo{"undo"};
constexpr fermata::workflow<int(int)> child_flow{"child_flow"}, grandchild{"grandchild"};
constexpr fermata::workflow<std::string(int)> parent_flow{"parent_flow"};

fermata::task<int> wait_for_number(fermata::context& ctx, int base) {
  ctx.on_failure(undo, base);
  int n = co_await ctx.receive(number);
  if (n < 0) throw fermata::failure("negative", {.type = "bad_number"});
  co_return base + n;
}

void serve(kit& t, outside& world) {
  t.worker.serve(twice, [](int n) { return 2 * n; });
  t.worker.serve(undo, [&](int n) { world.note("undo " + std::to_string(n)); });
  t.worker.serve(child_flow, wait_for_number);
}

fermata::run_info child_of(kit& t, std::string_view workflow = "child_flow") {
  const auto found = t.client.list({.workflow = std::string(workflow)});
  REQUIRE(found.size() == 1);
  return found[0];
}

template <fermata::parent_close Policy>
fermata::task<std::string> leave_child(fermata::context& ctx, int n) {
  auto child = ctx.start_child(child_flow, n, {.on_parent_close = Policy});
  co_await ctx.sleep(1min);
  co_return child.id();
}

}  // namespace

TEST_CASE("a child answers what its parent signals, and has its priority") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto child = ctx.start_child(child_flow, n);
      child.signal(number, 5);
      int sum = co_await child.result();
      co_return std::to_string(sum);
    });

    auto run = t.client.start(parent_flow, 4, {.priority = 3});

    CHECK(run.result() == "9");
    const fermata::run_info child = child_of(t);
    CHECK(child.state == fermata::run_state::completed);
    CHECK(child.parent == run.id());
    CHECK(child.priority == 3);
  });
}

TEST_CASE("a failing child fails the call with its type and message") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto child = ctx.start_child(child_flow, n);
      child.signal(number, -1);
      fermata::outcome<int> how = co_await ctx.settle(child.result());
      co_return how.error().type() + ": " + how.error().what();
    });

    CHECK(t.client.start(parent_flow, 4).result() == "bad_number: negative");
    CHECK(world.story() == "undo 4");
  });
}

TEST_CASE("a child that is asked to stop undoes what it did, then its parent goes on") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto child = ctx.start_child(child_flow, n);
      co_await ctx.sleep(1min);
      child.cancel();
      std::string how = "?";
      try {
        (void)co_await child.result();
      } catch (const fermata::cancelled&) {
        how = "cancelled";
      }
      co_await ctx.sleep(1min);
      co_return how;
    });

    CHECK(t.client.start(parent_flow, 4).result() == "cancelled");
    CHECK(world.story() == "undo 4");
    CHECK(child_of(t).state == fermata::run_state::cancelled);
  });
}

TEST_CASE("on_parent_close = terminate: the child is ended, nothing is undone") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, leave_child<fermata::parent_close::terminate>);
    t.fail(twice, fermata::failure("unused"));

    auto run = t.client.start(parent_flow, 4);
    t.advance(10s);
    run.terminate("enough");
    t.work();

    CHECK(child_of(t).state == fermata::run_state::terminated);
    CHECK(world.story() == "");
    CHECK(code_of([&] { (void)run.result(); }) == "FER-1104");
  });
}

TEST_CASE("on_parent_close = cancel: the child undoes what it did") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, leave_child<fermata::parent_close::cancel>);

    auto run = t.client.start(parent_flow, 4);
    t.advance(10s);
    run.terminate("enough");
    t.work();

    CHECK(child_of(t).state == fermata::run_state::cancelled);
    CHECK(world.story() == "undo 4");
  });
}

TEST_CASE("on_parent_close = abandon: the child goes on, and ends by itself") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, leave_child<fermata::parent_close::abandon>);

    auto run = t.client.start(parent_flow, 4);
    const std::string id = run.result();
    t.advance(1h);
    CHECK(child_of(t).state == fermata::run_state::running);
    t.client.find(id).signal(number, 1);
    t.work();

    CHECK(child_of(t).state == fermata::run_state::completed);
  });
}

TEST_CASE("a parent that returns stops the children it didn't await, by their policy") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, leave_child<fermata::parent_close::cancel>);

    auto run = t.client.start(parent_flow, 4);
    (void)run.result();
    t.work();

    CHECK(child_of(t).state == fermata::run_state::cancelled);
    CHECK(world.story() == "undo 4");
  });
}

TEST_CASE("a child of a child: a result goes up, a cancel goes down") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(grandchild, wait_for_number);
    t.worker.serve(child_flow, [](fermata::context& ctx, int n) -> fermata::task<int> {
      int from_below = co_await ctx.call(grandchild, n * 10);
      int doubled = co_await ctx.call(twice, from_below);
      co_return doubled;
    });
    t.worker.serve(parent_flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int sum = co_await ctx.call(child_flow, n);
      co_return std::to_string(sum);
    });

    auto good = t.client.start(parent_flow, 1);
    t.work();
    t.client.find(child_of(t, "grandchild").id).signal(number, 5);
    CHECK(good.result() == "30");

    auto stopped = t.client.start(parent_flow, 2);
    t.work();
    stopped.cancel();
    CHECK(problem_of([&] { (void)stopped.result(); }) == "run " + stopped.id() + " was cancelled");
    CHECK(world.story() == "undo 20");
  });
}

TEST_CASE("a child has a key and a deadline of its own") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      fermata::outcome<int> how =
          co_await ctx.settle(ctx.call(child_flow, n, {.key = "the-child", .deadline = 1h}));
      co_return how ? "done" : std::string(how.error().what());
    });

    auto run = t.client.start(parent_flow, 4);

    CHECK(run.result() == "the deadline of the run has passed");
    CHECK(t.client.attach(child_flow, "the-child").describe().state ==
          fermata::run_state::cancelled);
    CHECK(world.story() == "undo 4");
  });
}

TEST_CASE("two children signal each other through their parent's knowledge of their ids") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto one = ctx.start_child(child_flow, n);
      auto two = ctx.start_child(child_flow, n + 1);
      ctx.signal(one.id(), number, 10);
      ctx.signal(two.id(), number, 20);
      auto [a, b] = co_await ctx.all(one.result(), two.result());
      co_return std::to_string(a) + " " + std::to_string(b);
    });

    CHECK(t.client.start(parent_flow, 1).result() == "11 22");
  });
}

TEST_CASE("a signal to a run that has ended is dropped, the sender goes on") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.worker.serve(parent_flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto child = ctx.start_child(child_flow, n);
      child.signal(number, 1);
      int sum = co_await child.result();
      child.signal(number, 2);
      co_await ctx.sleep(1min);
      co_return std::to_string(sum);
    });

    CHECK(t.client.start(parent_flow, 1).result() == "2");
  });
}
