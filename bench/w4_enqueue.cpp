// SPDX-License-Identifier: Apache-2.0
// W4: how many starts per second does a client make durable, that no worker has taken: one by one from
// several threads, and many at a time?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

#include <algorithm>

namespace fermata::bench {

namespace {

constexpr int batch = 1000;  // of a start_many

/// `each` starts a call, from so many threads.
struct setting {
  int clients = 1;
  int each = 1;
};

struct enqueued {
  std::int64_t starts = 0;
  double took = 0;
  std::vector<double> latencies;  // of calls
};

/// Until `count` starts are durable, or `seconds` have passed.
enqueued enqueue(client& by, const setting& with, int count, double seconds, std::size_t bytes) {
  std::atomic<std::int64_t> numbers = 0;
  std::vector<enqueued> parts(static_cast<std::size_t>(with.clients));
  std::vector<std::thread> threads;
  const double began = now_s();
  for (enqueued& mine : parts)
    threads.emplace_back([&] {
      while (now_s() - began < seconds) {
        const std::int64_t first = numbers.fetch_add(with.each);
        if (first >= count) break;
        const auto size = std::min<std::int64_t>(with.each, count - first);
        const double asked = now_s();
        if (size == 1) {
          (void)by.start(ten_steps, make_work(first + 1, 0, bytes));
        } else {
          std::vector<work> inputs;
          for (std::int64_t i = 1; i <= size; ++i) inputs.push_back(make_work(first + i, 0, bytes));
          (void)by.start_many(ten_steps, inputs);
        }
        mine.latencies.push_back(now_s() - asked);
        mine.starts += size;
      }
    });
  for (std::thread& one : threads) one.join();
  enqueued all;
  all.took = now_s() - began;
  for (const enqueued& one : parts) {
    all.starts += one.starts;
    all.latencies.insert(all.latencies.end(), one.latencies.begin(), one.latencies.end());
  }
  return all;
}

void measure(const settings& how, const setting& with, report& to) {
  const auto on = make_ground(how, "w4");
  const journal here = open(on->address());
  client by(here);
  const int count = how.runs > 0 ? how.runs : 20'000;
  (void)by.start(ten_steps, make_work(0, 0, how.payload_bytes));
  const auto raw = on->bare(1, how.payload_bytes);
  const int together = with.clients * with.each;
  std::vector<double> theirs = {raw->repeat({.requests = together}, how.seconds / 8) * together};
  meter costs(*on);
  costs.begin();
  enqueued ours = enqueue(by, with, count, how.seconds, how.payload_bytes);
  costs.end(static_cast<double>(ours.starts));
  theirs.push_back(raw->repeat({.requests = together}, how.seconds / 8) * together);
  const double probe = (theirs.front() + theirs.back()) / 2;
  const double per_s = static_cast<double>(ours.starts) / ours.took;
  const std::int64_t stored = on->number("SELECT count(*) FROM start_requests") - 1;
  line out("W4");
  out.put("clients", with.clients, 0)
      .put("starts_a_call", with.each, 0)
      .put("starts", static_cast<double>(ours.starts), 0)
      .put("starts_per_s", per_s, 0)
      .put("probe_rows_per_s", probe, 0)
      .put("ratio", per_s / probe)
      .put("call_p50_ms", percentile(ours.latencies, 0.5) * 1e3, 3)
      .put("call_p99_ms", percentile(ours.latencies, 0.99) * 1e3, 3);
  costs.put(out, "start");
  out.put("lost", static_cast<double>(std::max<std::int64_t>(0, ours.starts - stored)), 0)
      .put("repeated", static_cast<double>(std::max<std::int64_t>(0, stored - ours.starts)), 0);
  to.add(std::move(out));
}

}  // namespace

void w4_enqueue(const settings& how, report& to) {
  for (const int clients : {1, 16, 64}) measure(how, {.clients = clients}, to);
  for (const int clients : {1, 4}) measure(how, {.clients = clients, .each = batch}, to);
}

}  // namespace fermata::bench
