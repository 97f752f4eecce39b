// SPDX-License-Identifier: Apache-2.0
#include <fermata/testing.hpp>

#include "engine/event/encode.hpp"
#include "src/convert.hpp"
#include "worker/testing/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace fermata::testing {

kit::kit(way how, std::size_t at)
    : world_(std::make_unique<world>(how, at)),
      journal(world_->make_journal()),
      worker(journal),
      client(journal) {
  world_->employ(worker);
}
kit::~kit() = default;

void kit::work() { world_->work(); }

void kit::advance(duration how_long) {
  const std::int64_t until = world_->time->steady_now_us() + how_long.count() * 1000;
  while (world_->pass_time(until)) {
  }
  work();
}

time_point kit::now() const { return detail::instant(world_->time->wall_now()); }

int kit::attempts(std::string_view step) const {
  auto found = world_->entered.find(step);
  return found == world_->entered.end() ? 0 : found->second;
}

std::size_t kit::events() const { return world_->store->events(); }

std::string kit::history(const any_run& run) const {
  const engine::run_row row = detail::inside(journal).newest_of(run.id());
  auto stored = world_->store->read_events(row.run, 1, 1'000'000);
  detail::raise(stored.status());
  std::string text;
  for (const engine::encoded_event& e : *stored)
    text += fmt::format("{} {} {}\n", e.operation.empty() ? "-" : e.operation,
                        engine::text_of(e.kind), e.name);
  return text;
}

void kit::replay_all() { world_->replay_all(); }

void kit::serve_queue(std::string_view queue) { world_->serve_queue(queue); }

void kit::fail_step(std::string_view step, const failure& why, int times) {
  world_->faults.insert_or_assign(std::string(step), world::fault{why, times, false});
  if (world_->serves->step(step) != nullptr) return;
  detail::step_entry stub;
  stub.name = std::string(step);
  stub.body =
      detail::sync_body([](const detail::payload&, step_context&) { return detail::no_value(); });
  world_->serves->serve_step(std::move(stub));
}

void kit::hang_step(std::string_view step, int times) {
  fail_step(step, failure("hangs"), times);
  world_->faults.find(step)->second.hangs = true;
}

namespace {

/// What the world was like at its end: the history of each run and how it ended. Ids are different
/// in each world, so the stories are in the order of their texts.
struct telling {
  std::string histories;
  std::string ends;
};

std::string sorted(std::vector<std::string> stories) {
  std::sort(stories.begin(), stories.end());
  std::string told;
  for (const std::string& one : stories) told += one;
  return told;
}

telling tell(kit& t) {
  std::vector<std::string> histories, ends;
  for (const run_info& run : t.client.list({.at_most = 100'000})) {
    const std::string name = run.workflow + " " + run.key + "\n";
    histories.push_back(name + t.history(t.client.find(run.id)));
    ends.push_back(std::string(text_of(run.state)) + " " + name);
  }
  return {sorted(std::move(histories)), sorted(std::move(ends))};
}

/// FERMATA_KIT_CRASHES=N: one of N crashes is tried, where each takes long to come back from.
std::size_t crashes_per_tried_one() {
  const char* text = std::getenv("FERMATA_KIT_CRASHES");
  return text == nullptr ? 1 : std::max<std::size_t>(1, std::strtoul(text, nullptr, 10));
}

}  // namespace

int every_way(const std::function<void(kit&)>& scenario) {
  int worlds = 0;
  std::size_t events = 0;
  telling kept;
  bool trouble_when_kept = false;
  auto one = [&](way how, std::size_t at) {
    const std::uint64_t troubles = trouble::met_so_far();
    kit t(how, at);
    scenario(t);
    t.work();
    t.replay_all();
    ++worlds;
    const telling told = tell(t);
    if (how == way::kept) {
      events = t.events();
      kept = told;
      trouble_when_kept = trouble::met_so_far() != troubles;
    }
    // A crash takes attempts with it and changes what comes first, but not how a run ends; so do commits
    // in trouble.
    const bool crashed = how == way::crash_before || how == way::crash_after || trouble_when_kept ||
                         trouble::met_so_far() != troubles;
    const std::string& is = crashed ? told.ends : told.histories;
    const std::string& should = crashed ? kept.ends : kept.histories;
    if (is != should)
      throw mismatch(fmt::format("world {}/{} tells another story:\n{}instead of\n{}",
                                 static_cast<int>(how), at, is, should));
  };
  one(way::kept, 0);
  one(way::evicted, 0);
  const std::size_t each = crashes_per_tried_one();
  for (std::size_t crash = events % each; crash < 2 * events; crash += each)
    one(crash % 2 == 0 ? way::crash_before : way::crash_after, crash / 2 + 1);
  return worlds;
}

}  // namespace fermata::testing
