// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/codec.hpp>

#include <climits>
#include <concepts>
#include <string>
#include <string_view>

/// Protobuf messages as inputs and results, without including protobuf here. Include it before the
/// first constant that names one:
///
///   #include <fermata/protobuf.hpp>
///   constexpr fermata::step<charge_reply(charge_request)> charge_card{"charge_card"};
namespace fermata {

template <class T>
concept protobuf_message = requires(T& to, const T& from, std::string* out, const char* raw) {
  { from.SerializeToString(out) } -> std::same_as<bool>;
  { to.ParseFromArray(raw, 1) } -> std::same_as<bool>;
};

/// Not canonical: protobuf promises no order of bytes, so replay compares only the type.
template <protobuf_message T>
struct codec<T> {
  static constexpr std::string_view content_type = "application/x-protobuf";
  static constexpr bool canonical = false;

  static std::string type_name() {
    if constexpr (requires(const T& any) { std::string(any.GetTypeName()); })
      return std::string(T().GetTypeName());
    else
      return {};
  }
  /// Throws: `encode_error` when a required field is missing.
  static std::string encode(const T& value) {
    std::string out;
    if (!value.SerializeToString(&out)) throw encode_error("the message is incomplete");
    return out;
  }
  /// Throws: `decode_error`.
  static T decode(std::string_view bytes) {
    T value;
    if (bytes.size() > INT_MAX ||
        !value.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      throw decode_error("the payload isn't such a protobuf message");
    return value;
  }
};

}  // namespace fermata
