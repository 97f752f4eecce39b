// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fermata::engine::sqlite {

/// Where claims begin to look at due timers. Those of workflows and builds that nobody serves stay due,
/// before all others, and each claim would walk past all of them, under the lock: so where there are
/// very many, the next claims of the same worker begin behind them, and look from the beginning for a
/// fiftieth of the time. What comes to be for this worker meanwhile and lies before is found then, unless
/// it has a mark, as all that is given back has.
class due_from {
 public:
  /// `now` is steady µs.
  time_us begin(std::int64_t worker, std::int64_t now) {
    whole_ = worker != worker_ || now >= whole_at_;
    worker_ = worker;
    return whole_ ? 0 : begin_;
  }
  /// After that: none before `first` is for this worker, and so many aren't, of all or of those behind `begin`.
  void looked(time_us first, std::size_t passed_over, std::int64_t now) {
    begin_ = first - late_us;
    if (!whole_) return;
    const auto cost = static_cast<std::int64_t>(passed_over);  // about a µs each
    whole_at_ = cost <= cheap ? now : now + std::min(49 * cost, longest_us);
  }
  /// One is set that is due then.
  void set(time_us due) { begin_ = std::min(begin_, due); }

 private:
  static constexpr std::int64_t cheap = 4'096;
  static constexpr std::int64_t longest_us = 30'000'000;
  static constexpr time_us late_us = 200'000;  // commits of other processes take their time
  std::int64_t worker_ = 0;
  time_us begin_ = 0;
  bool whole_ = true;
  std::int64_t whole_at_ = 0;
};

}  // namespace fermata::engine::sqlite
