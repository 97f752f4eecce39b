// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fermata::runtime {

/// A run's events, checked and decoded; or why they can't be had.
struct history {
  enum class problem : std::uint8_t {
    none,
    unavailable,  // the store doesn't answer
    damaged,
    newer,  // a newer version wrote it
  };
  problem why = problem::none;
  std::string text;                   // says why
  std::vector<engine::event> events;  // 1, 2, 3 … `last`; those before the problem
};

/// Reads them, by pages, but for the first of them that are known: `beginning`. A long history is
/// read by two threads, this one and another. Calls `got_on` on this thread before each page.
history read_history(const engine::store& from, const engine::run_id& run, engine::position_t last,
                     std::vector<engine::encoded_event>&& beginning,
                     const std::function<void()>& got_on);

}  // namespace fermata::runtime
