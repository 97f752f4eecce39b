// SPDX-License-Identifier: Apache-2.0
// Runs that fail, are cancelled, terminated, expire, or are retried.
#include "engine/operate/operate.hpp"
#include "scenes.hpp"
#include "src/journal_impl.hpp"

namespace replay {

namespace {

struct order {
  std::string id;
  int cents = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents))

constexpr fermata::step<std::string(order)> reserve{"reserve"}, charge{"charge"}, ship{"ship"};
constexpr fermata::step<void(std::string)> release{"release"}, undo{"undo"};
constexpr fermata::step<void(order)> refund_by_key{"refund_by_key"};
constexpr fermata::step<std::string(std::string)> note{"note"};
constexpr fermata::signal<> go_on{"go_on"};
constexpr fermata::workflow<void(std::string)> apologise{"apologise"};
constexpr fermata::workflow<std::string(order)> buy{"buy"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

void serve_steps(kit& t) {
  t.worker.serve(reserve, [](const order& o) { return "h-" + o.id; });
  t.worker.serve(charge, [](const order& o) { return "c-" + o.id; });
  t.worker.serve(ship, [](const order& o) { return "s-" + o.id; });
  t.worker.serve(release, [](const std::string&) {});
  t.worker.serve(undo, [](const std::string&) {});
  t.worker.serve(refund_by_key, [](const order&) {});
  t.worker.serve(note, [](const std::string& what) { return what; });
}

fermata::engine::store& store_of(kit& t) { return fermata::detail::inside(t.journal).store(); }

fermata::engine::run_id id_of(const fermata::any_run& run) {
  return *fermata::engine::run_id::parse(run.id());
}

// ---- compensation ----

fermata::task<void> say_sorry(fermata::context& ctx, std::string whom) {
  co_await ctx.sleep(1h);
  co_await ctx.call(release, "sorry " + whom);
}

fermata::task<std::string> saga(fermata::context& ctx, order o) {
  ctx.on_failure(apologise, o.id);
  std::string held = co_await ctx.call(reserve, o);
  ctx.on_failure(release, held, {.retry = {.max_attempts = 5, .first_delay = 1h}});
  std::string paid = co_await ctx.call(charge, o, {.undo = refund_by_key});
  std::string sent =
      co_await ctx.call(ship, o, {.retry = {.max_attempts = 3, .first_delay = 1min}});
  co_return paid + sent;
}

void serve_saga(kit& t) {
  serve_steps(t);
  t.worker.serve(apologise, say_sorry);
  t.worker.serve(buy, saga);
}

void act_saga(kit& t) {
  t.fail(ship, fermata::failure("carrier is down", {.type = "carrier"}));
  t.fail(release, fermata::failure("warehouse is closed"), 2);
  (void)end_of(t.client.start(buy, order{"o1", 1999}));
}

void act_saga_without_failure(kit& t) { (void)end_of(t.client.start(buy, order{"o1", 1999})); }

/// The outcome of the charge is unknown: `.undo` is registered all the same.
void act_unknown_charge(kit& t) {
  t.fail(charge, fermata::failure("no answer", {.retryable = false}));
  (void)end_of(t.client.start(buy, order{"o1", 1999}));
}

// ---- cancel ----

fermata::task<std::string> careful(fermata::context& ctx, int) {
  std::string a = co_await ctx.call(note, "a");
  ctx.on_failure(undo, a);
  auto stretch = [](fermata::context& in) -> fermata::task<int> {
    co_await in.sleep(1h);
    std::string b = co_await in.call(note, "inside");
    in.on_failure(undo, b);
    co_return 7;
  };
  int seven = co_await ctx.shield(stretch(ctx));
  bool stopped = false;
  try {
    co_await ctx.receive(go_on);
  } catch (const fermata::cancelled&) {
    stopped = true;
  }
  auto clean = [](fermata::context& in) -> fermata::task<void> {
    co_await in.sleep(1min);
    (void)co_await in.call(note, "tidy");
  };
  if (stopped) co_await ctx.shield(clean(ctx));
  std::string never = co_await ctx.call(note, "never " + std::to_string(seven));
  co_return never;
}

void serve_careful(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, careful);
}

void act_cancel_in_stretch(kit& t) {
  auto run = t.client.start(flow, 0);
  t.advance(10min);
  run.cancel();
  (void)end_of(run);
}

void act_cancel_while_waiting(kit& t) {
  auto run = t.client.start(flow, 0);
  t.advance(2h);
  run.cancel();
  (void)end_of(run);
}

void act_deadline(kit& t) { (void)end_of(t.client.start(flow, 0, {.deadline = 2h})); }

void act_terminate(kit& t) {
  auto run = t.client.start(flow, 0);
  t.advance(2h);
  run.terminate("enough");
}

void act_expire(kit& t) {
  (void)t.client.start(flow, 0, {.delay = 2h, .not_after = t.now() + 1h});
  t.advance(3h);
}

// ---- a step that never listens ----

fermata::task<std::string> abandon(fermata::context& ctx, int) {
  fermata::future<std::string> lost = ctx.call(note, "lost");
  co_await ctx.sleep(1min);
  co_return lost.ready() ? "ready" : "gone on";
}

void serve_abandon(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, abandon);
}

