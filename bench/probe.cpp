// SPDX-License-Identifier: Apache-2.0
// What do the disk and SQLite give by themselves?
#include "bench/bench.hpp"
#include "bench/raw_sqlite.hpp"

namespace fermata::bench {

void probe(const settings& how, report& to) {
  const auto raw = sqlite_commits(how.folder + "/probe/commits.db");
  std::vector<double> idle = raw->idle(200);
  std::vector<double> busy = raw->back_to_back(2000);
  std::vector<double> workflows;
  for (int i = 0; i < how.repeat; ++i)
    workflows.push_back(raw_workflows(how.folder + "/probe/workflows.db", 256, how.seconds / 2));
  to.add(line("probe")
             .put("idle_commit_p50_ms", percentile(idle, 0.5) * 1e3, 3)
             .put("commit_p50_ms", percentile(busy, 0.5) * 1e3, 3)
             .put("commit_p99_ms", percentile(busy, 0.99) * 1e3, 3)
             .put("workflows_256_per_s", median(workflows), 0));
}

}  // namespace fermata::bench
