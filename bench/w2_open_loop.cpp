// SPDX-License-Identifier: Apache-2.0
// W2 with an open loop: how long does a ten-step run take from the moment at which it should have been
// started, when starts come at fixed times, whatever became of those before them?
#include "bench/bench.hpp"
#include "bench/closed_loop.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace fermata::bench {

namespace {

constexpr double lead_s = 0.05;  // until all threads are there

struct offered {
  std::vector<double> latencies;    // from the intended start to the result
  std::vector<double> late_starts;  // how late the client came to start it
  double took = 0;
};

void sleep_until_s(double moment) {
  const double wait = moment - now_s();
  if (wait > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait));
}

/// `count` starts at a steady rate, by so many clients: each takes the next when it has awaited its own.
offered offer(host& here, std::atomic<std::int64_t>& numbers, int clients, double per_s, int count,
              std::size_t bytes) {
  std::vector<offered> parts(static_cast<std::size_t>(clients));
  std::vector<std::thread> threads;
  std::atomic<int> next = 0;
  const double began = now_s() + lead_s;
  for (offered& mine : parts)
    threads.emplace_back([&] {
      for (int i = next++; i < count; i = next++) {
        const double intended = began + i / per_s;
        sleep_until_s(intended);
        mine.late_starts.push_back(now_s() - intended);
        (void)here.client.start(ten_steps, make_work(++numbers, 0, bytes)).result();
        mine.latencies.push_back(now_s() - intended);
      }
    });
  for (std::thread& one : threads) one.join();
  offered all;
  all.took = now_s() - began;
  for (const offered& one : parts) {
    all.latencies.insert(all.latencies.end(), one.latencies.begin(), one.latencies.end());
    all.late_starts.insert(all.late_starts.end(), one.late_starts.begin(), one.late_starts.end());
  }
  return all;
}

}  // namespace

void w2_open_loop(const settings& how, report& to) {
  const auto on = make_ground(how, "w2open");
  const int clients = how.in_flight.empty() ? 256 : how.in_flight.front();
  worker_options options;
  options.max_runs = std::max(1000, clients * 2);
  host here(*on, options);
  here.run();
  std::atomic<std::int64_t> numbers = 0;
  const auto closed = [&](double seconds) {
    return closed_loop(here.client, numbers, clients, 0, seconds, how.payload_bytes).per_s;
  };
  (void)closed(how.seconds / 6);
  for (const int percent : {50, 80, 95}) {
    // In the same minute: the machine's speed changes.
    const double probe = on->workflows(clients, how.seconds / 6);
    const double capacity = std::max(1.0, closed(how.seconds / 3));
    const double per_s = capacity * percent / 100;
    const int count = std::max(1, static_cast<int>(per_s * how.seconds / 2));
    meter costs(*on);
    costs.begin();
    offered found = offer(here, numbers, clients, per_s, count, how.payload_bytes);
    costs.end(count);
    const executions::verdict steps = here.ran.judge(numbers.load());
    line out("W2-open-loop");
    out.put("percent", percent, 0)
        .put("capacity_per_s", capacity, 0)
        .put("probe_wf_per_s", probe, 0)
        .put("offered_per_s", per_s, 0)
        .put("completed_per_s", count / found.took, 0)
        .put("runs", count, 0)
        .put("p50_ms", percentile(found.latencies, 0.5) * 1e3)
        .put("p99_ms", percentile(found.latencies, 0.99) * 1e3)
        .put("p999_ms", percentile(found.latencies, 0.999) * 1e3)
        .put("start_late_p99_ms", percentile(found.late_starts, 0.99) * 1e3);
    costs.put(out);
    out.put("lost_steps", static_cast<double>(steps.lost), 0)
        .put("repeated_steps", static_cast<double>(steps.repeated), 0);
    to.add(std::move(out));
  }
}

}  // namespace fermata::bench
