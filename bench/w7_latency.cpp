// SPDX-License-Identifier: Apache-2.0
// W7: on an idle system, how long until a signal has woken a parked run and its event is durable;
// until a start runs the workflow's first line? Code is resumed by committed events only, so the
// workflow's next line is the moment.
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

#include <semaphore>

namespace fermata::bench {

namespace {

constexpr fermata::signal<work> go{"go"};
constexpr workflow<int(work)> listener{"listener"};
constexpr workflow<int(work)> starter{"starter"};
constexpr int signals_per_run = 50;
constexpr int starts_per_round =
    25;  // as soon after each other as signals and the probe's commits: as warm
constexpr auto rest = std::chrono::milliseconds(5);

std::counting_semaphore<> woken{0};  // outside of what a workflow may do: this one only measures
std::atomic<double> woken_at = 0;

void say_awake() {
  woken_at = now_s();
  woken.release();
}

task<int> listen(context& ctx, work) {
  int heard = 0;
  say_awake();
  for (; heard < signals_per_run; ++heard) {
    work told = co_await ctx.receive(go);
    say_awake();
  }
  co_return heard;
}

task<int> say_and_end(context&, work told) {
  say_awake();
  co_return told.step;
}

double after(double began) {
  woken.acquire();
  return woken_at - began;
}

}  // namespace

void w7_latency(const settings& how, report& to) {
  const auto on = make_ground(how, "w7");
  host here(*on, {});
  here.worker.serve(listener, listen);
  here.worker.serve(starter, say_and_end);
  here.run();
  const auto raw = on->commits();
  std::vector<double> starts, signals, probe;
  meter costs(*on);
  const double began = now_s();
  while (now_s() - began < how.seconds * how.repeat) {
    for (int i = 0; i < starts_per_round; ++i) {
      std::this_thread::sleep_for(rest);
      const double asked = now_s();
      const auto started = here.client.start(starter, make_work(1, i, how.payload_bytes));
      starts.push_back(after(asked));
      (void)started.result();
    }
    auto run = here.client.start(listener, make_work(1, 0, how.payload_bytes));
    woken.acquire();
    costs.begin();
    for (int i = 0; i < signals_per_run; ++i) {
      std::this_thread::sleep_for(rest);
      const double asked = now_s();
      run.signal(go, make_work(1, i, how.payload_bytes));
      signals.push_back(after(asked));
    }
    (void)run.result();
    costs.end(signals_per_run);
    for (const double took : raw->idle(signals_per_run)) probe.push_back(took);
  }
  const double one = percentile(probe, 0.5);
  line out("W7");
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
