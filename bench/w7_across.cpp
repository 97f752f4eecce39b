// SPDX-License-Identifier: Apache-2.0
// W7 across processes: on an idle system, how long until a signal or a start of this process runs the
// next line of a workflow in a worker process?
#include "bench/bench.hpp"
#include "bench/usage.hpp"
#include "bench/workers.hpp"

#include <chrono>
#include <thread>

namespace fermata::bench {

namespace {

constexpr int signals_per_run = 25;
constexpr int starts_per_round =
    25;  // of runs without a signal; as soon after each other as the rest: as warm
constexpr auto rest = std::chrono::milliseconds(5);
constexpr auto between_looks = std::chrono::microseconds(100);  // the moment itself is noted

/// Seconds from `asked_us` until the listener has noted `which`.
double after(const marks& heard, std::size_t which, int times, std::int64_t asked_us) {
  while (heard.times(which) < times) std::this_thread::sleep_for(between_looks);
  return static_cast<double>(heard.at_us(which) - asked_us) * 1e-6;
}

}  // namespace

void w7_across(const settings& how, report& to) {
  const auto on = make_ground(how, "w7across");
  const marks heard(signals_per_run + 1);
  const journal here = open(on->address());
  client by(here);
  workers working(on->address(), 1, 1000, &heard);
  working.go();
  const auto raw = on->commits();
  work input = make_work(0, 0, how.payload_bytes);
  input.step = signals_per_run;
  std::vector<double> starts, signals, probe;
  meter costs(*on);
  int started = 0;
  const double began = now_s();
  for (int rounds = 1; rounds == 1 || now_s() - began < how.seconds; ++rounds) {
    for (int i = 0; i < starts_per_round; ++i) {
      std::this_thread::sleep_for(rest);
      const std::int64_t asked_us = wall_us();
      const auto run = by.start(listener, make_work(0, 0, how.payload_bytes));
      starts.push_back(after(heard, 0, ++started, asked_us));
      (void)run.result();
    }
    const auto run = by.start(listener, input);
    (void)after(heard, 0, ++started, 0);
    costs.begin();
    for (int i = 1; i <= signals_per_run; ++i) {
      std::this_thread::sleep_for(rest);
      const std::int64_t asked_us = wall_us();
      run.signal(wake, i);
      signals.push_back(after(heard, static_cast<std::size_t>(i), rounds, asked_us));
    }
    (void)run.result();
    costs.end(signals_per_run);
    for (const double took : raw->idle(signals_per_run)) probe.push_back(took);
  }
  (void)working.stop();
  const double one = percentile(probe, 0.5);
  line out("W7-across");
  out.put("signals", static_cast<double>(signals.size()), 0)
      .put("signal_p50_ms", percentile(signals, 0.5) * 1e3, 3)
      .put("signal_p99_ms", percentile(signals, 0.99) * 1e3, 3)
      .put("start_p50_ms", percentile(starts, 0.5) * 1e3, 3)
      .put("probe_idle_commit_p50_ms", one * 1e3, 3)
      .put("signal_ratio", percentile(signals, 0.5) / one)
      .put("start_ratio", percentile(starts, 0.5) / one);
  costs.put(out, "signal");
  to.add(std::move(out));
}

}  // namespace fermata::bench
