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
  const double began = now_s();
  for (int runs = 1; runs == 1 || now_s() - began < how.seconds; ++runs) {
    std::this_thread::sleep_for(rest);
    std::int64_t asked_us = wall_us();
    const auto run = by.start(listener, input);
    starts.push_back(after(heard, 0, runs, asked_us));
    costs.begin();
    for (int i = 1; i <= signals_per_run; ++i) {
      std::this_thread::sleep_for(rest);
      asked_us = wall_us();
      run.signal(wake, i);
      signals.push_back(after(heard, static_cast<std::size_t>(i), runs, asked_us));
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
