// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/traits.hpp>

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/value.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fermata {

/// A payload has another shape than the type it is read as. The message begins with the member's
/// path: `.items[3].cents isn't a number that fits`.
class decode_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A value can't be written: text that isn't UTF-8, a number that isn't finite, a value outside
/// its enum, nesting beyond 200.
class encode_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

// Our own walk instead of boost::json::value_to: that one (1.81) refuses an object with one member
// more or less than the struct, so that adding a field would make every older journal unreadable.
// Our own numbers, since boost::json (before 1.83) may read a double one bit off: an upgrade of
// Boost would then change inputs that replay compares.

inline constexpr int depth_max = 200;

/// Throws: `decode_error` with the place in the text.
boost::json::value parse_json(std::string_view text, boost::json::storage_ptr kept_in = {});

/// Calls `use` with the document, which takes no memory of its own while it is small and is gone
/// afterwards: what is kept of it has to be copied.
template <class Use>
auto with_json(std::string_view text, Use&& use) {
  unsigned char room[2048];
  boost::json::monotonic_resource small(room, sizeof room);
  const boost::json::value document = parse_json(text, &small);
  return use(document);
}
void write_text(std::string& out, std::string_view text);  // quoted; throws encode_error
void write_json(std::string& out, const boost::json::value& value, int depth);
void write_number(std::string& out, double number);
void write_number(std::string& out, float number);
std::string base64(std::string_view bytes);
std::optional<std::string> bytes_of_base64(std::string_view text);

/// RFC 3339: `2026-01-01T02:00:00.000Z`, with 0, 3, 6 or 9 digits as the clock's period asks.
std::string text_of(std::chrono::sys_seconds at, std::chrono::nanoseconds rest, int digits);
std::string text_of(time_point at);

struct parsed_time {
  std::chrono::sys_seconds seconds;
  std::chrono::nanoseconds rest;
};
/// And back: any offset, up to nine digits. Years beyond 9999 have a sign. Empty when it isn't one.
std::optional<parsed_time> time_of(std::string_view text);

template <class Period>
inline constexpr int digits_of = std::ratio_greater_equal_v<Period, std::ratio<1>> ? 0
                                 : std::ratio_greater_equal_v<Period, std::milli>  ? 3
                                 : std::ratio_greater_equal_v<Period, std::micro>  ? 6
                                                                                   : 9;

// ---- writing ----

template <class T>
void write(std::string& out, const T& value, int depth = 0);

template <class T>
void write_enum(std::string& out, T value) {
  const char* found = boost::describe::enum_to_string(value, static_cast<const char*>(nullptr));
  if (found == nullptr)
    throw encode_error("a value outside the names of its enum: " +
                       std::to_string(static_cast<std::int64_t>(value)));
  write_text(out, found);
}

template <class T>
void write_duration(std::string& out, T value) {
  using exact = std::chrono::duration<double, std::milli>;
  const double around = exact(value).count();
  if constexpr (std::is_integral_v<typename T::rep>) {
    if (around >= 9.3e18 || around <= -9.3e18)
      throw encode_error("a duration of more than 292 million years");
    if (const auto whole = std::chrono::floor<duration>(value); whole == value)
      return write(out, static_cast<std::int64_t>(whole.count()));
  }
  write_number(out, around);
}

template <class T>
void write_struct(std::string& out, const T& value, int depth) {
  out += '{';
  bool first = true;
  boost::mp11::mp_for_each<members_of<T>>([&](auto member) {
    if (!std::exchange(first, false)) out += ',';
    out += '"';
    out += member.name;
    out += "\":";
    write(out, value.*member.pointer, depth + 1);
  });
  out += '}';
}

template <class T>
void write(std::string& out, const T& value, int depth) {
  if (depth > depth_max) throw encode_error("nested deeper than 200");
  if constexpr (json_hook<T>) {
    write_json(out, codec<T>::to_json(value), depth);
  } else if constexpr (std::same_as<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    char text[24];
    // + makes a number of the character types.
    const auto end = std::to_chars(text, text + sizeof text, +value).ptr;
    out.append(text, end);
  } else if constexpr (std::is_floating_point_v<T>) {
    write_number(out, value);
  } else if constexpr (std::same_as<T, boost::json::value>) {
    write_json(out, value, depth);
  } else if constexpr (std::same_as<T, std::string>) {
    write_text(out, value);
  } else if constexpr (is_sys_time<T>::value) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(value);
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(value - whole);
    write_text(out, text_of(whole, rest, digits_of<typename T::period>));
  } else if constexpr (is_duration<T>::value) {
    write_duration(out, value);
  } else if constexpr (is_optional<T>::value) {
    if (value)
      write(out, *value, depth + 1);
    else
      out += "null";
  } else if constexpr (is_vector<T>::value) {
    out += '[';
    bool first = true;
    for (const typename T::value_type& item : value) {
      if (!std::exchange(first, false)) out += ',';
      write(out, item, depth + 1);
    }
    out += ']';
  } else if constexpr (is_dictionary<T>::value) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : value) {
      if (!std::exchange(first, false)) out += ',';
      write_text(out, key);
      out += ':';
      write(out, item, depth + 1);
    }
    out += '}';
  } else if constexpr (described_enum<T>) {
    write_enum(out, value);
  } else {
    static_assert(described_struct<T>, "describe the type with BOOST_DESCRIBE_STRUCT");
    write_struct(out, value, depth);
  }
}

}  // namespace detail
}  // namespace fermata
