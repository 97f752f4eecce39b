// SPDX-License-Identifier: Apache-2.0
#include "bench/host.hpp"

#include <chrono>
#include <cstdlib>
#include <utility>

namespace fermata::bench {

namespace {
constexpr std::size_t runs_max = 8'000'000;
}

work make_work(std::int64_t run, int step, std::size_t bytes) {
  // {"run":12345,"step":10,"text":"…"}
  constexpr std::size_t around = 34;
  return {run, step, std::string(bytes > around ? bytes - around : 0, 'x')};
}

task<work> run_ten_steps(context& ctx, work input) {
  for (int i = 0; i < steps_per_run; ++i) {
    input.step = i;
    input = co_await ctx.call(do_nothing, input);
  }
  co_return input;
}

// Pages that nobody touches take no memory.
executions::executions()
    : counts_(static_cast<std::atomic<std::uint8_t>*>(
          std::calloc(runs_max * steps_per_run, sizeof(std::atomic<std::uint8_t>)))) {}
executions::~executions() { std::free(static_cast<void*>(counts_)); }

void executions::note(const work& what) noexcept {
  const auto run = static_cast<std::size_t>(what.run);
  if (run < runs_max)
    counts_[run * steps_per_run + static_cast<std::size_t>(what.step)].fetch_add(
        1, std::memory_order_relaxed);
}

executions::verdict executions::judge(std::int64_t completed) const {
  verdict found;
  for (std::int64_t i = steps_per_run; i < (completed + 1) * steps_per_run; ++i) {
    const int times = counts_[i].load(std::memory_order_relaxed);
    if (times == 0) ++found.lost;
    if (times > 1) ++found.repeated;
  }
  return found;
}

host::host(ground& on, worker_options options)
    : journal(open(on.address())), worker(journal, std::move(options)), client(journal), on_(on) {
  worker.serve(do_nothing, [this](const work& what) {
    ran.note(what);
    return what;
  });
  worker.serve(ten_steps, run_ten_steps);
}

host::~host() {
  worker.stop();
  if (working_.joinable()) working_.join();
}

void host::run() {
  working_ = std::thread([this] { worker.run(); });
}

void host::wait_until_quiet() {
  for (std::int64_t before = -1, now = on_.so_far().commits; now != before;) {
    // Longer than until a worker that owns nothing takes its lease back, which is a commit, too.
    std::this_thread::sleep_for(std::chrono::milliseconds(800));
    before = std::exchange(now, on_.so_far().commits);
  }
}

}  // namespace fermata::bench
