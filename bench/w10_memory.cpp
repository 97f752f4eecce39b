// SPDX-License-Identifier: Apache-2.0
// W10: what does a run cost in memory that waits for a signal, with its frame and without?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

#include "engine/limits.hpp"

#include <malloc.h>

namespace fermata::bench {

namespace {

constexpr fermata::signal<work> never{"never"};
constexpr workflow<work(work)> sleeper{"sleeper"};
constexpr std::size_t batch = 500;

task<work> wait_for_ever(context& ctx, work) {
  work told = co_await ctx.receive(never);
  co_return told;
}

// Quiet alone isn't enough: on a busy machine nothing may be committed for a while although starts
// are left, and runs that haven't begun would count as parked.
constexpr const char* not_parked =
    "SELECT (SELECT count(*) FROM start_requests) + "
    "(SELECT count(*) FROM runs WHERE owner <> 0)";

double settled_mb(ground& on, host& here) {
  do here.wait_until_quiet();
  while (on.number(not_parked) != 0);
  ::malloc_trim(0);
  return resident_mb();
}

}  // namespace

void w10_memory(const settings& how, report& to) {
  // Frames are kept up to `frames_max`; who parks beyond it pushes an older one out.
  constexpr std::size_t live_max = 50'000;
  const auto on = make_ground(how, "w10");
  host here(*on, {});
  here.worker.serve(sleeper, wait_for_ever);
  here.run();
  std::size_t parked = 0;
  const auto park_until = [&](std::size_t count) {
    while (parked < count) {
      std::vector<work> inputs;
      for (std::size_t i = 0; i < batch; ++i)
        inputs.push_back(make_work(static_cast<std::int64_t>(++parked), 0, how.payload_bytes));
      (void)here.client.start_many(sleeper, inputs);
    }
  };
  park_until(2 * batch);  // caches and pools have their size
  std::size_t runs_before = parked;
  double mb_before = settled_mb(*on, here);
  for (const std::size_t count : {std::size_t{10'000}, live_max, 2 * live_max}) {
    park_until(count);
    const double mb = settled_mb(*on, here);
    const auto more = static_cast<double>(parked - runs_before);
    to.add(line("W10")
               .put("parked", static_cast<double>(parked), 0)
               .put("frames", parked <= live_max ? "live" : "evicted")
               .put("rss_mb", mb, 1)
               .put("bytes_per_run", (mb - mb_before) * 1024 * 1024 / more, 0));
    runs_before = parked;
    mb_before = mb;
  }
}

}  // namespace fermata::bench
