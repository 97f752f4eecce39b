// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace programs {

/// What a program can do. Each has an effect or an outcome that is known before it runs, whatever the
/// order in which its parts end.
enum class kind : std::uint8_t {
  step,     // a counter outside the journal
  flaky,    // the same, after some failures
  broken,   // a step that fails for good, which the program takes
  far,      // a step on a queue of its own
  local,    // ctx.run
  paid,     // a counter in the journal's own database, within the journal's transaction
  many,     // ctx.map over steps
  nap,      // a timer
  heard,    // a signal from the client
  patient,  // a receive whose patience ends
  late,     // a timeout that is reached
  first,    // a race that a step wins
  both,     // two branches at once, both awaited
  child,    // a child program
  told,     // a child program, and a signal from it
  doomed,   // a child program that fails when it has done its work, which is undone
};
constexpr int kinds = 16;

struct op {
  kind what = kind::step;
  std::string place;  // unique in its program
  int value = 0;      // 1 … 20
  std::vector<std::vector<op>> parts = {};
};

struct program {
  std::vector<op> ops;
  bool fails = false;  // when all is done; then its steps are undone
};

/// The same program for the same seed, in every process.
program made_from(std::int64_t seed);
/// The op of this place; the program has it.
const op& op_at(const std::vector<op>& ops, const std::string& place);

/// Whether the step of such an op is registered to be undone, in a program that fails.
constexpr bool can_be_undone(kind what) {
  return what == kind::step || what == kind::flaky || what == kind::far;
}
inline std::string undo_of(const std::string& place) { return "undo-" + place; }

/// What a failure that was awaited adds to the result.
constexpr int for_failure = 7;

/// What must be there when a program has ended.
struct prediction {
  int result = 0;                     // also of one that fails: then it was published only
  std::map<std::string, int> logged;  // place → how many idempotency keys did it
  std::map<std::string, int> paid;    // place → counter in the journal's database
  std::map<std::string, int> hints;   // place → value that the client must send
  int runs = 1;                       // itself and its children
  int operations = 0;
};
prediction predict(const program& of);

}  // namespace programs
