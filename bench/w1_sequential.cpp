// SPDX-License-Identifier: Apache-2.0
// W1: how long do ten steps take, one run at a time, each result durable before the next step?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/raw_sqlite.hpp"
#include "bench/usage.hpp"

namespace fermata::bench {

namespace {
constexpr int commits_per_run = 12;  // start, ten steps, end
constexpr int block = 25;            // runs between two looks at the disk
}  // namespace

void w1_sequential(const settings& how, report& to) {
  host here(how.folder + "/w1.db", {});
  here.run();
  raw_commits raw(how.folder + "/probe/w1.db");
  std::vector<double> ours;
  std::vector<double> theirs;
  std::int64_t runs = 0;
  const auto one = [&] {
    const double began = now_s();
    (void)here.client.start(ten_steps, make_work(++runs, 0, how.payload_bytes)).result();
    return now_s() - began;
  };
  for (int i = 0; i < block; ++i) (void)one();
  used spent{};
  double commits = 0;
  forget_peak();
  for (const double began = now_s(); now_s() - began < how.seconds * how.repeat;) {
    const used before = used_until_now();
    const std::uint32_t commits_before = here.commits();
    for (int i = 0; i < block; ++i) ours.push_back(one());
    const used after = used_until_now();
    commits += here.commits() - commits_before;
    spent.cpu_s += after.cpu_s - before.cpu_s;
    spent.syncs += after.syncs - before.syncs;
    spent.wal_bytes += after.wal_bytes - before.wal_bytes;
    spent.statements += after.statements - before.statements;
    spent.switches += after.switches - before.switches;
    for (int i = 0; i < block; ++i) {
      double twelve = 0;
      for (int c = 0; c < commits_per_run; ++c) twelve += raw.commit();
      theirs.push_back(twelve);
    }
  }
  const auto n = static_cast<double>(ours.size());
  const executions::verdict steps = here.ran.judge(runs);
  const double probe = percentile(theirs, 0.5);
  to.add(line("W1")
             .put("runs", n, 0)
             .put("p50_ms", percentile(ours, 0.5) * 1e3, 3)
             .put("p99_ms", percentile(ours, 0.99) * 1e3, 3)
             .put("probe_12_commits_p50_ms", probe * 1e3, 3)
             .put("ratio", percentile(ours, 0.5) / probe)
             .put("cpu_s", spent.cpu_s)
             .put("cpu_us_per_run", spent.cpu_s * 1e6 / n, 0)
             .put("peak_rss_mb", peak_mb(), 1)
             .put("commits_per_run", commits / n)
             .put("fsyncs_per_run", static_cast<double>(spent.syncs) / n)
             .put("wal_bytes_per_run", static_cast<double>(spent.wal_bytes) / n, 0)
             .put("statements_per_run", static_cast<double>(spent.statements) / n, 1)
             .put("switches_per_run", static_cast<double>(spent.switches) / n, 1)
             .put("lost_steps", static_cast<double>(steps.lost), 0)
             .put("repeated_steps", static_cast<double>(steps.repeated), 0));
}

}  // namespace fermata::bench
