// SPDX-License-Identifier: Apache-2.0
// Runs that were still open when they were recorded, and code that was changed under them.
#include "engine/operate/operate.hpp"
#include "scenes.hpp"
#include "src/journal_impl.hpp"

namespace replay {

namespace {

using fermata::testing::mismatch;

constexpr fermata::step<int(int)> twice{"twice"}, thrice{"thrice"};
constexpr fermata::step<void(int)> undo{"undo"};
constexpr fermata::signal<int> number{"number"};
constexpr fermata::workflow<int(int)> adder{"adder"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

void serve_steps(kit& t) {
  t.worker.serve(twice, [](int n) { return 2 * n; });
  t.worker.serve(thrice, [](int n) { return 3 * n; });
  t.worker.serve(undo, [](int) {});
}

fermata::engine::store& store_of(kit& t) { return fermata::detail::inside(t.journal).store(); }

fermata::engine::run_id id_of(const fermata::any_run& run) {
  return *fermata::engine::run_id::parse(run.id());
}

void expect(const std::string& is, const std::string& should) {
  if (is != should) throw mismatch("'" + is + "' instead of '" + should + "'");
}

void ends_with_value(kit& t, const std::string& should) {
  expect(only_run<std::string>(t, "flow").result(), should);
}

void ends_with_problem(kit& t, const std::string& should) {
  expect(end_of(only_run<std::string>(t, "flow")), should);
}

// ---- waits for a signal ----

fermata::task<std::string> ask_twice(fermata::context& ctx, int n) {
  int doubled = co_await ctx.call(twice, n);
  int one = co_await ctx.receive(number);
  std::optional<int> two = co_await ctx.receive(number, 10h);
  int tripled = co_await ctx.call(thrice, doubled + one + two.value_or(0));
  co_return std::to_string(tripled);
}

void serve_asking(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, ask_twice);
}

void act_asking(kit& t) {
  auto run = t.client.start(flow, 1);
  t.work();
  run.signal(number, 10);
  t.advance(1h);
}

void answer_in_time(kit& t) {
  only_run<std::string>(t, "flow").signal(number, 100);
  ends_with_value(t, "336");
}

void say_nothing(kit& t) { ends_with_value(t, "36"); }

// ---- waits for the next attempt ----

fermata::task<std::string> be_patient(fermata::context& ctx, int n) {
  int doubled = co_await ctx.call(
      twice, n, {.retry = {.max_attempts = 99, .first_delay = 10h, .max_delay = 10h}});
  co_return std::to_string(doubled);
}

void serve_patience(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, be_patient);
}

void act_patience(kit& t) {
  t.fail(twice, fermata::failure("not yet"));
  (void)t.client.start(flow, 4);
  t.advance(20h);
}

// ---- compensation is under way ----

fermata::task<std::string> undo_thrice(fermata::context& ctx, int n) {
  for (int i = 1; i <= 3; ++i) ctx.on_failure(undo, i, {.retry = {.max_attempts = 2}});
  int doubled = co_await ctx.call(twice, n);
  co_await ctx.sleep(1min);
  throw fermata::failure("no more than " + std::to_string(doubled), {.type = "too_much"});
}

void serve_undoing(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, undo_thrice);
}

void act_undoing(kit& t) {
  t.fail(undo, fermata::failure("bank is broke"));
  (void)t.client.start(flow, 4);
  t.advance(1h);
}

/// It still needs a person; then the rest is undone.
void help_undoing(kit& t) {
  auto run = only_run<std::string>(t, "flow");
  t.work();
  if (run.describe().attention != fermata::attention::needs_attention)
    throw mismatch("a compensation that gave up needs nobody's attention");
  const fermata::engine::act by{.who = "ada", .why = "repaired"};
  if (auto again = fermata::engine::retry(store_of(t), id_of(run), by, false); !again.ok())
    throw mismatch(std::string(again.status().message()));
  ends_with_problem(t, "no more than 8");
}

// ---- cancelled inside a shielded stretch ----

fermata::task<std::string> take_shelter(fermata::context& ctx, int n) {
  auto stretch = [](fermata::context& in, int m) -> fermata::task<int> {
    co_await in.sleep(10h);
    int doubled = co_await in.call(twice, m);
    in.on_failure(undo, doubled);
    co_return doubled;
  };
  int doubled = co_await ctx.shield(stretch(ctx, n));
  int tripled = co_await ctx.call(thrice, doubled);
  co_return std::to_string(tripled);
}

void serve_shelter(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, take_shelter);
}

