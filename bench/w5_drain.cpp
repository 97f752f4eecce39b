// SPDX-License-Identifier: Apache-2.0
// W5: how fast do workers end no-op runs that were enqueued before, each with so many slots, and
// several of them side by side? Also with many finished runs in the journal, and while somebody's
// transaction goes on seeing what was claimed long ago.
#include "bench/bench.hpp"
#include "bench/ground.hpp"
#include "bench/usage.hpp"
#include "bench/workers.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

namespace fermata::bench {

namespace {

constexpr int batch = 1000;        // of a start_many
constexpr int events_per_run = 2;  // its start and its end
constexpr auto between_looks = std::chrono::milliseconds(5);

struct setting {
  int processes = 1;
  int slots = 256;
  bool old_snapshot = false;
};

struct drained {
  double per_s = 0;
  double cpu_s = 0;  // of the workers
  std::optional<double> server_cpu_s, wal_bytes;
  std::int64_t commits = 0;
  std::int64_t runs = 0;
};

/// Returns the one that will be claimed last.
run<int> enqueue(client& by, int count) {
  std::optional<run<int>> last;
  for (int done = 0; done < count; done += batch) {
    const std::vector<int> inputs(static_cast<std::size_t>(std::min(batch, count - done)), 0);
    last = by.start_many(no_op, inputs).back();
  }
  return *last;
}

bool ended(const run<int>& what) {
  try {
    (void)what.result(duration(0));
  } catch (const timed_out&) {
    return false;
  }
  return true;
}

/// Enqueues and drains. Few slots don't get through in a sensible time: after `limit_s` what was
/// completed by then counts.
drained drain(ground& on, const setting& how, int count, double limit_s) {
  const journal here = open(on.address());
  const auto old = how.old_snapshot ? on.hold_snapshot() : nullptr;
  client by(here);
  const run<int> last = enqueue(by, count);
  workers working(on.address(), how.processes, how.slots);
  const std::int64_t before = on.completed();
  const written wrote = on.so_far();
  const double began = now_s();
  working.go();
  // The last first: counting takes more of the processors.
  while (now_s() - began < limit_s && !ended(last)) std::this_thread::sleep_for(between_looks);
  drained found;
  double took = 0;
  for (;;) {
    took = now_s() - began;
    found.runs = on.completed() - before;
    if (found.runs >= count || took >= limit_s) break;
    std::this_thread::sleep_for(between_looks);
  }
  const written now = on.so_far();
  found.cpu_s = working.stop();
  found.per_s = static_cast<double>(found.runs) / took;
  found.commits = now.commits - wrote.commits;
  if (wrote.server_cpu_s) {
    found.server_cpu_s = *now.server_cpu_s - *wrote.server_cpu_s;
    found.wal_bytes = *now.wal_bytes - *wrote.wal_bytes;
  }
  return found;
}

int finished_before(const settings& how) { return how.finished.empty() ? 0 : how.finished.front(); }
int to_drain(const settings& how) { return how.runs > 0 ? how.runs : 20'000; }

/// In a new journal, in which as many have ended as asked.
drained drain_anew(const settings& how, const setting& with) {
  const auto on = make_ground(how, "w5");
  const int finished = finished_before(how);
  if (finished > 0) {
    const double enough_s = 60 + finished / 500.0;
    if (drain(*on, {.processes = 2}, finished, enough_s).runs < finished) {
      std::fprintf(stderr, "fermata-bench: W5: %d runs weren't ended within %.0f s\n", finished,
                   enough_s);
      std::exit(1);
    }
  }
  return drain(*on, with, to_drain(how), how.seconds * 4);
}

/// What the measurements of one setting came to.
struct point {
  std::vector<double> ours, with_old, ratios, theirs, to_probe;
  std::int64_t runs = 0, commits = 0, unfinished = 0;
  double cpu_s = 0;
  std::optional<double> server_cpu_s, wal_bytes;
  std::vector<double> cpu_ratios;  // of the server, with the old snapshot to without, per run

  void add(const drained& one, int count) {
    runs += one.runs;
    unfinished += count - one.runs;
    commits += one.commits;
    cpu_s += one.cpu_s;
    if (!one.server_cpu_s) return;
    server_cpu_s = server_cpu_s.value_or(0) + *one.server_cpu_s;
    wal_bytes = wal_bytes.value_or(0) + *one.wal_bytes;
  }
};

point measure(const settings& how, setting with) {
  point found;
  const auto probes = make_ground(how, "w5probe");
  for (int i = 0; i < how.repeat; ++i) {
    found.theirs.push_back(
        probes->workflows(with.slots * with.processes, how.seconds / 4, events_per_run));
    with.old_snapshot = false;
    const drained one = drain_anew(how, with);
    found.add(one, to_drain(how));
    found.ours.push_back(one.per_s);
    found.to_probe.push_back(one.per_s / found.theirs.back());
    if (!how.old_snapshot) continue;
    with.old_snapshot = true;
    const drained other = drain_anew(how, with);
    found.with_old.push_back(other.per_s);
    found.ratios.push_back(other.per_s / one.per_s);
    if (one.server_cpu_s && other.server_cpu_s)
      found.cpu_ratios.push_back((*other.server_cpu_s / static_cast<double>(other.runs)) /
                                 (*one.server_cpu_s / static_cast<double>(one.runs)));
  }
  return found;
}

}  // namespace

void w5_drain(const settings& how, report& to) {
  for (const int processes : how.processes) {
    double best_with_fewer = 0;
    for (const int slots : how.slots) {
      const point found = measure(how, {.processes = processes, .slots = slots});
      const double per_s = median(found.ours);
      const auto n = static_cast<double>(std::max<std::int64_t>(found.runs, 1));
      line out("W5");
      out.put("processes", processes, 0)
          .put("slots", slots, 0)
          .put("finished_before", finished_before(how), 0)
          .put("runs_per_s", per_s, 0)
          .put("probe_runs_per_s", median(found.theirs), 0)
          .put("ratio", median(found.to_probe));
      if (best_with_fewer > 0)
        out.put("to_fewer_slots", per_s / best_with_fewer);
      else
        out.put("to_fewer_slots", "-");
      best_with_fewer = std::max(best_with_fewer, per_s);
      if (how.old_snapshot)
        out.put("with_old_snapshot_per_s", median(found.with_old), 0)
            .put("old_snapshot_ratio", median(found.ratios))
            .put("old_snapshot_cpu_ratio", median(found.cpu_ratios));
      out.put("cpu_us_per_run", found.cpu_s * 1e6 / n, 1);
      if (found.server_cpu_s) out.put("server_cpu_us_per_run", *found.server_cpu_s * 1e6 / n, 1);
      out.put("commits_per_run", static_cast<double>(found.commits) / n, 3);
      if (found.wal_bytes) out.put("wal_bytes_per_run", *found.wal_bytes / n, 0);
      out.put("not_in_time", static_cast<double>(found.unfinished), 0);
      to.add(std::move(out));
    }
  }
}

}  // namespace fermata::bench
