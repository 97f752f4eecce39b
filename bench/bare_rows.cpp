// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_rows.hpp"

#include "bench/usage.hpp"

namespace fermata::bench {

namespace {
constexpr std::int64_t due_within = 10'000'000;
constexpr std::int64_t position_of_fires = 1'000'000'000;  // apart from those of other events
}  // namespace

double bare_rows::commit(const bare_writes& what) {
  const double began = now_s();
  begin();
  for (int i = 0; i < what.runs_begun; ++i) run_begun(begun_++);
  for (int i = 0; i < what.events; ++i, ++events_) event(events_ % runs_, events_ / runs_);
  for (int i = 0; i < what.requests; ++i) request(requests_++);
  for (int i = 0; i < what.requests_taken; ++i) request_taken(taken_++);
  for (int i = 0; i < what.timers; ++i, ++timers_) {
    const std::int64_t due = scattered(timers_, due_within);
    pending_.emplace(due, timers_);
    timer(due, timers_);
  }
  for (int i = 0; i < what.timers_fired && !pending_.empty(); ++i) {
    const auto [due, run] = pending_.top();
    pending_.pop();
    event(run, position_of_fires + fired_++);
    timer_gone(due, run);
  }
  for (int i = 0; i < what.runs_ended; ++i) run_ended(ended_++);
  end();
  return now_s() - began;
}

double bare_rows::repeat(const bare_writes& what, double seconds) {
  const double began = now_s();
  int count = 0;
  for (; count == 0 || now_s() - began < seconds; ++count) (void)commit(what);
  return count / (now_s() - began);
}

}  // namespace fermata::bench
