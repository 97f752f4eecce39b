// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

namespace fermata::engine::postgres {

/// Where claims begin to look. Rows that were taken stay in an index for as long as anybody's old
/// snapshot may see them, and a claim that begins at the first walks over all of them; so each begins
/// where the last one ended, and now and then somebody looks from the very beginning (prospect.hpp):
/// for starts that were committed late, and what others gave back. Kept per process and worker.
/// PROTOCOL §8.
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
  using places = std::map<stretch, place>;

  const places& all() const noexcept { return all_; }
  /// The first of each stretch that has any. Where nothing was found it is still known where the next
  /// one would come, unless that are too many to look at.
  void begin_anew(places&& found) {
    if (all_.size() <= known_max) found.merge(all_);
    all_ = std::move(found);
  }
  void taken(const stretch& where, const place& last) {
    place& known = all_[where];
    known = std::max(known, last);
  }

 private:
  static constexpr std::size_t known_max = 16;
  places all_;
};

/// When it is time to look from the beginning: once a second, and when a claim got less than it asked
/// for; but a look that costs the server much takes a fiftieth of the time, no more: each worker of a
/// fleet has its own. Behind an old snapshot it walks over all that was taken since, a µs or two each.
/// One look alone says nothing: a worker's first walks over, and clears away, what was taken before it
/// came, and any may have waited for a processor. So what a look costs is the lesser of the last two.
class sweep_times {
 public:
  bool due(std::int64_t now) const {
    return last_ == 0 || now - last_ >= std::max(every_us, pause());
  }
  bool allowed(std::int64_t now) const { return last_ == 0 || now >= allowed_at(); }
  std::int64_t allowed_at() const { return last_ + pause(); }
  /// `cost_us` by the server's clock: how long we waited for it says nothing.
  void swept(std::int64_t now, std::int64_t cost_us) {
    last_ = now;
    cost_ = std::min(std::exchange(last_cost_, cost_us), cost_us);
  }

 private:
  std::int64_t pause() const { return cost_ <= cheap_us ? 0 : std::min(49 * cost_, longest_us); }

  static constexpr std::int64_t every_us = 1'000'000;
  static constexpr std::int64_t cheap_us = 5'000;
  static constexpr std::int64_t longest_us = 30'000'000;
  std::int64_t last_ = 0;  // steady µs
  std::int64_t last_cost_ = 0;
  std::int64_t cost_ = 0;
};

/// Of one worker.
struct claim_places {
  low_water requests;
  low_water marks;
  time_us timers = 0;      // none is due that was due before
  time_us new_timers = 0;  // likewise, of runs that nobody has and that are for this worker
  bool timers_due = true;  // when looked last
  sweep_times sweeps;
  std::uint64_t deaths = 0;  // that the last look came after
  bool got_less = true;  // the last claim did, than it asked for: the next looks from the beginning
  /// What was seen was passed over: so long until the next look. 0: it wasn't.
  std::int64_t again_us = 0;
};

/// Of all workers of this process. What a dead worker had lies anywhere: after its release each looks from
/// the beginning at once, however much the looks before took. Threads: any.
class places_known {
 public:
  claim_places of(std::int64_t worker) {
    const std::lock_guard guard(mutex_);
    claim_places known = all_[worker];
    if (std::exchange(known.deaths, deaths_) != deaths_) known.sweeps = {};
    return known;
  }
  void remember(std::int64_t worker, const claim_places& now) {
    const std::lock_guard guard(mutex_);
    all_[worker] = now;
  }
  /// Some of its runs were, or the rest.
  void released(std::int64_t dead) {
    const std::lock_guard guard(mutex_);
    if (std::exchange(last_dead_, dead) != dead) ++deaths_;
  }

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::int64_t, claim_places> all_;
  std::uint64_t deaths_ = 0;
  std::int64_t last_dead_ = 0;
};

}  // namespace fermata::engine::postgres
