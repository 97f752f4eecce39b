// SPDX-License-Identifier: Apache-2.0
// W9: a worker process is killed with many runs in flight. How long until another one goes on with the
// first of them, until all are owned again? Another that stood by, or one that is started then; on the
// same machine, where a death is seen at once and not by its lease.
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"
#include "bench/workers.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <thread>

namespace fermata::bench {

namespace {

constexpr int batch = 1000;  // of a start_many, and events in a transaction of the probe

struct recovered {
  std::int64_t in_flight = 0, steps_in_flight = 0, lost_runs = 0, lost_steps = 0, repeated = 0;
  std::optional<double> progress_s;  // empty: nothing was left to be done
  double owned_s = 0, ended_s = 0, cpu_s = 0, resident_mb = 0;
  std::int64_t commits = 0;  // after the kill
};

void enqueue(client& by, int count, std::size_t bytes) {
  for (int done = 0; done < count; done += batch) {
    std::vector<work> inputs;
    for (int i = done; i < std::min(count, done + batch); ++i)
      inputs.push_back(make_work(i, 0, bytes));
    (void)by.start_many(ten_steps, inputs);
  }
}

/// What the marks and the journal say when all is over.
void judge(ground& on, const marks& steps, std::int64_t begun, std::int64_t killed_us,
           recovered& found) {
  std::int64_t first_us = std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < steps.count(); ++i) {
    if (steps.times(i) == 0) ++found.lost_steps;
    found.repeated += std::max(0, steps.times(i) - 1);
    if (steps.at_us(i) > killed_us) first_us = std::min(first_us, steps.at_us(i));
  }
  if (first_us != std::numeric_limits<std::int64_t>::max())
    found.progress_s = static_cast<double>(first_us - killed_us) * 1e-6;
  // 40 is step_completed; the first owner of a run has epoch 1.
  found.steps_in_flight =
      begun - on.number("SELECT count(*) FROM events WHERE kind = 40 AND epoch = 1");
}

recovered kill_once(const settings& how, int runs, bool stands_by) {
  const auto on = make_ground(how, "w9");
  const marks steps(static_cast<std::size_t>(runs) * steps_per_run);
  const journal here = open(on->address());
  client by(here);
  enqueue(by, runs, how.payload_bytes);
  workers first(on->address(), 1, runs, &steps);
  std::optional<workers> second;
  if (stands_by) second.emplace(on->address(), 1, runs, &steps);
  first.go();
  const double limit_s = 60 + runs / 500.0;
  (void)watch([&] { return on->number("SELECT count(*) FROM start_requests") == 0; }, limit_s);
  const std::int64_t first_id = on->number("SELECT max(id) FROM workers");
  if (second) {
    second->go();
    (void)watch([&] { return on->number("SELECT max(id) FROM workers") > first_id; }, limit_s);
  }
  while (steps.noted() < std::int64_t{runs} * steps_per_run / 2)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  first.kill();
  const std::int64_t killed_us = wall_us();
  const double began = now_s();
  const std::int64_t begun = steps.noted();
  const std::int64_t commits = on->so_far().commits;
  recovered found;
  if (!second) second.emplace(on->address(), 1, runs, &steps).go();
  found.in_flight = runs - on->completed();
  // Nothing of the dead worker's is left to be taken.
  const std::string ownerless =
      "SELECT count(*) FROM runs WHERE state < 3 AND owner <= " + std::to_string(first_id);
  (void)watch([&] { return on->number(ownerless) == 0; }, limit_s);
  found.owned_s = now_s() - began;
  (void)watch([&] { return on->completed() == runs; }, limit_s);
  found.ended_s = now_s() - began;
  found.commits = on->so_far().commits - commits;
  found.lost_runs = runs - on->completed();
  found.resident_mb = second->resident_mb();
  found.cpu_s = second->stop();
  judge(*on, steps, begun, killed_us, found);
  return found;
}

/// Seconds in which bare rows say of so many runs that they have another owner: a row changed and an
/// event each.
double probe_owning(const settings& how, std::int64_t runs) {
  const auto on = make_ground(how, "w9probe");
  const auto raw = on->bare(static_cast<int>(std::max<std::int64_t>(runs, 1)), how.payload_bytes);
  double took = 0;
  for (std::int64_t done = 0; done < runs; done += batch)
    (void)raw->commit({.events = batch, .runs_begun = batch});
  for (std::int64_t done = 0; done < runs; done += batch)
    took += raw->commit({.events = batch, .runs_ended = batch});
  return took;
}

void measure(const settings& how, bool stands_by, report& to) {
  const int runs = how.runs > 0 ? how.runs : 2'000;
  const recovered found = kill_once(how, runs, stands_by);
  const double probe = probe_owning(how, found.in_flight);
  line out("W9");
  out.put("goes_on", stands_by ? "another" : "started anew")
      .put("runs", runs, 0)
      .put("in_flight", static_cast<double>(found.in_flight), 0)
      .put("first_progress_ms", found.progress_s.value_or(0) * 1e3, 1)
      .put("all_owned_ms", found.owned_s * 1e3, 1)
      .put("probe_all_owned_ms", probe * 1e3, 1)
      .put("ratio", probe > 0 ? found.owned_s / probe : 0)
      .put("all_ended_ms", found.ended_s * 1e3, 1)
      .put("cpu_s", found.cpu_s)
      .put("rss_mb", found.resident_mb, 1)
      .put("commits_per_run",
           static_cast<double>(found.commits) /
               static_cast<double>(std::max<std::int64_t>(1, found.in_flight)),
           3)
      .put("lost_runs", static_cast<double>(found.lost_runs), 0)
      .put("lost_steps", static_cast<double>(found.lost_steps), 0)
      .put("steps_in_flight", static_cast<double>(found.steps_in_flight), 0)
      .put("repeated_steps", static_cast<double>(found.repeated), 0)
      .put("repeated_beyond",
           static_cast<double>(std::max<std::int64_t>(0, found.repeated - found.steps_in_flight)),
           0);
  to.add(std::move(out));
}

}  // namespace

void w9_recovery(const settings& how, report& to) {
  measure(how, true, to);
  measure(how, false, to);
}

}  // namespace fermata::bench
