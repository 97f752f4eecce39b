// SPDX-License-Identifier: Apache-2.0
// W6: what do many sleeping runs cost, how soon is a worker there again that has them, and how many
// fire per second, how late? Once due faster than they can fire, once at a steady rate.
#include "bench/bench.hpp"
#include "bench/ground.hpp"
#include "bench/usage.hpp"
#include "bench/workers.hpp"

#include <algorithm>
#include <optional>
#include <thread>

namespace fermata::bench {

namespace {

constexpr int batch = 1000;         // of a start_many
constexpr int slots = 1000;         // of the worker
constexpr int warm_up = 1000;       // runs, which sleep on
constexpr int probe_commit = 1000;  // fires in a transaction of the probe
constexpr int tries_max = 4;
constexpr std::int64_t far_off_us = 3'600'000'000;
constexpr auto between_looks = std::chrono::milliseconds(5);

struct slept {
  double created_per_s = 0, asleep_mb = 0, ready_s = 0, restarted_mb = 0, took_s = 0, cpu_s = 0;
  std::optional<double> server_cpu_s, wal_bytes;
  std::int64_t commits = 0, lost = 0, repeated = 0, early = 0;
  std::vector<double> late;
};

class bedroom {
 public:
  bedroom(ground& on, int runs, int per_s, std::size_t payload)
      : on_(on),
        runs_(runs),
        per_s_(per_s),
        text_(payload > 60 ? payload - 60 : 0, 'x'),  // {"number":…,"due_ms":…,"text":"…"}
        woken_(static_cast<std::size_t>(runs)),
        here_(open(on.address())),
        by_(here_) {
    work_anew();
  }

  /// Seconds. They are asleep afterwards, or the first was due before. `first_due_us`: of the first;
  /// those after it are due in no order.
  double create(int count, std::int64_t first_due_us, bool far_off) {
    const std::int64_t before = timers();
    const double began = now_s();
    for (int done = 0; done < count; done += batch) {
      std::vector<nap> inputs;
      for (int i = done; i < std::min(count, done + batch); ++i)
        inputs.push_back({far_off ? runs_ : i, (first_due_us + due_us(i)) / 1000, text_});
      (void)by_.start_many(sleeper, inputs);
    }
    (void)watch([&] { return timers() >= before + count; },
                static_cast<double>(first_due_us - wall_us()) * 1e-6);
    return now_s() - began;
  }

  /// Seconds until a worker process that begins anew has ended a run.
  double restart() {
    (void)workers_->stop();
    const double began = now_s();
    work_anew();
    (void)by_.start(no_op, 1).result();
    return now_s() - began;
  }

  /// After the last was due, or all have fired.
  void fire(std::int64_t first_due_us, slept& found) {
    const written wrote = on_.so_far();
    const double patience_s = 60 + runs_ / 1000.0;
    const std::int64_t until =
        first_due_us + due_us_max() + static_cast<std::int64_t>(patience_s * 1e6);
    while (woken_.noted() < runs_ && wall_us() < until) std::this_thread::sleep_for(between_looks);
    std::int64_t last_us = first_due_us;
    for (int i = 0; i < runs_; ++i) {
      const auto which = static_cast<std::size_t>(i);
      if (woken_.times(which) == 0) ++found.lost;
      if (woken_.times(which) > 1) ++found.repeated;
      if (woken_.times(which) == 0) continue;
      const std::int64_t late_us =
          woken_.at_us(which) - (first_due_us + due_us(i)) / 1000 * 1000;  // due by milliseconds
      if (late_us < 0) ++found.early;
      found.late.push_back(static_cast<double>(late_us) * 1e-6);
      last_us = std::max(last_us, woken_.at_us(which));
    }
    found.took_s = static_cast<double>(last_us - first_due_us) * 1e-6;
    const written now = on_.so_far();
    found.commits = now.commits - wrote.commits;
    if (wrote.server_cpu_s) {
      found.server_cpu_s = *now.server_cpu_s - *wrote.server_cpu_s;
      found.wal_bytes = *now.wal_bytes - *wrote.wal_bytes;
    }
    found.cpu_s = workers_->stop();
  }

