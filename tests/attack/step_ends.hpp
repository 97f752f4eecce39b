// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"
#include "engine/store/store.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace attack {

/// Calls `what` with every event of the journal that can be read, in the order they were committed.
void for_each_event(
    fermata::engine::store& store,
    const std::function<void(const fermata::engine::run_id&, const fermata::engine::event&)>& what);

/// An attempt as its body wrote it down, outside the journal.
struct beginning {
  std::string key;  // its idempotency key
  int attempt = 0;
  std::int64_t at_us = 0;   // of the wall clock, at the first line of the body
  std::uint64_t epoch = 0;  // as its step_context said
};

/// Which attempts began after their step's outcome was committed.
class step_ends {
 public:
  step_ends() = default;
  explicit step_ends(fermata::engine::store& store);
  /// The next event of the journal.
  void add(const fermata::engine::run_id& run, const fermata::engine::event& e);

  enum class verdict {
    fine,
    open,      // there is no outcome
    repeated,  // it began again
    /// It began under an owner of before. A worker looks at its lease before each attempt; a thread that
    /// is stopped between this look and the body's first line goes on there, however late: PROTOCOL's
    /// "attempts may overlap only if a process was frozen", and what the epoch is for.
    stale,
  };
  /// Each attempt once, in the order they began.
  verdict judge(const beginning& b);
  /// How long after the outcome it began; µs.
  std::int64_t late_us(const beginning& b) const { return b.at_us - ends_.at(b.key).at_us; }

  /// A few of the threads of one process: more than that many were not between these two lines.
  static int stale_at_most(int freezes) { return 3 * freezes; }

 private:
  struct end {
    std::int64_t at_us = 0;
    int attempt = 0;  // whose it is
    std::uint64_t epoch = 0;
  };
  std::map<fermata::engine::run_id, std::string> origins_;
  std::map<std::string, end> ends_;                   // by idempotency key
  std::map<std::pair<std::string, int>, int> begun_;  // key and attempt → how often
};

}  // namespace attack
