// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/fermata.hpp>

#include <string>
#include <vector>

/// A mix of workflows whose ends are known beforehand: steps, timers, signals, children,
/// compensation. Every body writes a line into a log outside the journal.
namespace mix {

struct job {
  int number = 0;
  int size = 3;
};
struct note {
  int number = 0;
  std::string text;
};
BOOST_DESCRIBE_STRUCT(job, (), (number, size))
BOOST_DESCRIBE_STRUCT(note, (), (number, text))

inline constexpr fermata::step<int(job)> add_one{"add_one"};
inline constexpr fermata::step<int(job)> slow_add{"slow_add"};
inline constexpr fermata::step<std::string(note)> take{"take"};
inline constexpr fermata::step<void(note)> give_back{"give_back"};
inline constexpr fermata::step<void(note)> refuse{"refuse", {.retry = {.max_attempts = 1}}};
inline constexpr fermata::signal<int> go{"go"};

inline constexpr fermata::workflow<int(job)> steps{"steps"};
inline constexpr fermata::workflow<int(job)> timers{"timers"};
inline constexpr fermata::workflow<int(job)> signals{"signals"};
inline constexpr fermata::workflow<int(job)> children{"children"};
inline constexpr fermata::workflow<int(job)> saga{"saga"};

/// Serves all of it. `log`: each attempt appends "key attempt start-µs epoch" to this file.
void serve(fermata::worker& worker, const std::string& log);

/// Starts `count` runs of each workflow, keyed from `from` on, and signals those that wait.
void start(fermata::client& client, int from, int count);

}  // namespace mix
