// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/fermata.hpp>

#include <boost/describe.hpp>

#include <cstdint>
#include <vector>

namespace fermata::simulation {

struct world;

/// A workflow made by chance: its seed says what it does, so that what comes of it is known beforehand.
struct program {
  int id = 0;
  int seed = 0;
  int depth = 0;  // children below it
  bool root = false;
};
BOOST_DESCRIBE_STRUCT(program, (), (id, seed, depth, root))

/// What a step is given.
struct work {
  int program = 0;
  int x = 0;
};
BOOST_DESCRIBE_STRUCT(work, (), (program, x))

inline constexpr workflow<int(program)> run_program{"program"};
inline constexpr signal<int> must{"must"};      // a root waits for as many as `signals_of` says
inline constexpr signal<int> maybe{"maybe"};    // it goes on without
inline constexpr std::string_view far = "far";  // the queue of remote steps

enum class part : std::uint8_t {
  call,
  flaky,
  broken,
  nap,
  hear,
  listen,
  child,
  charge,
  local,
  map,
  all,
  any,
  far,
  slow_far,
  branch,
  echo,
  limit,
  race,
  publish
};
struct op {
  part what = part::call;
  int a = 0;
};
std::vector<op> ops_of(const program& what);
/// The values that must be sent to it.
std::vector<int> signals_of(const program& what);
/// Its result when nobody stops it; one that fails by plan ends with a failure of the type "planned".
int result_of(const program& what);
bool fails_by_plan(const program& what);

/// All of it.
void serve_programs(worker& by);
/// Whose bodies of steps these are: of one simulation at a time.
void work_in(world* where);

}  // namespace fermata::simulation
