// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"
#include "tests/attack/simulation/fiber.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <tuple>

namespace fermata::simulation {

using micros = std::int64_t;
inline constexpr micros second = 1'000'000;

/// What the actors of one process share.
struct place {
  micros frozen_until = 0;
  micros clock_off = 0;  // of its wall clock
  bool dead = false;     // kill -9: nothing of it reaches the store any more
};

/// A thread of the simulated system.
class actor {
 public:
  actor(std::string given, std::uint32_t number, std::shared_ptr<place> where,
        std::function<void()> body)
      : name(std::move(given)), who(number), at(std::move(where)), code_(std::move(body)) {}

  const std::string name;
  const std::uint32_t who;    // in decisions
  std::shared_ptr<place> at;  // whose it is just now

 private:
  friend class scheduler;
  fiber code_;
  micros due_ = 0;
  std::uint64_t order_ = 0;
  bool waits_for_ring_ = false;
  bool rung_ = false;
};

/// Virtual time, and who goes next in it: whoever is due first, and of those whoever was so first. What
/// makes one come before another is how long calls take, which is chance.
class scheduler {
 public:
  std::shared_ptr<actor> add(std::string name, std::uint32_t who, std::shared_ptr<place> at,
                             std::function<void()> body, micros in = 0);
  /// Until nobody is left.
  void run();
  micros now() const noexcept { return now_; }
  /// Steps of actors until now.
  std::uint64_t steps() const noexcept { return steps_; }
  /// A number that says in which order who went when, and what was noted.
  std::uint64_t hash() const noexcept { return hash_; }
  void note(std::uint64_t what) noexcept;

  // ---- from within an actor ----
  actor& current() const noexcept { return *current_; }
  bool inside() const noexcept { return current_ != nullptr; }
  void sleep(micros how_long);
  /// Until it is rung, at the latest then.
  void wait_until(micros then);

  void ring(const std::shared_ptr<actor>& whom);
  /// Who sleeps wakes now, whatever for.
  void rouse(const std::shared_ptr<actor>& whom);

 private:
  void queue(const std::shared_ptr<actor>& whom, micros due);

  micros now_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t orders_ = 0;
  std::uint64_t hash_ = 0;
  std::shared_ptr<actor> current_;
  using turn = std::tuple<micros, std::uint64_t, std::shared_ptr<actor>>;
  std::set<turn> turns_;
};

/// The clocks as the current actor's process sees them.
class virtual_clock final : public engine::clock {
 public:
  explicit virtual_clock(const scheduler& of) : of_(of) {}
  engine::time_us wall_now() override {
    return 1'767'225'600'000'000 + of_.now() + (of_.inside() ? of_.current().at->clock_off : 0);
  }
  std::int64_t boot_now_us() override { return 3'600 * second + of_.now(); }
  std::int64_t steady_now_us() override { return 3'600 * second + of_.now(); }

 private:
  const scheduler& of_;
};

}  // namespace fermata::simulation
