// SPDX-License-Identifier: Apache-2.0
// simulate [--seed N] [--seeds N] [--minimise] [--trace]: README.md tells what it does. Exits with 1 at the
// first seed that fails, whose number is in the last line.
#include "tests/attack/evidence.hpp"
#include "tests/attack/simulation/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace fermata::simulation;

constexpr int tries_to_shorten = 3'000;
constexpr std::uint64_t seeds_between_lines = 1'000;

struct options {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 300;
  bool minimise = false;
  bool trace = false;
};

std::optional<options> read(int argc, char** argv) {
  options how;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    std::uint64_t* number = word == "--seed" ? &how.seed : word == "--seeds" ? &how.seeds : nullptr;
    if (word == "--minimise") {
      how.minimise = true;
    } else if (word == "--trace") {
      how.trace = true;
    } else if (number != nullptr && ++i < argc) {
      const std::string_view text = argv[i];
      const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), *number);
      if (wrong != std::errc() || end != text.data() + text.size()) return std::nullopt;
      if (word == "--seed") how.seeds = 1;
    } else {
      return std::nullopt;
    }
  }
  return how;
}

void print(const decided& one) {
  fmt::print("  {:12.6f}  {:9}  {}\n", static_cast<double>(one.at) / 1e6, text_of(one.which.what),
             one.told);
}

void print_shortest(std::uint64_t seed, const report& failed) {
  const std::set<decision> needed = minimise(seed, failed, tries_to_shorten);
  const report again = simulate(seed, &needed);
  fmt::print("it needs {} of {} decisions:\n", again.decisions.size(), failed.decisions.size());
  for (const decided& one : again.decisions) print(one);
  for (const complaint& one : again.complaints) fmt::print("  {}: {}\n", one.kind, one.text);
}

void say_line(std::string_view line) { fmt::print("{}\n", line); }

/// The sums over all seeds.
struct sums {
  std::uint64_t seeds = 0;
  std::uint64_t seconds = 0;
  std::uint64_t steps = 0;
  std::int64_t healed_in_ms = 0;  // the longest
  record::counts total;

  void add(const report& one) {
    ++seeds;
    seconds += static_cast<std::uint64_t>(one.seconds);
    steps += one.steps;
    healed_in_ms = std::max(healed_in_ms, one.healed_in_ms);
    total.events += one.total.events;
    total.attempts += one.total.attempts;
    total.faults += one.total.faults;
    total.acked += one.total.acked;
  }
  void print(double wall) const {
    fmt::print(
        "{} seeds, {} virtual seconds, {} events, {} steps of actors, {} attempts, {} faults, {} "
        "acknowledged, healed within {:.1f} s; {:.0f} virtual seconds, {:.0f} events, {:.0f} steps "
        "a "
        "second\n",
        seeds, seconds, total.events, steps, total.attempts, total.faults, total.acked,
        static_cast<double>(healed_in_ms) / 1000, static_cast<double>(seconds) / wall,
        static_cast<double>(total.events) / wall, static_cast<double>(steps) / wall);
    std::fflush(stdout);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::optional<options> how = read(argc, argv);
  if (!how) {
    fmt::print(stderr, "simulate [--seed N] [--seeds N] [--minimise] [--trace]\n");
    return 2;
  }
  fmt::print("seed {}, {} of them\n", how->seed, how->seeds);
  const auto began = std::chrono::steady_clock::now();
  const auto wall = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  sums all;
  for (std::uint64_t seed = how->seed; seed < how->seed + how->seeds; ++seed) {
    const report one = simulate(
        seed, nullptr, how->trace ? std::function<void(std::string_view)>(say_line) : nullptr);
    all.add(one);
    if (how->seeds == 1) fmt::print("hash {:016x}\n", one.hash);
    if (one.failed()) {
      for (const complaint& wrong : one.complaints)
        fmt::print("  {}: {}\n", wrong.kind, wrong.text);
      if (how->minimise) print_shortest(seed, one);
      fmt::print("failed: simulate --seed {} --minimise says why\n", seed);
      return 1;
    }
    if (all.seeds % seeds_between_lines == 0) all.print(wall());
  }
  all.print(wall());
  fermata::attack::keep("simulation", how->seed,
                        {{"rounds", static_cast<std::int64_t>(all.seeds)},
                         {"faults", static_cast<std::int64_t>(all.total.faults)},
                         {"acked", static_cast<std::int64_t>(all.total.acked)},
                         {"virtual_seconds", static_cast<std::int64_t>(all.seconds)},
                         {"events", static_cast<std::int64_t>(all.total.events)},
                         {"healed_within_ms", all.healed_in_ms}});
  return 0;
}
