// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace fermata::runtime {

/// Threads that execute step bodies, named fermata-step-1 … and started when they are needed. The
/// run loop never hands over more tasks than there are threads for, so the queue is bounded by
/// `threads`. No exception may leave a task.
/// Threads: `submit` from one, the rest from any; the destructor not from a task.
class step_pool {
 public:
  using task = std::function<void()>;

  explicit step_pool(std::size_t threads);
  ~step_pool();  // waits for what runs and wasn't abandoned; drops what hasn't begun

  /// One lock and at most one wake-up for all of them; a thread that finds more work than it takes
  /// wakes the next.
  /// Throws: `std::system_error` when there is no thread yet and none can be started; what was
  /// handed over then waits for the next call.
  void submit(std::vector<task>&& tasks);
  std::size_t threads() const noexcept;
  /// A thread whose body doesn't come back isn't waited for any more; another takes its place. Its
  /// task is still destroyed by that thread, whenever that is: it must own what it uses.
  void abandon_running();

 private:
  class impl;
  std::shared_ptr<impl> impl_;  // an abandoned thread keeps it
};

}  // namespace fermata::runtime
