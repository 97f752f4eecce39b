// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

namespace fermata::engine::postgres {

/// Where claims begin to look. Rows that were taken stay in an index for as long as anybody's old
/// snapshot may see them, and a claim that begins at the first walks over all of them; so each begins
/// where the last one ended, and now and then at the very beginning: for starts that were committed
/// late, and what others gave back. Kept per process and worker. PROTOCOL §8.
class low_water {
 public:
  /// A stretch of one queue that is ordered by (at, run). Starts "at once" and "not before" are
  /// stretches of their own: else one that was due late would hide those that come now.
  struct stretch {
    std::string queue;
    std::int64_t priority = 0;
    bool delayed = false;
    auto operator<=>(const stretch&) const = default;
  };
  struct place {
    std::int64_t at = 0;
    run_id run;
    auto operator<=>(const place&) const = default;
  };

  const std::map<stretch, place>& all() const noexcept { return all_; }
  bool knows(const stretch& where) const { return all_.contains(where); }
  void begin_anew(const stretch& where) { all_[where] = {where.delayed ? 1 : 0, run_id{}}; }
  void forget() { all_.clear(); }
  void taken(const stretch& where, const place& last) {
    place& known = all_[where];
    known = std::max(known, last);
  }

 private:
  std::map<stretch, place> all_;
};

/// When it is time to look from the beginning: once a second, and when a claim got less than it asked
/// for; but a look that is slow takes a twentieth of the time, no more.
class sweep_times {
 public:
  bool due(std::int64_t now) const { return now - last_ >= every_us || last_ == 0; }
  bool allowed(std::int64_t now) const { return last_ == 0 || now >= allowed_at(); }
  /// At the latest when it is due anyway: after one look that was held up, by a server that was
  /// promoted, say, who asks when to look next must not hear "in half a minute".
  std::int64_t allowed_at() const { return last_ + std::min(19 * cost_, every_us); }
  void swept(std::int64_t began, std::int64_t ended) {
    last_ = ended;
    cost_ = ended - began;
  }

 private:
  static constexpr std::int64_t every_us = 1'000'000;
  std::int64_t last_ = 0;  // steady µs
  std::int64_t cost_ = 0;
};

/// Of one worker.
struct claim_places {
  low_water requests;
  low_water marks;
  sweep_times sweeps;
};

}  // namespace fermata::engine::postgres
