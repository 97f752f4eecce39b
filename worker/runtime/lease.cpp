// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/lease.hpp"

#include "engine/limits.hpp"
#include "engine/planted.hpp"

#include <algorithm>

namespace fermata::runtime {

void lease::claimed(std::int64_t sent) {
  const std::lock_guard lock(mutex_);
  ++claims_;
  std::int64_t least = sent + engine::limits::lease_ms * 1000;
  const bool may_be_older = sent < taken_back_at_;
  if (may_be_older) least = std::min(least, until_then_);
  const bool prolongs = least > until_ && engine::planted("claim_prolongs_the_lease");
  // Answers come in any order; a renewal counts for all claims that were sent before it.
  const bool shortens = least < until_ && (may_be_older || sent >= renewed_at_);
  if (until_ == none || prolongs || shortens) until_ = least;
}

void lease::renewed(std::int64_t sent) {
  const std::lock_guard lock(mutex_);
  until_ = sent + engine::limits::lease_ms * 1000;
  renewed_at_ = sent;
  taken_back_at_ = 0;
  until_then_ = none;
}

void lease::taken_back(std::uint64_t claims_before, std::int64_t now) {
  const std::lock_guard lock(mutex_);
  if (claims_ != claims_before) return;
  if (until_ != none) until_then_ = until_;
  taken_back_at_ = now;
  until_ = none;
}

std::uint64_t lease::claims() const {
  const std::lock_guard lock(mutex_);
  return claims_;
}

void lease::lost() {
  const std::lock_guard lock(mutex_);
  until_ = 0;
}

}  // namespace fermata::runtime
