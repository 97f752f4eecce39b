// SPDX-License-Identifier: Apache-2.0
// Branches and children: several things at once.
#include "scenes.hpp"

namespace replay {

namespace {

constexpr fermata::step<int(int)> twice{"twice"}, flaky{"flaky"};
constexpr fermata::step<void(int)> undo{"undo"};
constexpr fermata::signal<int> number{"number"};
constexpr fermata::workflow<int(int)> adder{"adder"}, through{"through"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

void serve_steps(kit& t) {
  t.worker.serve(twice, [](int n) { return 2 * n; });
  t.worker.serve(flaky, [](int) -> int { throw fermata::failure("not yet"); });
  t.worker.serve(undo, [](int) {});
}

// ---- branches of one run ----

fermata::task<int> part(fermata::context& ctx, int minutes) {
  co_await ctx.sleep(std::chrono::minutes(minutes));
  int doubled = co_await ctx.call(twice, minutes);
  co_return doubled;
}

fermata::task<int> fails(fermata::context& ctx, int minutes) {
  co_await ctx.sleep(std::chrono::minutes(minutes));
  throw fermata::failure("fell over", {.type = "fallen"});
}

fermata::task<std::string> split(fermata::context& ctx, int n) {
  fermata::future<int> a = ctx.spawn(part(ctx, 1));
  fermata::future<int> b = ctx.spawn(part(ctx, 2));
  auto [x, y] = co_await ctx.all(a, b);
  std::vector<int> mapped = co_await ctx.map(twice, {1, 2, 3, 4, 5}, {.at_most = 2});

  std::vector<fermata::future<int>> either{ctx.spawn(part(ctx, 5)), ctx.spawn(part(ctx, 3))};
  fermata::first<int> sooner = co_await ctx.any(either);
  std::variant<int, int> winner = co_await ctx.race(ctx.spawn(part(ctx, 4)), ctx.call(twice, n));
  std::variant<std::monostate, int> given_up = co_await ctx.race(
      ctx.sleep(1min), ctx.call(flaky, n, {.retry = {.first_delay = 10h, .max_delay = 10h}}));
  fermata::outcome<int> fallen = co_await ctx.settle(ctx.spawn(fails(ctx, 1)));

  std::string late = "all in time";
  try {
    fermata::scope crew(ctx, {.deadline = 1h});
    crew.spawn(part(ctx, 2));
    crew.spawn(part(ctx, 120));
    co_await crew.join();
  } catch (const fermata::timed_out& why) {
    late = why.what();
  }
  co_return std::to_string(x + y) + " " + std::to_string(mapped.size()) + " " +
      std::to_string(sooner.index) + " " + std::to_string(winner.index()) + " " +
      std::to_string(given_up.index()) + " " + fallen.error().type() + " " + late;
}

void serve_split(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, split);
}

void act_split(kit& t) { (void)end_of(t.client.start(flow, 21)); }

// ---- children ----

fermata::task<int> add_number(fermata::context& ctx, int base) {
  ctx.on_failure(undo, base);
  int n = co_await ctx.receive(number);
  if (n < 0) throw fermata::failure("negative", {.type = "bad_number"});
  int doubled = co_await ctx.call(twice, base + n);
  co_return doubled;
}

fermata::task<int> pass_through(fermata::context& ctx, int n) {
  co_await ctx.sleep(std::chrono::minutes(n));
  auto child = ctx.start_child(adder, n);
  child.signal(number, 1);
  int sum = co_await child.result();
  co_return sum;
}

fermata::task<std::string> raise_children(fermata::context& ctx, int n) {
  auto good = ctx.start_child(adder, n);
  good.signal(number, 5);
  int sum = co_await good.result();

  auto bad = ctx.start_child(adder, n);
  bad.signal(number, -1);
  fermata::outcome<int> fell = co_await ctx.settle(bad.result());

  auto stopped = ctx.start_child(adder, n);
  co_await ctx.sleep(1min);
  stopped.cancel();
  std::string how = "went on";
  try {
    (void)co_await stopped.result();
  } catch (const fermata::cancelled&) {
    how = "stopped";
  }
  std::vector<int> all = co_await ctx.map(through, {1, 2, 3}, {.at_most = 2});

  auto left = ctx.start_child(adder, 9, {.on_parent_close = fermata::parent_close::cancel});
  co_await ctx.sleep(1min);
  co_return std::to_string(sum) + " " + fell.error().type() + " " + how + " " +
      std::to_string(all.back()) + " " + left.id();
}

void serve_children(kit& t) {
  serve_steps(t);
  t.worker.serve(adder, add_number);
  t.worker.serve(through, pass_through);
  t.worker.serve(flow, raise_children);
}

void act_children(kit& t) { (void)end_of(t.client.start(flow, 4)); }

}  // namespace

const std::vector<scene>& branch_scenes() {
  static const std::vector<scene> all{
      {"branches", serve_split, act_split},
      {"children", serve_children, act_children},
  };
  return all;
}

}  // namespace replay
