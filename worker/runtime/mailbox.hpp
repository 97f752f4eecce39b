// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <utility>
#include <vector>

namespace fermata::runtime {

/// Letters to the loop's thread. It outlives the loop, since a step that was left behind may still
/// write: what comes after `close` is dropped.
/// Threads: any; `take` and `close` from one.
template <class Letter>
class mailbox {
 public:
  /// True when it was empty: the reader is to be woken.
  bool post(Letter&& what) {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    letters_.push_back(std::move(what));
    return letters_.size() == 1;
  }
  /// All there are; `into` is empty, and its memory is used for the next ones.
  void take(std::vector<Letter>& into) {
    const std::lock_guard lock(mutex_);
    letters_.swap(into);
  }
  bool empty() const {
    const std::lock_guard lock(mutex_);
    return letters_.empty();
  }
  void close() {
    std::vector<Letter> dropped;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(letters_);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Letter> letters_;
  bool closed_ = false;
};

}  // namespace fermata::runtime
