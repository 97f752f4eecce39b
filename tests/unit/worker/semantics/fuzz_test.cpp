// SPDX-License-Identifier: Apache-2.0
// Workflows made by chance from one seed: whatever they do, they end, nothing blocks them, their
// journals replay, and a run that leaves memory after every event tells the very same history.
#include "semantics.hpp"
#include "tests/attack/evidence.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

using namespace semantics;

namespace {

constexpr fermata::step<int(int)> twice{"twice"}, flaky{"flaky"}, breaks{"breaks"};
constexpr fermata::step<void(int)> undo{"undo"};
constexpr fermata::signal<int> number{"number"};
constexpr fermata::published<int> progress{"progress"};
constexpr fermata::workflow<int(int)> wild{"wild"}, tame{"tame"};

/// Chance that every replay draws alike: from the program's seed, never from the run.
class dice {
 public:
  explicit dice(int seed) : state_(static_cast<unsigned>(seed) * 2654435761U + 1U) {}
  int roll(int sides) {
    state_ = state_ * 1664525U + 1013904223U;
    return static_cast<int>((state_ >> 16) % static_cast<unsigned>(sides));
  }

 private:
  unsigned state_;
};

fermata::task<int> block(fermata::context& ctx, int seed, int depth);

fermata::duration some_time(dice& by) { return std::chrono::seconds(1 + by.roll(600)); }

/// One thing that can be waited for.
fermata::future<int> something(fermata::context& ctx, dice& by, int depth) {
  const int seed = by.roll(10'000);
  const std::string_view queue = seed % 3 == 0 ? "far" : "";  // near the workflow, or elsewhere
  switch (by.roll(depth > 0 ? 8 : 4)) {
    case 0:
      return ctx.call(twice, seed % 10, {.queue = queue});
    case 1:
      return ctx.call(flaky, seed % 10,
                      {.retry = {.max_attempts = 4, .first_delay = 5s}, .queue = queue});
    case 2:
      return ctx.call(twice, seed % 10, {.queue = queue, .undo = undo});
    case 3:
      return ctx.call(breaks, seed % 10, {.retry = {.max_attempts = 1 + seed % 3}, .queue = queue});
    case 4:
      return ctx.call(tame, seed);
    case 5:
      return ctx.timeout(block(ctx, seed, depth - 1), some_time(by));
    case 6: {
      auto body = [seed](fermata::context& in) -> fermata::task<int> {
        co_await in.sleep(std::chrono::seconds(seed % 100));
        auto local = [seed] { return seed % 7; };
        int value = co_await in.run("local", local);
        co_return value;
      };
      return ctx.spawn(body);
    }
    default:
      return ctx.spawn(block(ctx, seed, depth - 1));
  }
}

fermata::task<int> waiting_for(fermata::context& ctx, int seed, int depth) {
  dice by(seed);
  std::vector<fermata::future<int>> parts;
  for (int i = by.roll(3) + 1; i > 0; --i) parts.push_back(something(ctx, by, depth));
  switch (by.roll(4)) {
    case 0: {
      std::vector<int> values = co_await ctx.all(parts);
      co_return values.front();
    }
    case 1: {
      fermata::first<int> winner = co_await ctx.any(parts);
      co_return winner.value;
    }
    case 2: {
      fermata::first<int> winner = co_await ctx.race(parts);
      co_return winner.value;
    }
    default: {
      fermata::scope crew(ctx, {.deadline = some_time(by)});
      for (const fermata::future<int>& part : parts) crew.add(part);
      if (by.roll(5) == 0) throw fermata::failure("left the scope");
      co_await crew.join();
      co_return 1;
    }
  }
}

void at_once(fermata::context& ctx, dice& by) {
  switch (by.roll(6)) {
    case 0:
      return ctx.publish(progress, by.roll(100));
    case 1:
      return ctx.tag("mood", by.roll(2) == 0 ? "good" : "bad");
    case 2:
      return ctx.on_failure(undo, by.roll(10));
    case 3:
      return ctx.log("line " + std::to_string(by.roll(10)));
    case 4:
      return (void)ctx.patched("a-change");
    default:
      return ctx.status(ctx.uuid());
  }
}

fermata::task<int> block(fermata::context& ctx, int seed, int depth) {
  dice by(seed);
  int sum = seed % 3;
  for (int i = by.roll(4) + 1; i > 0; --i) {
    at_once(ctx, by);
    const int inside = by.roll(10'000);
    switch (by.roll(6)) {
      case 0:
        co_await ctx.sleep(some_time(by));
        break;
      case 1: {
        std::optional<int> came = co_await ctx.receive(number, some_time(by));
        sum += came.value_or(-1);
        break;
      }
      case 2: {
        std::vector<int> mapped = co_await ctx.map(
            twice, {inside % 5, 2, 3}, {.at_most = 1 + static_cast<std::size_t>(inside % 3)});
        sum += mapped[0];
        break;
      }
      case 3: {
        int value = co_await ctx.shield(waiting_for(ctx, inside, depth));
        sum += value;
        break;
      }
      default: {
        fermata::future<int> part = ctx.spawn(waiting_for(ctx, inside, depth));
        fermata::outcome<int> how = co_await ctx.settle(part);
        sum += how ? how.value() : 100;
        break;
      }
    }
  }
  co_return sum;
}

fermata::task<int> grow_wild(fermata::context& ctx, int seed) {
  int sum = co_await block(ctx, seed, 2);
  co_return sum;
}

fermata::task<int> stay_tame(fermata::context& ctx, int seed) {
  int sum = co_await block(ctx, seed, 0);
  co_return sum;
}

/// Where the first answer of `patched` falls between events of one append, an owner that finds them in
/// the journal takes the old way: safe, but another history.
std::string without_markers(const std::string& history) {
  std::string kept;
  for (std::size_t from = 0, end = 0; from < history.size(); from = end + 1) {
    end = history.find('\n', from);
    const std::string line = history.substr(from, end - from + 1);
    if (!contains(line, " marker ")) kept += line;
  }
  return kept;
}

/// Runs the program of `seed` in one world. Gives its history.
std::string world(int seed, way how, std::size_t at, std::size_t* events = nullptr) {
  kit t(how, at);
  dice by(seed + 77);
  t.serve_queue("far");
  t.worker.serve(twice, [](int n) { return 2 * n; });
  t.worker.serve(flaky, [](int n, fermata::step_context& s) {
    if (s.attempt() <= n % 4) throw fermata::failure("not yet");
    return n;
  });
  t.worker.serve(breaks,
                 [](int n) -> int { throw fermata::failure("broken", {.retryable = n % 2 == 0}); });
  t.worker.serve(undo, [](int) {});
  t.worker.serve(wild, grow_wild);
  t.worker.serve(tame, stay_tame);

  auto run = t.client.start(wild, seed);
  const bool cancels = by.roll(3) == 0;
  for (int i = by.roll(4); i > 0; --i) {
    t.advance(std::chrono::seconds(by.roll(300)));
    (void)code_of([&] { run.signal(number, i); });
  }
  if (cancels) (void)code_of([&] { run.cancel(); });
  (void)problem_of([&] { (void)run.result(); });
  t.advance(24h);

  std::vector<std::string> told;
  for (const auto& info : t.client.list({.at_most = 1000})) {
    CHECK_MESSAGE(info.ended_at.has_value(), info.workflow, " ", text_of(info.state), " waits for ",
                  info.waiting_for, "\n", t.history(t.client.find(info.id)));
    CHECK_MESSAGE(info.attention == fermata::attention::none, info.error);
    told.push_back(info.workflow + "\n" + without_markers(t.history(t.client.find(info.id))));
  }
  CHECK(problem_of([&] { t.replay_all(); }) == "");
  if (events != nullptr) *events = t.events();
  std::sort(told.begin(), told.end());
  return fmt::format("{}", fmt::join(told, ""));
}

}  // namespace

TEST_CASE("workflows made by chance end in every world, and replay") {
  const char* asked = std::getenv("FERMATA_SEEDS");
  const int seeds = asked != nullptr ? std::atoi(asked) : 25;
  const char* from = std::getenv("FERMATA_SEED");
  const int begin = from != nullptr ? std::atoi(from) : 1;
  std::int64_t crashes = 0;
  for (int seed = begin; seed < begin + seeds; ++seed) {
    CAPTURE(seed);
    std::size_t events = 0;
    const std::string kept = world(seed, way::kept, 0, &events);
    const std::string evicted = world(seed, way::evicted, 0);
    CHECK_MESSAGE(evicted == kept, "kept:\n", kept, "evicted:\n", evicted);
    const std::size_t stride = 1 + events / 12;  // some crashes of each program
    for (std::size_t at = 1 + static_cast<std::size_t>(seed) % stride; at <= events; at += stride) {
      CAPTURE(at);
      (void)world(seed, way::crash_before, at);
      (void)world(seed, way::crash_after, at);
      crashes += 2;
    }
  }
  fermata::attack::keep("semantics_fuzz", static_cast<std::uint64_t>(begin),
                        {{"rounds", seeds}, {"faults", crashes}});
}