  double resident_mb() const { return workers_->resident_mb(); }

 private:
  std::int64_t due_us_max() const { return std::int64_t{1'000'000} * runs_ / per_s_; }
  std::int64_t due_us(int number) const {
    return scattered(number, std::max<std::int64_t>(due_us_max(), 1));
  }
  std::int64_t timers() { return on_.number("SELECT count(*) FROM timers"); }
  void work_anew() {
    workers_.emplace(on_.address(), 1, slots, &woken_);
    workers_->go();
  }

  ground& on_;
  const int runs_, per_s_;
  const std::string text_;
  marks woken_;
  const journal here_;
  client by_;
  std::optional<workers> workers_;
};

/// Empty: they were due before all of them slept, and a worker was there again.
std::optional<slept> sleep_once(const settings& how, int runs, int per_s, double margin) {
  const auto on = make_ground(how, "w6");
  bedroom here(*on, runs, per_s, how.payload_bytes);
  const double one_s = here.create(warm_up, wall_us() + far_off_us, true) / warm_up;
  const std::int64_t first_due_us =
      wall_us() + static_cast<std::int64_t>((0.5 + one_s * runs) * margin * 1e6);
  slept found;
  found.created_per_s = runs / here.create(runs, first_due_us, false);
  if (wall_us() > first_due_us) return std::nullopt;
  found.asleep_mb = here.resident_mb();
  found.ready_s = here.restart();
  found.restarted_mb = here.resident_mb();
  if (wall_us() > first_due_us) return std::nullopt;
  here.fire(first_due_us, found);
  return found;
}

/// Fires per second by bare rows, of runs that have two events already.
double probe_fires(const settings& how, int runs, double seconds) {
  const auto on = make_ground(how, "w6probe");
  const auto raw = on->bare(runs, how.payload_bytes);
  for (int done = 0; done < runs; done += batch)
    (void)raw->commit({.events = 2 * batch, .timers = batch});
  double took = 0;
  int fired = 0;
  for (; fired < runs && took < seconds; fired += probe_commit)
    took += raw->commit({.timers_fired = probe_commit});
  return fired / took;
}

void measure(const settings& how, int per_s, report& to) {
  const int runs = how.runs > 0 ? how.runs : 10'000;
  const double probe = probe_fires(how, runs, how.seconds);
  std::optional<slept> found;
  double margin = 2;
  for (int i = 0; i < tries_max && !found; ++i, margin *= 2)
    found = sleep_once(how, runs, per_s, margin);
  line out("W6");
  out.put("runs", runs, 0).put("due_per_s", per_s, 0);
  if (!found) {
    to.add(std::move(out.put("skipped", "they were due before all of them slept")));
    return;
  }
  const double fires = static_cast<double>(found->late.size());
  const double fires_per_s = fires / found->took_s;
  out.put("created_per_s", found->created_per_s, 0)
      .put("asleep_rss_mb", found->asleep_mb, 1)
      .put("restart_ms", found->ready_s * 1e3, 1)
      .put("restarted_rss_mb", found->restarted_mb, 1)
      .put("fires_per_s", fires_per_s, 0)
      .put("probe_fires_per_s", probe, 0)
      .put("ratio", fires_per_s / probe)
      .put("late_p50_ms", percentile(found->late, 0.5) * 1e3)
      .put("late_p99_ms", percentile(found->late, 0.99) * 1e3)
      .put("cpu_us_per_fire", found->cpu_s * 1e6 / fires, 1);
  if (found->server_cpu_s) out.put("server_cpu_us_per_fire", *found->server_cpu_s * 1e6 / fires, 1);
  out.put("commits_per_fire", static_cast<double>(found->commits) / fires, 3);
  if (found->wal_bytes) out.put("wal_bytes_per_fire", *found->wal_bytes / fires, 0);
  out.put("early", static_cast<double>(found->early), 0)
      .put("lost", static_cast<double>(found->lost), 0)
      .put("repeated", static_cast<double>(found->repeated), 0);
  to.add(std::move(out));
}

}  // namespace

void w6_timers(const settings& how, report& to) {
  for (const int per_s : how.rates) measure(how, per_s, to);
}

}  // namespace fermata::bench
