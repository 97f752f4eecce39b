// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/office.hpp"

#include "engine/event/encode.hpp"

#include <fmt/format.h>

#include <map>

namespace fermata::attack::power {

using namespace fermata::engine;

namespace {

/// How often a journal has each kind of event, and whether its first step says what it must.
void check_journal(const run_row& run, const std::vector<encoded_event>& events,
                   std::vector<std::string>& wrong) {
  std::map<event_kind, int> count;
  for (const encoded_event& stored : events) {
    const auto what = decode(run.run, stored);
    if (!what.ok()) return wrong.push_back(std::string(what.status().message()));
    ++count[what->kind];
    const bool first_step = what->kind == event_kind::step_completed && what->operation == "1";
    if (first_step && what->value.bytes != result_of_first_step(run.run))
      wrong.push_back(run.run.text() + ": its first step has another result");
  }
  const bool order = run.workflow == "order";
  const std::map<event_kind, int> once{{event_kind::run_started, 1},
                                       {event_kind::run_completed, 1},
                                       {event_kind::step_completed, order ? 2 : 1},
                                       {event_kind::tagged, order ? 1 : 0},
                                       {event_kind::published, order ? 1 : 0},
                                       {event_kind::timer_set, order ? 1 : 0},
                                       {event_kind::timer_fired, order ? 1 : 0},
                                       {event_kind::signal_received, order ? 1 : 0},
                                       {event_kind::child_started, order ? 1 : 0},
                                       {event_kind::child_completed, order ? 1 : 0}};
  for (const auto& [kind, wanted] : once) {
    if (count[kind] != wanted)
      wrong.push_back(fmt::format("{} has {} {} times, not {}", run.run.text(), text_of(kind),
                                  count[kind], wanted));
  }
}

}  // namespace

std::vector<std::string> office::wrong_at_the_end() const {
  std::vector<std::string> wrong;
  const auto all = store_->list({});
  if (!all.ok()) return {std::string(all.status().message())};
  if (asked_ != 2 * static_cast<std::size_t>(orders_) + 1)
    wrong.push_back(fmt::format("{} of the client's wishes were answered", asked_));
  if (all->size() != 2 * static_cast<std::size_t>(orders_))
    wrong.push_back(fmt::format("there are {} runs", all->size()));
  for (const run_row& run : *all) {
    if (run.state != run_state::completed)
      wrong.push_back(
          fmt::format("{} is {}, waits for '{}'", run.run.text(), text_of(run.state), run.waits));
    const auto events = store_->read_events(run.run, 1, 1'000);
    if (!events.ok()) return {std::string(events.status().message())};
    check_journal(run, *events, wrong);
  }
  const auto counts = store_->counts("default");
  if (!counts.ok()) return {std::string(counts.status().message())};
  if (counts->timers != 0 || counts->inbox != 0 || counts->ready != 0)
    wrong.push_back(fmt::format("{} timers, {} messages, {} marks are left", counts->timers,
                                counts->inbox, counts->ready));
  return wrong;
}

}  // namespace fermata::attack::power
