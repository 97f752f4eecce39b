// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

namespace fermata::detail {

/// SIGTERM and SIGINT, while it lives: the first calls `drain`, the second `at_once`, the third
/// ends the process. Both are called in the handler, on any thread. SIGPIPE is ignored, unless the
/// program handles it. What was set before comes back at the end. One at a time per process.
class stop_signals {
 public:
  using action = void (*)(void* whom) noexcept;

  /// `tell`: say on standard error what the next signal does.
  stop_signals(void* whom, action drain, action at_once, bool tell);
  ~stop_signals();
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  /// Whether one came.
  bool came() const noexcept;

 private:
  struct sigaction terminate_before_{};
  struct sigaction interrupt_before_{};
  struct sigaction pipe_before_{};
};

}  // namespace fermata::detail
