// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "passing_store.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace fermata::engine::testing {

/// Changes one run's events as they are read.
class damaged_store : public passing_store {
 public:
  using damage = std::function<void(std::vector<stored_event>&)>;
  damaged_store(store& inner, run_id run, damage damage)
      : passing_store(inner), run_(run), damage_(std::move(damage)) {}

  absl::StatusOr<std::vector<stored_event>> changes(const std::string& after,
                                                    std::size_t at_most) const override {
    auto events = inner_.changes(after, at_most);
    if (events.ok()) damage_(*events);
    return events;
  }
  absl::StatusOr<std::vector<encoded_event>> read_events(const run_id& run, position_t from,
                                                         std::size_t at_most) const override {
    if (run != run_) return inner_.read_events(run, from, at_most);
    std::vector<stored_event> all;
    const auto read = inner_.read_events(run, 1, 100'000);
    if (!read.ok()) return read;
    for (const encoded_event& one : *read) all.push_back({run, one, {}});
    damage_(all);
    std::vector<encoded_event> some;
    for (const stored_event& one : all) {
      if (one.what.position >= from && some.size() < at_most) some.push_back(one.what);
    }
    return some;
  }

 private:
  run_id run_;
  damage damage_;
};

}  // namespace fermata::engine::testing
