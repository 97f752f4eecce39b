// SPDX-License-Identifier: Apache-2.0
// W2: how many ten-step runs complete per second with so many in flight?
#include "bench/bench.hpp"
#include "bench/closed_loop.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

namespace fermata::bench {

namespace {

void curve_point(const settings& how, int in_flight, report& to) {
  const auto on = make_ground(how, "w2");
  worker_options options;
  options.max_runs = std::max(1000, in_flight * 2);
  host here(*on, options);
  here.run();
  std::atomic<std::int64_t> numbers = 0;
  const auto once = [&](double seconds) {
    return closed_loop(here.client, numbers, in_flight, how.clients, seconds, how.payload_bytes);
  };
  (void)once(0.5);

  std::vector<double> ours, theirs, ratios, latencies;
  double runs = 0;
  meter costs(*on);
  for (int i = 0; i < how.repeat; ++i) {
    theirs.push_back(on->workflows(in_flight, how.seconds / 2));
    costs.begin();
    const completed found = once(how.seconds);
    const auto n = static_cast<double>(found.latencies.size());
    costs.end(n);
    runs += n;
    ours.push_back(found.per_s);
    ratios.push_back(found.per_s / theirs.back());
    latencies.insert(latencies.end(), found.latencies.begin(), found.latencies.end());
  }
  const executions::verdict steps = here.ran.judge(numbers.load());
  line out("W2");
  out.put("in_flight", in_flight, 0)
      .put("runs", runs, 0)
      .put("wf_per_s", median(ours), 0)
      .put("probe_wf_per_s", median(theirs), 0)
      .put("ratio", median(ratios))
      .put("p50_ms", percentile(latencies, 0.5) * 1e3)
      .put("p99_ms", percentile(latencies, 0.99) * 1e3);
  costs.put(out);
  out.put("lost_steps", static_cast<double>(steps.lost), 0)
      .put("repeated_steps", static_cast<double>(steps.repeated), 0);
  to.add(std::move(out));
}

}  // namespace

void w2_in_flight(const settings& how, report& to) {
  const std::vector<int> curve = {16, 64, 256, 1024};
  for (const int in_flight : how.in_flight.empty() ? curve : how.in_flight)
    curve_point(how, in_flight, to);
}

}  // namespace fermata::bench
