// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace fermata::bench {

/// When each of so many things happened, and how often: in memory that this program shares with its
/// worker processes, so that it is there when they are killed. What happens in steps and workflows is
/// noted here only because they are measured.
class marks {
 public:
  explicit marks(std::size_t count);
  /// Those of another process.
  explicit marks(const std::string& address);
  ~marks();
  marks(const marks&) = delete;

  /// For another process, as long as this one lives.
  std::string address() const;
  void note(std::size_t which) noexcept;

  std::size_t count() const noexcept { return count_; }
  /// Notes altogether.
  std::int64_t noted() const noexcept { return head().at_us.load(); }
  int times(std::size_t which) const noexcept { return of(which).times.load(); }
  /// When it was noted last, in microseconds since 1970.
  std::int64_t at_us(std::size_t which) const noexcept { return of(which).at_us.load(); }

 private:
  struct mark {
    std::atomic<std::int64_t> at_us;
    std::atomic<std::int32_t> times;
  };
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);

  void map();
  mark& head() const noexcept { return all_[0]; }  // counts the notes
  mark& of(std::size_t which) const noexcept { return all_[which + 1]; }

  int file_ = -1;
  std::size_t count_ = 0;
  mark* all_ = nullptr;
};

/// Microseconds since 1970.
std::int64_t wall_us();

}  // namespace fermata::bench
