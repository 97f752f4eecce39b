// SPDX-License-Identifier: Apache-2.0
// Steps on queues of their own.
#include "engine/store/tasks.hpp"
#include "scenes.hpp"
#include "src/journal_impl.hpp"

#include <numeric>

namespace replay {

namespace {

using fermata::testing::mismatch;

constexpr fermata::step<int(int)> render{"render", {.queue = "gpu"}};
constexpr fermata::step<int(int)> broken{"broken", {.queue = "gpu"}};
constexpr fermata::step<int(int)> slow{"slow", {.queue = "gpu"}};
constexpr fermata::step<int(int)> near_by{"near_by"};
constexpr fermata::step<void(int)> undo{"undo", {.queue = "bank"}};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

void serve_steps(kit& t) {
  t.worker.serve(render, [](int n) { return 10 * n; });
  t.worker.serve(broken, [](int) -> int {
    throw fermata::failure("no such picture", {.type = "not_found", .retryable = false});
  });
  t.worker.serve(slow, [](int n) { return n; });
  t.worker.serve(near_by, [](int n) { return n + 1; });
  t.worker.serve(undo, [](int) {});
}

fermata::engine::store& store_of(kit& t) { return fermata::detail::inside(t.journal).store(); }

/// The worker that executes the one task says nothing more: this is told instead.
void task_ends(kit& t, fermata::engine::task_end how, int signal) {
  namespace engine = fermata::engine;
  const std::string id = t.client.list({.workflow = "flow"})[0].id;
  const auto tasks = store_of(t).tasks(*engine::run_id::parse(id));
  if (!tasks.ok() || tasks->size() != 1) throw mismatch("not one task");
  engine::batch one;
  engine::message told = engine::outcome_of(tasks->front(), how, "wrk_");
  told.details.mutable_task_end()->set_signal(signal);
  one.finish.push_back({engine::name_of(tasks->front()), told});
  if (!store_of(t).commit(std::move(one)).ok()) throw mismatch("the journal isn't written");
  t.work();
}

// ---- near and far, retries, a time-out, many at once ----

fermata::task<std::string> render_all(fermata::context& ctx, int n) {
  auto [a, b] = co_await ctx.all(ctx.call(render, n), ctx.call(near_by, n));
  fermata::outcome<int> c = co_await ctx.settle(ctx.call(broken, a));
  fermata::outcome<int> d = co_await ctx.settle(
      ctx.call(slow, b, {.timeout = 1min, .retry = {.max_attempts = 2, .first_delay = 10s}}));
  std::vector<int> many = co_await ctx.map(render, std::vector{1, 2, 3}, {.at_most = 2});
  int sum = std::accumulate(many.begin(), many.end(), a + b);
  co_return std::to_string(sum) + " " + (c ? "fine" : c.error().type()) + " " +
      (d ? "fine" : d.error().type());
}

void serve_rendering(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, render_all);
}

void act_rendering(kit& t) {
  t.fail(render, fermata::failure("out of memory"), 2);
  t.hang(slow);
  (void)end_of(t.client.start(flow, 3));
}

// ---- cancelled while a step is in a queue; undone in another ----

fermata::task<std::string> render_and_undo(fermata::context& ctx, int n) {
  int a = co_await ctx.call(render, n, {.undo = undo});
  ctx.on_failure(undo, a);
  auto first = co_await ctx.race(ctx.call(near_by, a, {.queue = "attic"}), ctx.call(near_by, a));
  int b = co_await ctx.call(near_by, a, {.queue = "attic"});
  co_return std::to_string(first.index() + static_cast<std::size_t>(b));
}

void serve_undoing(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, render_and_undo);
}

void act_undoing(kit& t) {
  auto run = t.client.start(flow, 1);
  t.advance(1h);
  run.cancel();
  (void)end_of(run);
}

// ---- workers that die, and one that gives back ----

fermata::task<std::string> render_one(fermata::context& ctx, int n) {
  int a = co_await ctx.call(render, n);
  int b = co_await ctx.call(near_by, a);
  co_return std::to_string(b);
}

void serve_one(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, render_one);
}

void act_dying(kit& t) {
  using fermata::engine::task_end;
  t.hang(render, 3);
  auto run = t.client.start(flow, 4);
  t.work();
  task_ends(t, task_end::lost, 11);
  task_ends(t, task_end::lost, 0);
  task_ends(t, task_end::given_back, 0);
  (void)end_of(run);
}

// ---- open: it waits in a queue ----

void act_waiting(kit& t) {
  t.hang(render);
  (void)t.client.start(flow, 4);
  t.advance(1h);
}

void somebody_serves(kit& t) {
  const std::string is = only_run<std::string>(t, "flow").result();
  if (is != "41") throw mismatch("'" + is + "' instead of '41'");
}

}  // namespace

const std::vector<scene>& queue_scenes() {
  static const std::vector<scene> all{
      {"queues", serve_rendering, act_rendering},
      {"queues_cancelled", serve_undoing, act_undoing},
      {"queues_died", serve_one, act_dying},
      {"open_queued", serve_one, act_waiting, somebody_serves},
  };
  return all;
}

}  // namespace replay
