// SPDX-License-Identifier: Apache-2.0
// W3: how long does one run take that calls a thousand steps at once and joins them; a thousand
// children?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

namespace fermata::bench {

namespace {

constexpr workflow<work(work)> echo{"echo"};
constexpr workflow<int(work)> steps_at_once{"steps_at_once"};
constexpr workflow<int(work)> children_at_once{"children_at_once"};

task<work> return_input(context&, work input) { co_return input; }

/// Parts are numbered through all runs, as if ten of them were one of ten steps: so `executions`
/// counts them.
work part_of(const work& whole, int part) {
  const std::int64_t number = whole.run * whole.step + part;
  return {number / steps_per_run + 1, static_cast<int>(number % steps_per_run), whole.text};
}

/// Parts that came back as they were sent.
int intact(const work& whole, const std::vector<work>& parts) {
  int found = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const work sent = part_of(whole, static_cast<int>(i));
    if (parts[i].run == sent.run && parts[i].step == sent.step) ++found;
  }
  return found;
}

task<int> call_steps(context& ctx, work input) {
  std::vector<future<work>> parts;
  for (int i = 0; i < input.step; ++i) parts.push_back(ctx.call(do_nothing, part_of(input, i)));
  const std::vector<work> all = co_await ctx.all(parts);
  co_return intact(input, all);
}

task<int> call_children(context& ctx, work input) {
  std::vector<future<work>> parts;
  for (int i = 0; i < input.step; ++i) parts.push_back(ctx.call(echo, part_of(input, i)));
  const std::vector<work> all = co_await ctx.all(parts);
  co_return intact(input, all);
}

/// The writes of such a run in as few transactions as durability allows: what a step or child returns
/// is durable before the join, what a run asks for before it happens.
double probe_steps(bare_rows& raw, int width) {
  return raw.commit({.events = 1, .runs_begun = 1}) + raw.commit({.events = width}) +
         raw.commit({.events = 1, .runs_ended = 1});
}

double probe_children(bare_rows& raw, int width) {
  return raw.commit({.events = 1, .runs_begun = 1}) +
         raw.commit({.events = width, .requests = width}) +  // child_started, and a request each
         raw.commit({.events = width, .runs_begun = width, .requests_taken = width}) +
         raw.commit({.events = width, .runs_ended = width, .requests = width}) +  // ends, messages
         raw.commit({.events = width, .requests_taken = width}) +                 // child_completed
         raw.commit({.events = 1, .runs_ended = 1});
}

struct kind {
  const char* name;
  const workflow<int(work)>& asked;
  double (*probe)(bare_rows&, int width);
  bool steps;
};

void measure(const settings& how, const kind& what, report& to) {
  const auto on = make_ground(how, "w3");
  const int width = how.width;
  worker_options options;
  options.max_runs = width + 100;
  host here(*on, options);
  here.worker.serve(echo, return_input);
  here.worker.serve(steps_at_once, call_steps);
  here.worker.serve(children_at_once, call_children);
  here.run();
  const auto raw = on->bare(width, how.payload_bytes);
  std::int64_t runs = 0;
  std::int64_t lost = 0;
  const auto one = [&] {
    work input = make_work(runs++, 0, how.payload_bytes);
    input.step = width;
    const double began = now_s();
    lost += width - here.client.start(what.asked, input).result();
    return now_s() - began;
  };
  (void)one();
  std::vector<double> ours, theirs;
  meter costs(*on);
  for (const double began = now_s();
       static_cast<int>(ours.size()) < how.repeat || now_s() - began < how.seconds / 2;) {
    costs.begin();
    ours.push_back(one());
    costs.end(1);
    theirs.push_back(what.probe(*raw, width));
  }
  const executions::verdict steps =
      what.steps ? here.ran.judge(runs * width / steps_per_run) : executions::verdict{};
  const double probe = percentile(theirs, 0.5);
  line out("W3");
  out.put("fan_out_to", what.name)
      .put("width", width, 0)
      .put("runs", static_cast<double>(ours.size()), 0)
      .put("p50_ms", percentile(ours, 0.5) * 1e3)
      .put("p99_ms", percentile(ours, 0.99) * 1e3)
      .put("probe_p50_ms", probe * 1e3)
      .put("ratio", percentile(ours, 0.5) / probe);
  costs.put(out);
  out.put("lost", static_cast<double>(lost + steps.lost), 0)
      .put("repeated", static_cast<double>(steps.repeated), 0);
  to.add(std::move(out));
}

}  // namespace

void w3_fan_out(const settings& how, report& to) {
  measure(how, {"steps", steps_at_once, probe_steps, true}, to);
  measure(how, {"children", children_at_once, probe_children, false}, to);
}

}  // namespace fermata::bench
