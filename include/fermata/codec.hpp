// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/json.hpp>
#include <fermata/detail/json_quick.hpp>
#include <fermata/detail/json_read.hpp>
#include <fermata/detail/shape.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace fermata {

/// How values of T become payloads in the journal. The default writes JSON and covers
///   - bool, integers, float, double, std::string, boost::json::value
///   - optional, vector, std::map from std::string
///   - durations (as milliseconds) and sys_time (as `2026-01-31T12:00:00.000Z`)
///   - structs and enums that Boost.Describe describes, and `fermata::bytes`.
///
/// Reading is tolerant, so that journals outlive code: a member that is missing keeps the default
/// of the struct, one that is unknown is ignored. A number that doesn't fit its type is an error.
///
/// Specialise it for a format of your own:
///
///   template <>
///   struct fermata::codec<picture> {
///     static constexpr std::string_view content_type = "image/png";
///     static constexpr std::string_view type_name = "picture";  // optional: tells types apart
///     static constexpr bool canonical = true;  // optional: equal values have equal bytes
///     static std::string encode(const picture&);
///     static picture decode(std::string_view bytes);            // throws decode_error
///     // optional, so that it may also be a member of a described struct:
///     static boost::json::value to_json(const picture&);
///     static picture from_json(const boost::json::value&);
///     static std::string shape();  // optional: what to_json makes, as JSON Schema
///   };
template <class T>
struct codec {
  using own_walk = T;
  static constexpr std::string_view content_type = detail::json_content;
  static constexpr bool canonical = true;

  /// Throws: `encode_error`, such as for text that isn't UTF-8.
  static std::string encode(const T& value)
    requires detail::json_writable<T>
  {
    std::string out;
    out.reserve(128);
    detail::write(out, value);
    return out;
  }

  /// Throws: `decode_error`, which names the member: `.items[3].cents isn't a whole number …`.
  static T decode(std::string_view bytes)
    requires detail::json_writable<T>
  {
    if constexpr (detail::quickly_readable<T>) {
      T quick{};
      if (detail::quick_reader(bytes).whole(quick)) return quick;
    }
    return detail::with_json(bytes,
                             [](const boost::json::value& from) { return detail::read<T>(from); });
  }
};

/// Bytes that mean something to somebody else. Not JSON: `application/octet-stream`; as a member of
/// a struct, base64.
struct bytes {
  std::string data;
  friend bool operator==(const bytes&, const bytes&) = default;
};

template <>
struct codec<bytes> {
  static constexpr std::string_view content_type = "application/octet-stream";
  static constexpr bool canonical = true;
  static std::string encode(const bytes& value) { return value.data; }
  static bytes decode(std::string_view raw) { return {std::string(raw)}; }
  static boost::json::value to_json(const bytes& value);
  static bytes from_json(const boost::json::value& json);
  static std::string shape() { return R"({"type":"string","contentEncoding":"base64"})"; }
};

/// True of types that can cross the journal.
template <class T>
concept recordable = !std::is_void_v<T> && requires(const T& value, std::string_view raw) {
  { codec<T>::encode(value) } -> std::same_as<std::string>;
  { codec<T>::decode(raw) } -> std::same_as<T>;
  { codec<T>::content_type } -> std::convertible_to<std::string_view>;
};

/// The JSON of a described value, for failure details and the like.
/// Throws: `encode_error`.
template <class T>
  requires detail::json_writable<T>
boost::json::value json(const T& value) {
  std::string out;
  detail::write(out, value);
  return detail::parse_json(out);
}

}  // namespace fermata