void act_abandon(kit& t) {
  t.hang(note);
  (void)end_of(t.client.start(flow, 0));
}

// ---- steps that mustn't be tried again after a crash ----

fermata::task<std::string> once_only(fermata::context& ctx, int) {
  fermata::outcome<std::string> a =
      co_await ctx.settle(ctx.call(note, "a", {.on_crash = fermata::on_crash::fail}));
  std::string b = co_await ctx.call(note, "b", {.on_crash = fermata::on_crash::ask});
  co_return (a ? a.value() : a.error().type()) + " " + b;
}

void serve_once(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, once_only);
}

void act_once(kit& t) {
  t.hang(note, 1);
  auto run = t.client.start(flow, 0);
  t.work();
  t.worker.serve(flow, once_only);  // the process is another one
  (void)end_of(run);
}

// ---- crashes and retries ----

fermata::task<std::string> two_notes(fermata::context& ctx, int) {
  std::string a = co_await ctx.call(note, "a");
  co_await ctx.sleep(1h);
  std::string b = co_await ctx.call(note, "b", {.retry = {.max_attempts = 2}});
  co_return a + b + ctx.uuid();
}

void serve_notes(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, two_notes);
}

fermata::engine::worker_row owner_of(kit& t, const fermata::any_run& run) {
  const auto row = store_of(t).find_run(id_of(run));
  const auto workers = store_of(t).workers();
  for (const fermata::engine::worker_row& one : *workers)
    if (one.row == row->owner) return one;
  return {};
}

void act_crash(kit& t) {
  t.hang(note, 2);
  auto run = t.client.start(flow, 0);
  for (const int signal : {11, 0}) {  // known to be guilty, then under suspicion
    t.work();
    const fermata::engine::worker_row dead = owner_of(t, run);
    t.worker.serve(flow, two_notes);  // the process is another one
    const fermata::engine::blame found{.operation = "1",
                                       .step = "note",
                                       .attempt = signal != 0 ? 1 : 2,
                                       .signal = signal,
                                       .backtrace = "decode+0x20",
                                       .alone = true};
    (void)fermata::engine::journal_blame(store_of(t), id_of(run), dead, {found});
  }
  (void)end_of(run);
}

void act_retry(kit& t) {
  t.fail(note, fermata::failure("down"), 0);
  auto run = t.client.start(flow, 0);
  t.advance(10min);
  t.fail(note, fermata::failure("down"), 2);
  (void)end_of(run);
  (void)fermata::engine::retry(store_of(t), id_of(run), {.who = "ada", .why = "repaired"}, false);
  (void)end_of(run);
}

}  // namespace

const std::vector<scene>& ending_scenes() {
  static const std::vector<scene> all{
      {"saga_failed", serve_saga, act_saga},
      {"saga_completed", serve_saga, act_saga_without_failure},
      {"saga_unknown_charge", serve_saga, act_unknown_charge},
      {"cancelled_in_shield", serve_careful, act_cancel_in_stretch},
      {"cancelled_while_waiting", serve_careful, act_cancel_while_waiting},
      {"cancelled_by_deadline", serve_careful, act_deadline},
      {"terminated", serve_careful, act_terminate},
      {"expired", serve_careful, act_expire},
      {"abandoned", serve_abandon, act_abandon},
      {"crashed_once_only", serve_once, act_once},
      {"crashed", serve_notes, act_crash},
      {"retried", serve_notes, act_retry},
  };
  return all;
}

}  // namespace replay
