// SPDX-License-Identifier: Apache-2.0
// W2 across processes: how many ten-step runs complete per second when those who start and await them
// are in another process than the workers?
#include "bench/bench.hpp"
#include "bench/closed_loop.hpp"
#include "bench/usage.hpp"
#include "bench/workers.hpp"

#include <algorithm>

namespace fermata::bench {

namespace {

constexpr std::int64_t runs_max = 2'000'000;  // pages of marks that nobody touches take no memory

struct verdict {
  std::int64_t lost = 0, repeated = 0;
};

verdict judge(const marks& steps, std::int64_t runs) {
  verdict found;
  for (std::int64_t run = 1; run <= std::min(runs, runs_max - 1); ++run)
    for (int step = 0; step < steps_per_run; ++step) {
      const int times = steps.times(mark_of(run, step));
      if (times == 0) ++found.lost;
      if (times > 1) ++found.repeated;
    }
  return found;
}

void measure(const settings& how, int processes, report& to) {
  const int in_flight = how.in_flight.empty() ? 256 : how.in_flight.front();
  const auto on = make_ground(how, "w2across");
  const marks steps(runs_max * steps_per_run);
  const journal here = open(on->address());
  client by(here);
  workers working(on->address(), processes, std::max(1000, in_flight * 2), &steps);
  working.go();
  std::atomic<std::int64_t> numbers = 0;
  const auto once = [&](double seconds) {
    return closed_loop(by, numbers, in_flight, how.clients, seconds, how.payload_bytes);
  };
  (void)once(how.seconds / 8);
  std::vector<double> ours, theirs, ratios, latencies;
  double runs = 0;
  meter costs(*on);
  for (int i = 0; i < how.repeat; ++i) {
    theirs.push_back(on->workflows(in_flight, how.seconds / 8));
    costs.begin();
    const completed found = once(how.seconds / 4);
    const auto n = static_cast<double>(found.latencies.size());
    costs.end(n);
    runs += n;
    ours.push_back(found.per_s);
    ratios.push_back(found.per_s / theirs.back());
    latencies.insert(latencies.end(), found.latencies.begin(), found.latencies.end());
  }
  const double cpu_s = working.stop();
  const verdict found = judge(steps, numbers);
  line out("W2-across");
  out.put("workers", processes, 0)
      .put("in_flight", in_flight, 0)
      .put("runs", runs, 0)
      .put("wf_per_s", median(ours), 0)
      .put("probe_wf_per_s", median(theirs), 0)
      .put("ratio", median(ratios))
      .put("p50_ms", percentile(latencies, 0.5) * 1e3)
      .put("p99_ms", percentile(latencies, 0.99) * 1e3)
      .put("workers_cpu_us_per_run", cpu_s * 1e6 / static_cast<double>(numbers), 1);
  costs.put(out);
  out.put("lost_steps", static_cast<double>(found.lost), 0)
      .put("repeated_steps", static_cast<double>(found.repeated), 0);
  to.add(std::move(out));
}

}  // namespace

void w2_across(const settings& how, report& to) {
  for (const int processes : {1, 2}) measure(how, processes, to);
}

}  // namespace fermata::bench
