// SPDX-License-Identifier: Apache-2.0
#include "mix.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <thread>

using namespace std::chrono_literals;

namespace mix {

namespace {

int log_file = -1;

/// One write: lines of several processes don't mix.
void logged(fermata::step_context& s) {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const std::string line = std::string(s.idempotency_key()) + " " + std::to_string(s.attempt()) +
                           " " + std::to_string(now) + " " + std::to_string(s.epoch()) + "\n";
  if (::write(log_file, line.data(), line.size()) < 0) std::abort();
}

fermata::task<int> run_steps(fermata::context& ctx, job j) {
  int sum = 0;
  for (int i = 0; i < j.size; ++i) {
    job part{.number = i, .size = j.number};
    int one = co_await ctx.call(i == 1 ? slow_add : add_one, part);
    sum += one;
  }
  co_return sum;
}

fermata::task<int> run_timers(fermata::context& ctx, job j) {
  int first = co_await ctx.call(add_one, j);
  co_await ctx.sleep(std::chrono::milliseconds(ctx.random(20, 400)));
  int second = co_await ctx.call(add_one, j);
  co_await ctx.sleep(30ms);
  co_return first + second;
}

fermata::task<int> run_signals(fermata::context& ctx, job j) {
  int first = co_await ctx.call(add_one, j);
  int told = co_await ctx.receive(go);
  int second = co_await ctx.call(add_one, j);
  co_return first + second + told;
}

fermata::task<int> run_children(fermata::context& ctx, job j) {
  std::vector<job> parts;
  for (int i = 0; i < j.size; ++i) parts.push_back({.number = j.number + i, .size = 2});
  std::vector<int> sums = co_await ctx.map(steps, parts, {.at_most = 2});
  int total = 0;
  for (int s : sums) total += s;
  co_return total;
}

fermata::task<int> run_saga(fermata::context& ctx, job j) {
  note a{.number = j.number, .text = "a"};
  std::string first = co_await ctx.call(take, a, {.undo = give_back});
  note b{.number = j.number, .text = "b"};
  std::string second = co_await ctx.call(take, b);
  ctx.on_failure(give_back, b);
  co_await ctx.call(refuse, b);
  co_return static_cast<int>(first.size() + second.size());
}

}  // namespace

void serve(fermata::worker& worker, const std::string& log) {
  log_file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  worker.serve(add_one, [](const job& j, fermata::step_context& s) {
    logged(s);
    return j.number + 1;
  });
  worker.serve(slow_add, [](const job& j, fermata::step_context& s) {
    logged(s);
    std::this_thread::sleep_for(30ms);
    return j.number + 1;
  });
  worker.serve(take, [](const note& n, fermata::step_context& s) {
    logged(s);
    return n.text;
  });
  worker.serve(give_back, [](const note&, fermata::step_context& s) { logged(s); });
  worker.serve(refuse, [](const note&, fermata::step_context& s) {
    logged(s);
    throw fermata::failure("no room", {.type = "refused", .retryable = false});
  });
  worker.serve(steps, run_steps);
  worker.serve(timers, run_timers);
  worker.serve(signals, run_signals);
  worker.serve(children, run_children);
  worker.serve(saga, run_saga);
}

void start(fermata::client& client, int from, int count) {
  for (int n = from; n < from + count; ++n) {
    const std::string key = "k" + std::to_string(n);
    const job j{.number = n, .size = 3};
    client.start(steps, j, {.key = key, .tags = {{"mix", "yes"}}});
    client.start(timers, j, {.key = key});
    auto waiting = client.start(signals, j, {.key = key});
    client.start(children, j, {.key = key});
    client.start(saga, j, {.key = key});
    waiting.signal(go, 7);
  }
}

}  // namespace mix
