// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::engine {

/// A text of which a process sees few: content types, places in the code. Its bytes are kept once,
/// for the life of the process; a copy is a pointer.
/// Threads: any.
class interned {
 public:
  interned() noexcept;
  template <class Text>
    requires std::convertible_to<const Text&, std::string_view>
  interned(const Text& text) : text_(keep(std::string_view(text))) {}  // NOLINT: as std::string

  const std::string& str() const noexcept { return *text_; }
  operator const std::string&() const noexcept { return *text_; }
  explicit operator std::string_view() const noexcept { return *text_; }
  bool empty() const noexcept { return text_->empty(); }
  std::size_t size() const noexcept { return text_->size(); }
  friend bool operator==(const interned& a, const interned& b) noexcept {
    return a.text_ == b.text_;
  }

 private:
  static const std::string* keep(std::string_view text);
  const std::string* text_;
};

/// At most 16 bytes, kept in place: salts and digests.
class bytes16 {
 public:
  bytes16() noexcept = default;
  /// Longer ones are damage: what is kept then equals no whole one.
  bytes16(std::string_view bytes) noexcept;  // NOLINT: as std::string
  operator std::string_view() const noexcept { return {bytes_.data(), size_}; }
  std::string_view view() const noexcept { return *this; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  void clear() noexcept { size_ = 0; }
  char& operator[](std::size_t at) noexcept { return bytes_[at]; }
  friend bool operator==(const bytes16& a, const bytes16& b) noexcept {
    return a.view() == b.view();
  }

 private:
  std::array<char, 16> bytes_{};
  std::uint8_t size_ = 0;
};

}  // namespace fermata::engine