void act_shelter(kit& t) {
  auto run = t.client.start(flow, 4);
  t.advance(1h);
  run.cancel();
  t.advance(1h);
}

void leave_shelter(kit& t) {
  ends_with_problem(t, "run " + only_run<std::string>(t, "flow").id() + " was cancelled");
}

// ---- paused by an operator ----

void act_pause(kit& t) {
  auto run = t.client.start(flow, 1);
  t.work();
  (void)fermata::engine::pause(store_of(t), id_of(run), {.who = "ada", .why = "bank is down"});
  t.advance(1h);
}

void resume_and_answer(kit& t) {
  auto run = only_run<std::string>(t, "flow");
  (void)fermata::engine::pause(store_of(t), id_of(run), {.who = "ada", .why = "once more"});
  run.signal(number, 1);
  run.signal(number, 1);
  (void)fermata::engine::resume(store_of(t), id_of(run), {.who = "ada", .why = "it is up"});
  ends_with_value(t, "12");
}

// ---- branches and children in flight ----

fermata::task<int> wait_for_number(fermata::context& ctx, int base) {
  int n = co_await ctx.receive(number);
  int doubled = co_await ctx.call(twice, base + n);
  co_return doubled;
}

fermata::task<std::string> wait_for_all(fermata::context& ctx, int n) {
  auto slow = [](fermata::context& in, int m) -> fermata::task<int> {
    co_await in.sleep(10h);
    int tripled = co_await in.call(thrice, m);
    co_return tripled;
  };
  fermata::scope crew(ctx, {.deadline = 100h});
  fermata::future<int> branch = crew.spawn(slow(ctx, n));
  fermata::future<int> child = crew.add(ctx.call(adder, n));
  fermata::future<int> call = crew.add(ctx.call(twice, n));
  co_await crew.join();
  auto [a, b, c] = co_await ctx.all(branch, child, call);
  co_return std::to_string(a) + " " + std::to_string(b) + " " + std::to_string(c);
}

void serve_waiting(kit& t) {
  serve_steps(t);
  t.worker.serve(adder, wait_for_number);
  t.worker.serve(flow, wait_for_all);
}

void act_waiting(kit& t) {
  (void)t.client.start(flow, 4);
  t.advance(1h);
}

void answer_child(kit& t) {
  only_run<int>(t, "adder").signal(number, 6);
  ends_with_value(t, "12 20 8");
}

// ---- changed code ----

fermata::task<std::string> as_it_was(fermata::context& ctx, int n) {
  int a = co_await ctx.call(twice, n);
  co_await ctx.sleep(10h);
  int b = co_await ctx.call(twice, a);
  co_return std::to_string(b);
}

fermata::task<std::string> as_it_is(fermata::context& ctx, int n) {
  int a = 0;
  if (ctx.patched("thrice-first"))
    a = co_await ctx.call(thrice, n);
  else
    a = co_await ctx.call(twice, n);
  co_await ctx.sleep(10h);
  int b = 0;
  if (ctx.patched("thrice-last"))
    b = co_await ctx.call(thrice, a);
  else
    b = co_await ctx.call(twice, a);
  co_return std::to_string(b);
}

void serve_patched(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, as_it_is);
}

void act_patched(kit& t) { (void)end_of(t.client.start(flow, 5)); }

/// Begun by the old code; the new one meets its first line too late, its second in time.
void act_before_patch(kit& t) {
  t.worker.serve(flow, as_it_was);
  (void)t.client.start(flow, 5);
  t.advance(1h);
}

/// Ended under the old code.
void act_unpatched(kit& t) {
  t.worker.serve(flow, as_it_was);
  (void)end_of(t.client.start(flow, 5));
}

void go_on_patched(kit& t) { ends_with_value(t, "30"); }

}  // namespace

const std::vector<scene>& open_scenes() {
  static const std::vector<scene> all{
      {"open_answered", serve_asking, act_asking, answer_in_time},
      {"open_unanswered", serve_asking, act_asking, say_nothing},
      {"open_retrying", serve_patience, act_patience, [](kit& t) { ends_with_value(t, "8"); }},
      {"open_compensating", serve_undoing, act_undoing, help_undoing},
      {"open_cancelled_in_shield", serve_shelter, act_shelter, leave_shelter},
      {"open_paused", serve_asking, act_pause, resume_and_answer},
      {"open_branches", serve_waiting, act_waiting, answer_child},
      {"patched", serve_patched, act_patched},
      {"open_before_patch", serve_patched, act_before_patch, go_on_patched},
      {"unpatched", serve_patched, act_unpatched},
  };
  return all;
}

}  // namespace replay
