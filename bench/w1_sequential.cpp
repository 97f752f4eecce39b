// SPDX-License-Identifier: Apache-2.0
// W1: how long do ten steps take, one run at a time, each result durable before the next step?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

namespace fermata::bench {

namespace {
constexpr int commits_per_run = 12;  // start, ten steps, end
constexpr int block = 25;            // runs between two looks at the disk
}  // namespace

void w1_sequential(const settings& how, report& to) {
  const auto on = make_ground(how, "w1");
  host here(*on, {});
  here.run();
  const auto raw = on->commits();
  std::vector<double> ours;
  std::vector<double> theirs;
  std::int64_t runs = 0;
  const auto one = [&] {
    const double began = now_s();
    (void)here.client.start(ten_steps, make_work(++runs, 0, how.payload_bytes)).result();
    return now_s() - began;
  };
  for (int i = 0; i < block; ++i) (void)one();
  meter costs(*on);
  for (const double began = now_s(); now_s() - began < how.seconds * how.repeat;) {
    costs.begin();
    for (int i = 0; i < block; ++i) ours.push_back(one());
    costs.end(block);
    for (int i = 0; i < block; ++i) {
      double twelve = 0;
      for (int c = 0; c < commits_per_run; ++c) twelve += raw->commit();
      theirs.push_back(twelve);
    }
  }
  const executions::verdict steps = here.ran.judge(runs);
  const double probe = percentile(theirs, 0.5);
  line out("W1");
  out.put("runs", static_cast<double>(ours.size()), 0)
      .put("p50_ms", percentile(ours, 0.5) * 1e3, 3)
      .put("p99_ms", percentile(ours, 0.99) * 1e3, 3)
      .put("probe_12_commits_p50_ms", probe * 1e3, 3)
      .put("ratio", percentile(ours, 0.5) / probe);
  costs.put(out);
  out.put("lost_steps", static_cast<double>(steps.lost), 0)
      .put("repeated_steps", static_cast<double>(steps.repeated), 0);
  to.add(std::move(out));
}

}  // namespace fermata::bench
