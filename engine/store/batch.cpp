// SPDX-License-Identifier: Apache-2.0
#include "engine/store/batch.hpp"

#include <algorithm>

namespace fermata::engine {

bool is_plain(const append& what) noexcept {
  const run_changes& c = what.changes;
  const bool only_events = what.then == then::keep && !what.by_operator && !what.body &&
                           what.consumed.empty() && what.children.empty() &&
                           what.messages.empty() && what.tasks.empty() && what.tasks_gone.empty() &&
                           what.tasks_withdrawn.empty() && !what.waits && !what.status &&
                           !what.attention && !what.looked && !what.make_ready &&
                           what.logs.empty() && what.events.size() == 1;
  const bool no_changes = !c.state && !c.ended && !c.error && c.timers_set.empty() &&
                          c.timers_removed.empty() && !c.all_timers_removed && c.tags.empty() &&
                          c.published.empty();
  return only_events && no_changes && what.after != 0 &&
         what.events.front().position == what.after + 1;
}

bool is_plain(const batch& what) noexcept {
  if (what.worker == 0 || !what.starts.empty() || !what.messages.empty() || !what.finish.empty() ||
      what.claim || what.appends.empty())
    return false;
  return std::ranges::all_of(what.appends, [](const append& one) { return is_plain(one); });
}

std::size_t items_in(const batch& what) noexcept {
  return what.appends.size() + what.starts.size() + what.messages.size() + what.finish.size();
}

std::size_t bytes_in(const append& what) noexcept {
  std::size_t bytes = 0;
  for (const encoded_event& one : what.events)
    bytes += one.value.size() + one.input.size() + one.details.size();
  for (const start_request& one : what.children) bytes += one.input.bytes.size();
  for (const message& one : what.messages) bytes += one.value.bytes.size();
  for (const task_row& one : what.tasks) bytes += one.input.bytes.size();
  return bytes;
}

std::size_t bytes_in(const batch& what) noexcept {
  std::size_t bytes = 0;
  for (const append& one : what.appends) bytes += bytes_in(one);
  for (const start_item& one : what.starts) bytes += one.request.input.bytes.size();
  for (const message& one : what.messages) bytes += one.value.bytes.size();
  for (const task_finish& one : what.finish) bytes += one.outcome.value.bytes.size();
  return bytes;
}

}  // namespace fermata::engine
