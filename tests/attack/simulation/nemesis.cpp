// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/nemesis.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::simulation {

nemesis::nemesis(world& in) : in_(in) {
  const std::size_t count = 2 + in_.by.fixed(30) % 3;
  back_at_.resize(count);
  for (std::size_t slot = 0; slot < count; ++slot) all_.push_back(made(slot));
  in_.woken = [this] {
    for (const auto& one : all_) one->heard();
  };
}

std::shared_ptr<process> nemesis::made(std::size_t slot) {
  auto one = std::make_shared<process>(in_, static_cast<int>(slot) + 1);
  one->begin();
  return one;
}

void nemesis::act() {
  while (in_.turns.now() < in_.sky.chaos) {
    const micros next = in_.sky.nemesis_every / 2 +
                        static_cast<micros>(in_.by.fixed(40'000 + strikes_++) %
                                            static_cast<std::uint64_t>(in_.sky.nemesis_every));
    in_.turns.sleep(std::min(next, in_.sky.chaos - in_.turns.now()));
    bring_back();
    if (const auto drawn = in_.by.ask(choice::nemesis, 0, 800, 7 * 4 * 5); drawn != 0)
      strike(drawn - 1);
  }
  in_.by.heal();
  in_.tell("it heals");
  in_.away_until = 0;
  for (micros& at : back_at_) at = std::min(at, in_.turns.now());
  for (const auto& one : all_) one->set_clock(0);
  bring_back();
}

/// Of what is drawn: what happens, to whom, how much of it.
void nemesis::strike(std::uint32_t drawn) {
  const std::uint32_t what = drawn % 7;
  const std::size_t slot = drawn / 7 % 4 % all_.size();
  const std::uint32_t size = drawn / 28;  // 0 … 4
  process& whom = *all_[slot];
  const micros now = in_.turns.now();
  constexpr std::array<micros, 5> spans = {2 * second, 7 * second, 13 * second, 17 * second,
                                           45 * second};
  const micros span = spans[size];
  switch (what) {
    case 0:
    case 1:
      if (back_at_[slot] != 0) return in_.tell_decision("{} is gone already", whom.name());
      in_.tell_decision("{} is killed, and begins again after {} s", whom.name(), span / second);
      whom.die();
      back_at_[slot] = now + span;
      return;
    case 2:
    case 3:
      in_.tell_decision("{} is frozen for {} s", whom.name(), span / second);
      return whom.freeze(std::min(now + span, in_.sky.chaos));
    case 4:
      if (back_at_[slot] != 0) return in_.tell_decision("{} is gone already", whom.name());
      in_.tell_decision("{} leaves, and another begins after {} s", whom.name(), span / second);
      whom.leave();
      back_at_[slot] = now + span;
      return;
    case 5: {
      const micros off = (size % 2 == 0 ? 1 : -1) * span;
      in_.tell_decision("the clock of {} is {} s off", whom.name(), off / second);
      return set_clock(whom, off);
    }
    default:
      in_.tell_decision("the store is away for {} s", span / second / 2);
      in_.away_until = now + span / 2;
  }
}

void nemesis::set_clock(process& of, micros off) {
  ahead_ = std::max(ahead_, off);
  in_.seen.a_clock_was_wrong = true;
  of.set_clock(off);
}

void nemesis::bring_back() {
  for (std::size_t slot = 0; slot < all_.size(); ++slot) {
    if (back_at_[slot] == 0 || back_at_[slot] > in_.turns.now()) continue;
    back_at_[slot] = 0;
    all_[slot] = made(slot);
  }
}

void nemesis::stop() {
  for (const auto& one : all_) one->leave();
}

}  // namespace fermata::simulation
