// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace fermata::runtime {

/// Things that many runs need for a moment, kept for the next one with the memory they have: a run
/// that waits holds none of it. `T::clear` makes one as good as new.
/// Threads: one.
template <class T>
class spares {
 public:
  std::unique_ptr<T> take() {
    if (kept_.empty()) return std::make_unique<T>();
    std::unique_ptr<T> one = std::move(kept_.back());
    kept_.pop_back();
    return one;
  }
  void give(std::unique_ptr<T> one) {
    if (!one || kept_.size() >= kept_max) return;
    one->clear();
    kept_.push_back(std::move(one));
  }

 private:
  static constexpr std::size_t kept_max = 4096;
  std::vector<std::unique_ptr<T>> kept_;
};

}  // namespace fermata::runtime
