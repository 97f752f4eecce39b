// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/workload.hpp"

#include "tests/attack/simulation/world.hpp"

#include <chrono>
#include <string>
#include <utility>

using namespace std::chrono_literals;

namespace fermata::simulation {

namespace {

constexpr int parts = 19;
constexpr int parts_of_children = 15;  // of these
constexpr retry_policy until_it_works{
    .max_attempts = 10'000, .first_delay = 200ms, .max_delay = 2s};
constexpr step_options patient{.timeout = 8s, .retry = until_it_works};

constexpr step<int(work)> triple{"triple", patient};
constexpr step<int(work)> flaky{"flaky", patient};
constexpr int tries_of_broken = 2;
constexpr step<int(work)> broken{
    "broken", {.timeout = 8s, .retry = {.max_attempts = tries_of_broken, .first_delay = 500ms}}};
constexpr step<int(work)> charge{"charge", patient};
constexpr step<void(work)> refund{"refund", patient};
constexpr step<int(work)> slow{"slow",
                               {.timeout = 40s, .heartbeat_timeout = 5s, .retry = until_it_works}};
constexpr signal<int> echo{"echo"};
constexpr published<int> progress{"progress"};

int tripled(int x) { return 3 * x + 1; }

/// The same in every replay: of the seed alone.
class dice {
 public:
  explicit dice(int seed) : state_(mixed(static_cast<std::uint64_t>(seed))) {}
  int roll(int sides) {
    state_ = mixed(state_);
    return static_cast<int>(state_ % static_cast<std::uint64_t>(sides));
  }

 private:
  std::uint64_t state_;
};

program child_of(const program& what, const op& by) {
  return {.id = what.id * 100 + by.a % 100, .seed = by.a, .depth = what.depth - 1};
}

constexpr int result_of_broken = 7, result_of_limit = 11, echoed = 5, heard = 10;

// ---- bodies: the outside of the system ----

world* here = nullptr;

/// Its process died while it was at work.
struct process_died {};

void rest(micros how_long) {
  here->turns.sleep(how_long);
  if (here->turns.current().at->dead) throw process_died();
}

/// What every body does: it is seen to begin, takes its time, and has bad luck now and then.
void be_at_work(const work& what, const step_context& attempt) {
  here->seen.body_begins(attempt.idempotency_key(), attempt.attempt());
  here->tell("{}: {} begins, attempt {}", here->turns.current().name, attempt.idempotency_key(),
             attempt.attempt());
  rest(500 + what.x * 300);
  const auto who = static_cast<std::uint32_t>(
      mixed(static_cast<std::uint64_t>(what.program) << 20 | static_cast<std::uint64_t>(what.x)));
  const auto drawn = here->by.ask(choice::step, who, here->sky.bad_steps, 4);
  if (drawn == 0) return;
  constexpr const char* luck[] = {"fails", "takes 3 s", "hangs for a minute", "fails after 1 s"};
  here->tell_decision("{}: {} {}", here->turns.current().name, attempt.idempotency_key(),
                      luck[drawn - 1]);
  if (drawn == 2) rest(3 * second);
  if (drawn == 3) rest(60 * second);
  if (drawn == 4) rest(second);
  if (attempt.stop_token().stop_requested()) throw cancelled("asked to stop");
  if (drawn == 1 || drawn == 4) throw failure("bad luck");
}

int do_triple(const work& what, step_context& attempt) {
  be_at_work(what, attempt);
  return tripled(what.x);
}

/// Its run's frame waits for it with the whole thread when it goes: it takes no time.
int do_locally(const work& what, step_context& attempt) {
  here->seen.body_begins(attempt.idempotency_key(), attempt.attempt());
  return tripled(what.x);
}

int do_flaky(const work& what, step_context& attempt) {
  be_at_work(what, attempt);
  if (attempt.attempt() <= 1 + what.x % 3) throw failure("not yet");
  return tripled(what.x);
}

int do_broken(const work& what, step_context& attempt) {
  if (attempt.attempt() > tries_of_broken)
    here->seen.complain(
        "policy", fmt::format("{}: attempt {}", attempt.idempotency_key(), attempt.attempt()));
  be_at_work(what, attempt);
  throw failure("never");
}

int do_charge(const work& what, step_context& attempt) {
  here->seen.charged(attempt.idempotency_key());
  be_at_work(what, attempt);
  return tripled(what.x);
}

void do_refund(const work& what, step_context& attempt) {
  be_at_work(what, attempt);
  here->seen.refunded(attempt.undoes());
}

int do_slow(const work& what, step_context& attempt) {
  be_at_work(what, attempt);
  for (int done = 0; done < 1 + what.x % 6; ++done) {
    rest(second);
    attempt.heartbeat(done);
  }
  return tripled(what.x);
}

// ---- the workflow ----

task<int> with_steps(context& ctx, program p, op one) {
  const work w{p.id, one.a % 30};
  const work next{p.id, w.x + 1};
  switch (one.what) {
    case part::flaky:
      co_return co_await ctx.call(flaky, w);
    case part::charge:
      co_return co_await ctx.call(charge, w, {.undo = refund});
    case part::far:
      co_return co_await ctx.call(triple, w, {.queue = far});
    case part::slow_far:
      co_return co_await ctx.call(slow, w, {.queue = far});
    case part::broken: {
      outcome<int> ended = co_await ctx.settle(ctx.call(broken, w));
      co_return ended ? 0 : result_of_broken;
    }
    case part::local: {
      auto body = [w](step_context& attempt) { return do_locally(w, attempt); };
      co_return co_await ctx.run("local", body);
    }
    case part::map: {
      std::vector<int> mapped = co_await ctx.map(triple, {w, next, w}, {.at_most = 2});
      co_return mapped[0] + mapped[1] + mapped[2];
    }
    case part::all: {
      auto [near_by, far_off] =
          co_await ctx.all(ctx.call(triple, w), ctx.call(triple, next, {.queue = far}));
      co_return near_by + far_off;
    }
    case part::any: {
      first<int> winner =
          co_await ctx.any(std::vector{ctx.call(triple, w), ctx.call(triple, w, {.queue = far})});
      co_return winner.value;
    }
    case part::race: {
      first<int> winner =
          co_await ctx.race(std::vector{ctx.call(slow, w, {.queue = far}), ctx.call(triple, w)});
      co_return winner.value;
    }
    default:
      co_return co_await ctx.call(triple, w);
  }
}

task<int> nap_and_call(context& ctx, work w) {
  co_await ctx.sleep(std::chrono::milliseconds(100 * w.x));
  co_return co_await ctx.call(triple, w);
}

task<int> with_waits(context& ctx, program p, op one) {
  const work w{p.id, one.a % 30};
  switch (one.what) {
    case part::nap:
      co_await ctx.sleep(std::chrono::milliseconds(one.a * 100));
      co_return 0;
    case part::hear:
      co_return co_await ctx.receive(must);
    case part::listen: {
      std::optional<int> came = co_await ctx.receive(maybe, std::chrono::milliseconds(one.a * 50));
      ctx.status(came ? "heard" : "nothing");
      co_return 0;
    }
    case part::child:
      co_return co_await ctx.call(run_program, child_of(p, one));
    case part::branch:
      co_return co_await ctx.spawn(nap_and_call(ctx, w));
    case part::echo: {
      ctx.signal(ctx.run_id(), echo, echoed);
      co_return co_await ctx.receive(echo);
    }
    case part::limit: {
      outcome<void> ended = co_await ctx.settle(ctx.timeout(ctx.sleep(60s), 2s));
      co_return ended ? 0 : result_of_limit;
    }
    default:
      ctx.publish(progress, one.a);
      ctx.tag("last", std::to_string(one.a));
      co_return 0;
  }
}

bool waits(part what) {
  return what == part::nap || what == part::hear || what == part::listen || what == part::child ||
         what == part::branch || what == part::echo || what == part::limit || what == part::publish;
}

task<int> do_part(context& ctx, program p, op one) {
  return waits(one.what) ? with_waits(ctx, p, one) : with_steps(ctx, p, one);
}

task<int> execute(context& ctx, program p) {
  int sum = 0;
  for (const op& one : ops_of(p)) {
    int got = co_await do_part(ctx, p, one);
    sum += got;
  }
  if (fails_by_plan(p)) throw failure("as planned", {.type = "planned"});
  co_return sum;
}

int result_of(const program& p, const op& one) {
  const int x = one.a % 30;
  switch (one.what) {
    case part::broken:
      return result_of_broken;
    case part::map:
      return 2 * tripled(x) + tripled(x + 1);
    case part::all:
      return tripled(x) + tripled(x + 1);
    case part::child:
      return result_of(child_of(p, one));
    case part::echo:
      return echoed;
    case part::limit:
      return result_of_limit;
    case part::hear:  // in which order they come isn't known
    case part::nap:
    case part::listen:
    case part::publish:
      return 0;
    default:
      return tripled(x);
  }
}

}  // namespace

std::vector<op> ops_of(const program& what) {
  constexpr part order[parts] = {part::call,   part::flaky,  part::broken,  part::nap,
                                 part::listen, part::charge, part::local,   part::map,
                                 part::all,    part::any,    part::far,     part::branch,
                                 part::limit,  part::race,   part::publish, part::slow_far,
                                 part::echo,   part::hear,   part::child};
  dice by(what.seed);
  std::vector<op> all;
  for (int left = 1 + by.roll(what.root ? 7 : 3); left > 0; --left) {
    part one = order[by.roll(what.root ? parts : parts_of_children)];
    if (one == part::child && what.depth == 0) one = part::call;
    all.push_back({one, 1 + by.roll(99)});
  }
  return all;
}

std::vector<int> signals_of(const program& what) {
  std::vector<int> values;
  for (const op& one : ops_of(what))
    if (one.what == part::hear) values.push_back(heard + static_cast<int>(values.size()));
  return values;
}

int result_of(const program& what) {
  int sum = 0;
  for (const op& one : ops_of(what)) sum += result_of(what, one);
  for (const int value : signals_of(what)) sum += value;
  return sum;
}

bool fails_by_plan(const program& what) { return what.root && what.seed % 5 == 0; }

void serve_programs(worker& by) {
  by.serve(triple, do_triple);
  by.serve(flaky, do_flaky);
  by.serve(broken, do_broken);
  by.serve(charge, do_charge);
  by.serve(refund, do_refund);
  by.serve(slow, do_slow);
  by.serve(run_program, execute);
}

void work_in(world* where) { here = where; }

}  // namespace fermata::simulation
