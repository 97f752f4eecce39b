// SPDX-License-Identifier: Apache-2.0
// W2: how many ten-step runs complete per second with so many in flight?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

#include <atomic>
#include <deque>
#include <mutex>

namespace fermata::bench {

namespace {

/// One thread that keeps its share of runs in flight: it awaits the oldest, takes what else has
/// ended, and starts as many anew.
class starter {
 public:
  starter(host& where, std::atomic<std::int64_t>& numbers, std::size_t share, std::size_t bytes)
      : host_(where), numbers_(numbers), share_(share), bytes_(bytes) {}

  void work_until(double end) {
    while (now_s() < end) {
      start(share_ - flying_.size());
      finish(flying_.front());
      flying_.pop_front();
      while (!flying_.empty() && ended(flying_.front())) flying_.pop_front();
    }
    completed_in_time_ = latencies.size();
    for (; !flying_.empty(); flying_.pop_front()) finish(flying_.front());
  }

  std::size_t completed_in_time() const { return completed_in_time_; }
  std::vector<double> latencies;

 private:
  struct flying {
    fermata::run<work> run;
    double began;
  };

  void start(std::size_t count) {
    std::vector<work> inputs;
    for (std::size_t i = 0; i < count; ++i) inputs.push_back(make_work(++numbers_, 0, bytes_));
    const double began = now_s();
    for (auto& run : host_.client.start_many(ten_steps, inputs))
      flying_.push_back({std::move(run), began});
  }
  void finish(const flying& what) {
    (void)what.run.result();
    latencies.push_back(now_s() - what.began);
  }
  bool ended(const flying& what) {
    try {
      (void)what.run.result(duration(0));
    } catch (const timed_out&) {
      return false;
    }
    latencies.push_back(now_s() - what.began);
    return true;
  }

  host& host_;
  std::atomic<std::int64_t>& numbers_;
  const std::size_t share_;
  const std::size_t bytes_;
  std::deque<flying> flying_;
  std::size_t completed_in_time_ = 0;
};

struct once {
  double per_s = 0;
  std::vector<double> latencies;
};

once measure(host& here, std::atomic<std::int64_t>& numbers, const settings& how, int in_flight) {
  const int clients = how.clients > 0 ? std::min(how.clients, in_flight) : in_flight;
  std::vector<std::unique_ptr<starter>> starters;
  for (int i = 0; i < clients; ++i)
    starters.push_back(std::make_unique<starter>(
        here, numbers, static_cast<std::size_t>(in_flight / clients), how.payload_bytes));
  std::vector<std::thread> threads;
  const double began = now_s();
  for (auto& one : starters) threads.emplace_back([&] { one->work_until(began + how.seconds); });
  for (std::thread& one : threads) one.join();
  once found;
  for (auto& one : starters) {
    found.per_s += static_cast<double>(one->completed_in_time()) / how.seconds;
    found.latencies.insert(found.latencies.end(), one->latencies.begin(), one->latencies.end());
  }
  return found;
}

void curve_point(const settings& how, int in_flight, report& to) {
  const auto on = make_ground(how, "w2");
  worker_options options;
  options.max_runs = std::max(1000, in_flight * 2);
  host here(*on, options);
  here.run();
  std::atomic<std::int64_t> numbers = 0;
  settings warm = how;
  warm.seconds = 0.5;
  (void)measure(here, numbers, warm, in_flight);

  std::vector<double> ours, theirs, ratios, latencies;
  double runs = 0;
  meter costs(*on);
  for (int i = 0; i < how.repeat; ++i) {
    theirs.push_back(on->workflows(in_flight, how.seconds / 2));
    costs.begin();
    once found = measure(here, numbers, how, in_flight);
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
