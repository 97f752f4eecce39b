// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/fermata.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace programs {

/// Which program, or which op's part of it as a child; whom to tell when that is done.
struct order {
  std::int64_t seed = 0;
  std::string place;     // empty: the program itself
  std::string reply_to;  // empty: nobody
};
/// What a step does: it counts, at this place.
struct work {
  std::int64_t seed = 0;
  std::string place;
  int value = 0;
  int failures = 0;  // so many attempts fail first
};
/// A client that doesn't know whether a hint arrived sends it again.
struct hint {
  std::string place;
  int value = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (seed, place, reply_to))
BOOST_DESCRIBE_STRUCT(work, (), (seed, place, value, failures))
BOOST_DESCRIBE_STRUCT(hint, (), (place, value))

inline constexpr fermata::workflow<int(order)> run_program{"program"};
inline constexpr fermata::signal<hint> hinted{"hinted"};
inline constexpr fermata::published<int> sum_so_far{"sum"};

/// How a program that fails does it.
inline constexpr std::string_view doom = "failed as it was to";
/// (place TEXT PRIMARY KEY, times INTEGER): what was paid, in the journal's own database.
inline constexpr std::string_view paid_table = "programs_paid";
inline std::string paid_place(std::int64_t seed, const std::string& place) {
  return std::to_string(seed) + "-" + place;
}

/// Serves programs and their steps. `log`: each attempt appends "seed place key attempt start-µs".
void serve(fermata::worker& worker, const std::string& log, bool on_postgres);

}  // namespace programs
