// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::detail {

inline constexpr std::string_view json_content = "application/json";

/// A value as it crosses the seams and lies in the journal.
/// Lifetime: `content_type` points to static storage, or to text that the engine interned.
struct payload {
  std::string bytes = {};
  std::string_view content_type = json_content;
  std::uint64_t type = 0;  ///< fingerprint of the type it was made from; 0: no value, or unknown
  bool sensitive = false;
  bool canonical = true;  ///< equal values have equal bytes, so that bytes may be compared
};

/// What takes or returns nothing has this payload.
inline payload no_value() { return {.bytes = "null"}; }

/// What is known of a type without a value of it.
/// Lifetime: those made by `facts_of<T>()` live as long as the process.
struct type_facts {
  std::uint64_t type = 0;                     ///< see `payload::type`
  std::string shape = "{\"type\":\"null\"}";  ///< JSON Schema, compact; "{}" where anything goes
  std::string_view content_type = json_content;
  bool sensitive = false;
  bool canonical = true;

  /// Bytes of this type that come from elsewhere (a receipt, a journal) as a payload.
  payload wrap(std::string bytes) const {
    return {std::move(bytes), content_type, type, sensitive, canonical};
  }
};

}  // namespace fermata::detail
