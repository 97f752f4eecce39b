// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace fermata::interleavings {

/// Holds who makes steps at one of them.
/// Threads: any.
class gate {
 public:
  /// The `at`-th step from here waits until `open`; 0: none does.
  void hold(int at) {
    const std::lock_guard lock(mutex_);
    at_ = at;
    steps_ = 0;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    at_ = 0;
    held_ = false;
    changed_.notify_all();
  }
  /// Called before each step, by who makes it.
  void step() {
    std::unique_lock lock(mutex_);
    if (++steps_ != at_) return;
    held_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
  }
  void done() {
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  void begin() {
    const std::lock_guard lock(mutex_);
    done_ = false;
  }

  bool is_held() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }
  bool is_done() const {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  int steps() const {
    const std::lock_guard lock(mutex_);
    return steps_;
  }
  /// True: it is held, or done. False: neither within this time.
  bool rests_within(std::chrono::microseconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return held_ || done_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int at_ = 0;
  int steps_ = 0;
  bool held_ = false;
  bool done_ = true;
};

}  // namespace fermata::interleavings
