// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <cstddef>
#include <optional>
#include <string>

/// What the black box of a dead worker had to say, as an `attempt_crashed` carries it.
namespace fermata::cli {

/// "SIGSEGV, fault at address 0x10"; empty when no signal is known.
std::string crash_text(const pb::attempt& what);

/// "step 'resize', attempt 3" or "the workflow's own code".
std::string crashed_part(const pb::attempt& what);

/// A line a frame, the innermost first; what is beyond `at_most` is counted in the last line.
/// "#0 decode(std::string const&)+0x1f (program+0x1a2b)".
std::string frames_text(const pb::attempt& what, std::size_t at_most);

/// How often a run's newest crash happened, and how it was, until what crashed gets further: an outcome
/// of the same operation, or anything of the workflow's own code.
class crash_story {
 public:
  void take(const engine::event& what);

  const std::optional<pb::attempt>& last() const { return last_; }
  engine::time_us at() const { return at_; }
  int times() const { return times_; }

 private:
  std::optional<pb::attempt> last_;
  std::string operation_;
  engine::time_us at_ = 0;
  int times_ = 0;
};

}  // namespace fermata::cli
