// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string_view>

namespace fermata {

/// The durable name of a step, workflow, signal …: a literal, checked by the compiler.
/// 1 to 128 characters of a–z, 0–9, '_', '-', '.' and '/'. It is written into journals, so it is
/// chosen once and never derived from a symbol.
class name {
 public:
  consteval name(const char* literal) : text_(literal) {  // NOLINT: a literal is a name
    if (!valid(text_)) a_name_is_1_to_128_of_a_to_z_0_to_9_underscore_dash_dot_slash();
  }

  /// Takes a name that is known only at run time (a generic worker, a language binding).
  /// Throws: std::invalid_argument when it isn't a name.
  /// Lifetime: `text` must outlive everything made from it.
  static constexpr name dynamic(std::string_view text) {
    if (!valid(text)) throw std::invalid_argument("not a durable name");
    return name(text, checked{});
  }

  constexpr std::string_view view() const noexcept { return text_; }

 private:
  struct checked {};
  constexpr name(std::string_view text, checked) noexcept : text_(text) {}

  static constexpr bool valid(std::string_view text) noexcept {
    if (text.empty() || text.size() > 128) return false;
    for (char c : text)
      if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' ||
            c == '/'))
        return false;
    return true;
  }
  // Never defined: the compiler's note prints its name.
  static void a_name_is_1_to_128_of_a_to_z_0_to_9_underscore_dash_dot_slash();

  std::string_view text_;
};

}  // namespace fermata
