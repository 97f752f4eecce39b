// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/simulation/process.hpp"
#include "tests/attack/simulation/world.hpp"

#include <memory>
#include <vector>

namespace fermata::simulation {

/// The processes with workers, and what happens to them: an actor that kills, freezes, tells to leave,
/// sets clocks and takes the store away; at the end it lets everything be as it should.
class nemesis {
 public:
  explicit nemesis(world& in);

  /// Until the chaos is over; then all processes are there, awake, and their clocks are right.
  void act();
  std::shared_ptr<process> nth(std::size_t which) const { return all_[which % all_.size()]; }
  /// All clocks together were at most so far ahead: the journal's time may stand still so long.
  micros ahead() const noexcept { return ahead_; }
  /// All processes end.
  void stop();

 private:
  void strike(std::uint32_t drawn);
  void set_clock(process& of, micros off);
  void bring_back();
  std::shared_ptr<process> made(std::size_t slot);

  world& in_;
  std::vector<std::shared_ptr<process>> all_;
  std::vector<micros> back_at_;  // when a slot's next process begins; 0: it is there
  micros ahead_ = 0;
  std::uint64_t strikes_ = 0;
};

}  // namespace fermata::simulation
