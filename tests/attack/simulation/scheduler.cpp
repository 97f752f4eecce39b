// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/scheduler.hpp"

#include "tests/attack/simulation/chance.hpp"

#include <algorithm>
#include <utility>

namespace fermata::simulation {

std::shared_ptr<actor> scheduler::add(std::string name, std::uint32_t who,
                                      std::shared_ptr<place> at, std::function<void()> body,
                                      micros in) {
  auto made = std::make_shared<actor>(std::move(name), who, std::move(at), std::move(body));
  queue(made, now_ + in);
  return made;
}

void scheduler::note(std::uint64_t what) noexcept { hash_ = mixed(hash_ ^ what); }

void scheduler::queue(const std::shared_ptr<actor>& whom, micros due) {
  whom->due_ = due;
  whom->order_ = ++orders_;
  turns_.emplace(due, whom->order_, whom);
}

void scheduler::run() {
  while (!turns_.empty()) {
    auto [due, order, next] = *turns_.begin();
    turns_.erase(turns_.begin());
    now_ = std::max(now_, due);
    if (!next->at->dead && next->at->frozen_until > now_) {
      queue(next, next->at->frozen_until);
      continue;
    }
    ++steps_;
    note(static_cast<std::uint64_t>(now_) << 16 ^ next->who);
    if (std::exchange(next->waits_for_ring_, false)) next->rung_ = false;
    current_ = next;
    next->code_.resume();
    current_.reset();
    if (!next->code_.over()) queue(next, next->due_);
  }
}

void scheduler::sleep(micros how_long) {
  current_->due_ = now_ + how_long;
  fiber::pause();
}

void scheduler::wait_until(micros then) {
  current_->waits_for_ring_ = true;
  current_->due_ = std::max(then, now_);
  if (std::exchange(current_->rung_, false)) current_->due_ = now_;
  fiber::pause();
}

void scheduler::ring(const std::shared_ptr<actor>& whom) {
  if (!whom) return;
  if (whom->waits_for_ring_)
    rouse(whom);
  else
    whom->rung_ = true;
}

void scheduler::rouse(const std::shared_ptr<actor>& whom) {
  if (!whom || whom == current_ || whom->due_ <= now_) return;
  if (turns_.erase(turn(whom->due_, whom->order_, whom)) != 0) queue(whom, now_);
}

}  // namespace fermata::simulation
