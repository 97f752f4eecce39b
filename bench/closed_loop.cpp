// SPDX-License-Identifier: Apache-2.0
#include "bench/closed_loop.hpp"

#include "bench/usage.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <thread>

namespace fermata::bench {

namespace {

/// One thread that keeps its share of runs in flight: it awaits the oldest, takes what else has
/// ended, and starts as many anew.
class starter {
 public:
  starter(client& by, std::atomic<std::int64_t>& numbers, std::size_t share, std::size_t bytes)
      : client_(by), numbers_(numbers), share_(share), bytes_(bytes) {}

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
    for (auto& run : client_.start_many(ten_steps, inputs))
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

  client& client_;
  std::atomic<std::int64_t>& numbers_;
  const std::size_t share_;
  const std::size_t bytes_;
  std::deque<flying> flying_;
  std::size_t completed_in_time_ = 0;
};

}  // namespace

completed closed_loop(client& by, std::atomic<std::int64_t>& numbers, int in_flight, int clients,
                      double seconds, std::size_t payload_bytes) {
  const int threads_wanted = clients > 0 ? std::min(clients, in_flight) : in_flight;
  std::vector<std::unique_ptr<starter>> starters;
  for (int i = 0; i < threads_wanted; ++i)
    starters.push_back(std::make_unique<starter>(
        by, numbers, static_cast<std::size_t>(in_flight / threads_wanted), payload_bytes));
  std::vector<std::thread> threads;
  const double began = now_s();
  for (auto& one : starters) threads.emplace_back([&] { one->work_until(began + seconds); });
  for (std::thread& one : threads) one.join();
  completed found;
  for (auto& one : starters) {
    found.per_s += static_cast<double>(one->completed_in_time()) / seconds;
    found.latencies.insert(found.latencies.end(), one->latencies.begin(), one->latencies.end());
  }
  return found;
}

}  // namespace fermata::bench
