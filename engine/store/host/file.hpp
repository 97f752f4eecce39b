// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <utility>

/// The files beside a journal: descriptors, mappings and locks that die with their owner.
namespace fermata::engine::host {

/// A descriptor, closed on exec (measured: an exec'd child kept a lock of its parent).
class file {
 public:
  file() = default;
  /// Opens for reading and writing, creates when missing. Throws store_failure.
  explicit file(const std::string& path);
  ~file();
  file(file&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  file& operator=(file&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  int descriptor() const noexcept { return descriptor_; }
  bool open() const noexcept { return descriptor_ >= 0; }

  /// Open-file-description locks of one byte: they belong to this object, not to the process.
  bool try_lock(std::size_t byte) const;
  void unlock(std::size_t byte) const;
  /// Does somebody else's file object hold the byte?
  bool locked_by_other(std::size_t byte) const;

 private:
  int descriptor_ = -1;
};

/// Syncs a finished file, or a folder after a file in it was named. Throws store_failure. Never
/// for the database's own file: closing it would drop SQLite's locks of this process.
void make_durable(const std::string& path);

/// The first page of a file, shared by all processes that map it.
class shared_page {
 public:
  /// Makes the file a page long when it is shorter. Throws store_failure.
  shared_page(const file& from, const std::string& path);
  ~shared_page();
  shared_page(const shared_page&) = delete;
  shared_page& operator=(const shared_page&) = delete;

  void* at() const noexcept { return at_; }

 private:
  void* at_ = nullptr;
};

}  // namespace fermata::engine::host
