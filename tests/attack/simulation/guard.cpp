// SPDX-License-Identifier: Apache-2.0
// What a worker's guard does, call by call, as worker/runtime/guard.cpp. There is no black box: the store
// says what became of tasks.
#include "engine/limits.hpp"
#include "engine/operate/operate.hpp"
#include "tests/attack/simulation/process.hpp"

#include <algorithm>
#include <utility>

namespace fermata::simulation {

void process::guard() {
  const auto over = [this] { return guard_told_ || marked_dead_ || at_->dead; };
  while (!over()) {
    in_.turns.wait_until(in_.turns.now() + second);
    if (over()) break;
    if (vouches()) renew();
    if (over()) break;
    if (steady() >= look_next_ || store_->somebody_died(row_)) look_for_the_dead();
  }
  guard_over_ = true;
}

bool process::vouches() {
  const std::uint64_t advanced = loop_->advanced();
  const bool rests = asleep_ && !loop_->has_mail();
  return std::exchange(advanced_, advanced) != advanced || rests;
}

void process::renew() {
  runtime::lease& mine = host_->held;
  // First: what a claim counted by then has brought is known to the loop.
  const std::uint64_t claims = mine.claims();
  const bool owns = loop_->may_own();
  const std::int64_t held = mine.until();
  if (!owns && held == runtime::lease::none) return;
  const std::int64_t boot = store_->boot_now();
  if (owns && renewed_ != 0 && boot - renewed_ < engine::limits::renew_ms * 1000) return;
  const absl::Status done = store_->renew(row_, owns ? boot + engine::limits::lease_ms * 1000 : 0);
  if (absl::IsNotFound(done)) {
    in_.tell("{}: was silent for a lease, and goes on under a new id", name_);
    mine.lost();
    marked_dead_ = true;
    return in_.turns.ring(main_);
  }
  if (!done.ok()) return;
  renewed_ = owns ? boot : 0;
  if (owns) {
    mine.renewed(boot);
    if (held <= boot || held == runtime::lease::none) in_.turns.ring(main_);
    return;
  }
  mine.taken_back(claims, store_->boot_now());
}

void process::look_for_the_dead() {
  const std::int64_t now = steady();
  look_next_ = now + engine::limits::lease_ms * 1000;
  const auto care = store_->needs_care(row_);
  if (!care.ok()) return;
  if (care->dead) {
    auto dead = store_->rescue(row_);
    if (!dead.ok()) return;
    for (const engine::worker_row& one : *dead)
      if (!settle_death(one)) look_next_ = now;
    if (!dead->empty() && loop_) loop_->poke();
  }
  look_after_others(now, *care);
}

bool process::settle_death(const engine::worker_row& dead) {
  absl::Status released;
  while (released.ok()) released = store_->release_dead(dead.row).status();
  return absl::IsNotFound(released);
}

void process::look_after_others(std::int64_t now, const engine::care& care) {
  if (care.next_lease != 0) {
    const std::int64_t left = std::max<std::int64_t>(0, care.next_lease - store_->boot_now());
    look_next_ = std::min(look_next_, now + left + 100'000);
  }
  if (care.overdue) (void)engine::expire_requests(*store_, 256);
  if (care.closing)
    if (auto more = engine::close_children(*store_, 256); more.ok() && *more) look_next_ = now;
}

}  // namespace fermata::simulation
