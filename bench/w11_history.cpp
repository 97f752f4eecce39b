// SPDX-License-Identifier: Apache-2.0
// W11: does a journal slow down as finished runs gather in it? Runs per second as W2, lists, and what
// a run takes on the disk.
#include "bench/bench.hpp"
#include "bench/closed_loop.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

#include <algorithm>
#include <deque>
#include <optional>

namespace fermata::bench {

namespace {

constexpr int batch = 500;          // of a start_many while the journal is filled
constexpr int batches_at_once = 3;  // of them
constexpr int lists_max = 1000;     // of one filter
constexpr int in_flight_usual = 256;

/// A journal that is filled and measured.
class place {
 public:
  place(const settings& how, std::string_view name)
      : how_(how), on_(make_ground(how, name)), here_(*on_, options(how)) {
    here_.run();
    empty_bytes_ = on_->stored_bytes();
  }

  /// Until so many have ended. The very first are found by their tag.
  void fill(std::int64_t finished) {
    std::deque<std::vector<fermata::run<work>>> under_way;
    const auto await_oldest = [&] {
      for (const auto& one : under_way.front()) (void)one.result();
      under_way.pop_front();
    };
    while (numbers_ < finished) {
      const std::int64_t count = std::min<std::int64_t>(batch, finished - numbers_);
      start_options with;
      if (numbers_ == 0) with.tags = {{"batch", "first"}};
      std::vector<work> inputs;
      for (std::int64_t i = 0; i < count; ++i)
        inputs.push_back(make_work(++numbers_, 0, how_.payload_bytes));
      under_way.push_back(here_.client.start_many(ten_steps, inputs, with));
      if (under_way.size() == batches_at_once) await_oldest();
    }
    while (!under_way.empty()) await_oldest();
  }

  double per_s(double seconds) {
    const int in_flight = how_.in_flight.empty() ? in_flight_usual : how_.in_flight.front();
    return closed_loop(here_.client, numbers_, in_flight, how_.clients, seconds, how_.payload_bytes)
        .per_s;
  }

  /// Seconds of each list.
  std::vector<double> list(const run_filter& which, double seconds) {
    std::vector<double> times;
    for (const double began = now_s();
         times.empty() || (now_s() - began < seconds && times.size() < lists_max);) {
      const double asked = now_s();
      (void)here_.client.list(which);
      times.push_back(now_s() - asked);
    }
    return times;
  }

  double bytes_per_run() {
    here_.wait_until_quiet();
    return (on_->stored_bytes() - empty_bytes_) /
           static_cast<double>(std::max<std::int64_t>(1, numbers_));
  }
  std::int64_t finished() const { return numbers_; }
  std::int64_t missing() { return numbers_ - on_->completed(); }
  executions::verdict steps() const { return here_.ran.judge(numbers_); }
  ground& on() { return *on_; }

 private:
  static worker_options options(const settings& how) {
    worker_options found;
    found.max_runs = batch * batches_at_once;
    if (how.record_hashes) found.record_input = record_input::hash;
    return found;
  }

  const settings& how_;
  const std::unique_ptr<ground> on_;
  host here_;
  std::atomic<std::int64_t> numbers_ = 0;
  double empty_bytes_ = 0;
};

struct speeds {
  std::vector<double> ours, to_few, theirs;
};

/// By turns with a new journal that holds few.
speeds measure_speed(const settings& how, place& full, int few, meter& costs) {
  speeds found;
  const double seconds = how.seconds / 4;
  for (int i = 0; i < std::max(1, how.repeat / 2); ++i) {
    place fresh(how, "w11few");
    fresh.fill(few);
    const double with_few = fresh.per_s(seconds);
    const std::int64_t before = full.finished();
    costs.begin();
    found.ours.push_back(full.per_s(seconds));
    costs.end(static_cast<double>(full.finished() - before));
    found.to_few.push_back(found.ours.back() / std::max(1.0, with_few));
    found.theirs.push_back(full.on().workflows(in_flight_usual, seconds / 2));
  }
  return found;
}

void measure(const settings& how, place& full, int finished, int few, report& to) {
  full.fill(finished);
  const double bytes = full.bytes_per_run();
  full.on().learn_statistics();
  struct {
    const char* name;
    run_filter which;
  } const lists[] = {
      {"list", {}},
      {"completed", {.workflow = std::string(ten_steps.name()), .state = run_state::completed}},
      {"none", {.state = run_state::failed}},
      {"tag", {.tags = {{"batch", "first"}}}}};
  line out("W11");
  out.put("finished", static_cast<double>(full.finished()), 0);
  for (const auto& [name, which] : lists) {
    std::vector<double> times = full.list(which, how.seconds / 16);
    out.put(std::string(name) + "_p50_ms", percentile(times, 0.5) * 1e3, 3)
        .put(std::string(name) + "_p99_ms", percentile(times, 0.99) * 1e3, 3);
  }
  out.put("bytes_per_run", bytes, 0);
  meter costs(full.on());
  const speeds found = measure_speed(how, full, few, costs);
  const executions::verdict steps = full.steps();
  out.put("wf_per_s", median(found.ours), 0)
      .put("probe_wf_per_s", median(found.theirs), 0)
      .put("ratio", median(found.ours) / median(found.theirs))
      .put("to_few", median(found.to_few));
  costs.put(out);
  out.put("missing_runs", static_cast<double>(full.missing()), 0)
      .put("lost_steps", static_cast<double>(steps.lost), 0)
      .put("repeated_steps", static_cast<double>(steps.repeated), 0);
  to.add(std::move(out));
}

}  // namespace

void w11_history(const settings& how, report& to) {
  const std::vector<int> usual = {1'000, 10'000};
  const std::vector<int>& levels = how.finished.empty() ? usual : how.finished;
  place full(how, "w11");
  for (const int finished : levels) measure(how, full, finished, levels.front(), to);
}

}  // namespace fermata::bench
