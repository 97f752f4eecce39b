// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// A fuzzer's bytes as values: the first that are left become what is asked for, and zeros follow.
namespace fuzz {

class reader {
 public:
  reader(const std::uint8_t* data, std::size_t size)
      : left_(reinterpret_cast<const char*>(data), size) {}

  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return first;
  }
  std::uint64_t number(int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8U | byte();
    return value;
  }
  /// One byte says how long it is.
  std::string text() {
    const std::size_t asked = byte();
    const std::size_t length = std::min(asked, left_.size());
    std::string value(left_.substr(0, length));
    left_.remove_prefix(length);
    return value;
  }
  std::string_view rest() const noexcept { return left_; }
  bool empty() const noexcept { return left_.empty(); }

 private:
  std::string_view left_;
};

}  // namespace fuzz

/// What a fuzzer is: called with any bytes, it returns 0 and nothing bad happens.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
