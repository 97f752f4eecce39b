// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/simulated.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "tests/attack/simulation/chance.hpp"
#include "tests/attack/simulation/record.hpp"
#include "tests/attack/simulation/scheduler.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace fermata::simulation {

/// How hard a seed is; from the seed alone.
struct weather {
  std::uint32_t refusals = 0;  // in a thousand calls of the store
  std::uint32_t delays = 0;
  std::uint32_t wakes = 0;
  std::uint32_t bad_steps = 0;
  micros nemesis_every = 0;
  micros chaos = 0;  // then it heals
};

/// What all actors share: time, chance, the journal, what was seen.
struct world {
  world(std::uint64_t seed_given, const std::set<decision>* only)
      : seed(seed_given), by(seed_given, only) {
    const auto pick = [this](std::uint64_t about, auto... of) {
      const std::uint64_t values[] = {static_cast<std::uint64_t>(of)...};
      return values[by.fixed(about) % sizeof...(of)];
    };
    sky.refusals = static_cast<std::uint32_t>(pick(1, 0, 5, 20, 60));
    sky.delays = static_cast<std::uint32_t>(pick(2, 20, 100, 300));
    sky.wakes = static_cast<std::uint32_t>(pick(3, 0, 100, 400));
    sky.bad_steps = static_cast<std::uint32_t>(pick(4, 0, 50, 200));
    sky.nemesis_every = static_cast<micros>(pick(5, 3, 8, 20)) * second;
    sky.chaos = static_cast<micros>(pick(6, 60, 120, 200)) * second;
    time = std::make_shared<virtual_clock>(turns);
    journal = std::make_shared<engine::memory_store>(
        "memory:", engine::open_options{.time = time,
                                        .chance = std::make_shared<engine::seeded_random>(seed)});
  }

  /// What is told costs nothing when nobody listens.
  template <class... Args>
  void tell(fmt::format_string<Args...> how, Args&&... args) {
    if (say) say(fmt::format(how, std::forward<Args>(args)...));
  }
  /// `tell`, and remembers it for who reads the decisions that were made.
  template <class... Args>
  void tell_decision(fmt::format_string<Args...> how, Args&&... args) {
    std::string line = fmt::format(how, std::forward<Args>(args)...);
    if (say) say("! " + line);
    ++seen.total.faults;
    by.tell(turns.now(), std::move(line));
  }

  const std::uint64_t seed;
  chance by;
  scheduler turns;
  record seen;
  weather sky;
  std::shared_ptr<virtual_clock> time;
  std::shared_ptr<engine::memory_store> journal;
  std::function<void(std::string_view)> say;  // may be empty
  std::function<void()> woken;                // the journal's wake count has risen
  micros away_until = 0;                      // nobody reaches the store
  bool over = false;
};

}  // namespace fermata::simulation
