// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace fermata::runtime {

/// What a worker knows of its lease: it never ends here later than in the store. All times are
/// CLOCK_BOOTTIME µs, and `sent` is before the store was asked.
/// Threads: any.
class lease {
 public:
  static constexpr std::int64_t none = INT64_MAX;  // it owns nothing, and nobody takes it for dead

  /// Whether attempts may begin.
  bool allows(std::int64_t now) const noexcept { return now < until(); }
  std::int64_t until() const noexcept { return until_.load(); }

  /// A commit that may have given it something was answered, or its answer was lost. The store sets a lease
  /// if there was none, and leaves one that is there as it is.
  void claimed(std::int64_t sent);
  void renewed(std::int64_t sent);
  /// The store was asked to take it back, and does so if the worker owns nothing by then. `claims_before`:
  /// when it was asked; one that came meanwhile may have been earlier or later than that.
  void taken_back(std::uint64_t claims_before, std::int64_t now);
  std::uint64_t claims() const;
  /// The worker was marked dead.
  void lost();

 private:
  std::atomic<std::int64_t> until_ = none;  // written under mutex_

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::uint64_t claims_ = 0;
  std::int64_t renewed_at_ = 0;
  std::int64_t taken_back_at_ = 0;  // 0: it wasn't since it was renewed
  std::int64_t until_then_ = none;  // if the store left it as it was
};

}  // namespace fermata::runtime
