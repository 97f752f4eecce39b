// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

/// A run that waits lies in memory by the hundred thousand, and a `std::deque` takes 576 bytes even
/// when it is empty. These take what they hold.
namespace fermata::engine {

/// First in, first out.
template <class T>
class queue {
 public:
  bool empty() const noexcept { return first_ == items_.size(); }
  std::size_t size() const noexcept { return items_.size() - first_; }
  T& front() noexcept { return items_[first_]; }
  auto begin() noexcept { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() noexcept { return items_.end(); }
  auto begin() const noexcept { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() const noexcept { return items_.end(); }

  void push_back(T value) { items_.push_back(std::move(value)); }
  template <class... Parts>
  void emplace_back(Parts&&... parts) {
    items_.emplace_back(std::forward<Parts>(parts)...);
  }
  /// Of constant cost on average: places of those that are gone are given up by the half.
  void pop_front() {
    ++first_;
    if (first_ * 2 < items_.size()) return;
    items_.erase(items_.begin(), begin());
    first_ = 0;
  }
  void remove(const T& value) { items_.erase(std::remove(begin(), end(), value), end()); }
  void clear() noexcept {
    items_.clear();
    first_ = 0;
  }

 private:
  std::vector<T> items_;
  std::size_t first_ = 0;
};

/// Values by number that never move: references stay valid while others are added.
template <class T>
class numbered {
 public:
  std::size_t size() const noexcept { return items_.size(); }
  T& operator[](std::size_t number) noexcept { return *items_[number]; }
  const T& operator[](std::size_t number) const noexcept { return *items_[number]; }
  void push_back(T&& value) { items_.push_back(std::make_unique<T>(std::move(value))); }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

/// An optional value of which most are absent: its place takes a pointer.
template <class T>
class rare {
 public:
  rare() noexcept = default;
  rare(T value) : value_(std::make_unique<T>(std::move(value))) {}  // NOLINT: as std::optional
  explicit operator bool() const noexcept { return value_ != nullptr; }
  T& operator*() noexcept { return *value_; }
  const T& operator*() const noexcept { return *value_; }
  T* operator->() noexcept { return value_.get(); }
  /// Made if it isn't there.
  T& made() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }
  const T* operator->() const noexcept { return value_.get(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace fermata::engine
