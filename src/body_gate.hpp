// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>

namespace fermata::detail {

/// Where the body of `ctx.run` and the frame it refers to meet: the frame waits until the body has
/// left, and a body that hasn't begun when the frame goes never begins.
/// Threads: any.
class body_gate {
 public:
  /// False: the frame is gone. Else followed by `leave`.
  bool enter() noexcept {
    const std::lock_guard lock(mutex_);
    if (stands_ == waits) stands_ = runs;
    return stands_ == runs;
  }
  /// The body is over, or will never begin. May be called again.
  void leave() noexcept {
    const std::lock_guard lock(mutex_);
    stands_ = over;
    left_.notify_all();
  }
  /// The frame goes. Waits for a body that runs.
  void close() noexcept {
    std::unique_lock lock(mutex_);
    left_.wait(lock, [this] { return stands_ != runs; });
    stands_ = over;
  }
  bool is_over() const noexcept {
    const std::lock_guard lock(mutex_);
    return stands_ == over;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable left_;
  enum { waits, runs, over } stands_ = waits;  // guarded by mutex_
};

}  // namespace fermata::detail
