// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

namespace fermata::simulation {

/// Code with a stack of its own, on the thread of whoever resumes it: a thread of the real system becomes
/// one, and stands wherever the simulation wants it to stand, within a call of the store, too.
/// Threads: one for all of them.
class fiber {
 public:
  explicit fiber(std::function<void()> body);
  /// It must be over.
  ~fiber();
  fiber(const fiber&) = delete;

  /// Runs it until it pauses or is over.
  void resume();
  /// From within: goes on with the next `resume`.
  static void pause();
  bool over() const noexcept;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace fermata::simulation
