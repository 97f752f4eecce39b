// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/history.hpp"

#include "engine/event/encode.hpp"
#include "engine/failpoint.hpp"
#include "engine/limits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <iterator>
#include <system_error>

namespace fermata::runtime {

namespace {

using problem = history::problem;

constexpr std::size_t page_size = 1000;

/// Appends the next events of `stored`, which are all but the missing ones of `count`, until one that
/// can't be had.
void decode_all(const engine::run_id& run, std::vector<engine::encoded_event>&& stored,
                engine::position_t from, std::size_t count, history& to) {
  const auto missing = [&] {
    to.why = problem::damaged;
    to.text = fmt::format("run {}, position {}: it is missing in the journal", run.text(), from);
  };
  for (engine::encoded_event& one : stored) {
    absl::StatusOr<engine::event> event = engine::decode(run, std::move(one));
    if (!event.ok()) {
      to.why = absl::IsDataLoss(event.status()) ? problem::damaged : problem::newer;
      to.text = std::string(event.status().message());
      return;
    }
    if (event->position != from) return missing();
    to.events.push_back(*std::move(event));
    ++from;
  }
  if (stored.size() < count) missing();
}

/// Appends the events from `from` on, until one that can't be had.
void read_page(const engine::store& store, const engine::run_id& run, engine::position_t from,
               std::size_t count, history& to) {
  absl::StatusOr<std::vector<engine::encoded_event>> stored;
  if (engine::failpoint("replay.before"))
    stored = absl::UnavailableError("a failpoint keeps its events away");
  else
    stored = store.read_events(run, from, count);
  if (stored.ok()) return decode_all(run, *std::move(stored), from, count, to);
  to.why = absl::IsDataLoss(stored.status()) ? problem::damaged : problem::unavailable;
  to.text = std::string(stored.status().message());
}

/// By another thread; where none is to be had, when it is asked for.
std::future<history> read_beside(const engine::store& store, const engine::run_id& run,
                                 engine::position_t from) {
  const auto read = [&store, &run, from] {
    history page;
    page.events.reserve(page_size);
    read_page(store, run, from, page_size, page);
    return page;
  };
  try {
    return std::async(std::launch::async, read);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, read);
  }
}

void add(history& to, history&& page) {
  std::ranges::move(page.events, std::back_inserter(to.events));
  to.why = page.why;
  to.text = std::move(page.text);
}

}  // namespace

history read_history(const engine::store& from, const engine::run_id& run, engine::position_t last,
                     std::vector<engine::encoded_event>&& beginning,
                     const std::function<void()>& got_on) {
  history found;
  // Not more than is usual: `last` may be what a damaged row says.
  found.events.reserve(std::min<std::size_t>(last, engine::limits::history_warning));
  // What was appended since is after `last`.
  if (beginning.size() > last)
    beginning.erase(beginning.begin() + static_cast<std::ptrdiff_t>(last), beginning.end());
  decode_all(run, std::move(beginning), 1, 0, found);
  std::future<history> beside;
  while (found.why == problem::none && found.events.size() < last) {
    got_on();
    if (beside.valid()) {
      add(found, beside.get());
      continue;
    }
    const engine::position_t next = found.events.size() + 1;
    const std::size_t left = last - found.events.size();
    if (left > 2 * page_size) beside = read_beside(from, run, next + page_size);
    read_page(from, run, next, std::min(left, page_size), found);
  }
  return found;
}

}  // namespace fermata::runtime
