// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/json.hpp>

#include <cmath>
#include <limits>

/// The tolerant half of the walk: a missing member keeps its default, an unknown one is ignored.
namespace fermata::detail {

/// Where in a payload the walk stands; becomes text only for a message.
struct path {
  const path* up = nullptr;
  std::string_view member = {};
  std::size_t index = 0;  // when there is no member

  std::string text() const {
    if (up == nullptr) return "";
    if (member.data() == nullptr) return up->text() + "[" + std::to_string(index) + "]";
    return up->text() + "." + std::string(member);
  }
};

[[noreturn]] inline void wrong_shape(const path& where, const std::string& wanted) {
  const std::string at = where.text();
  throw decode_error((at.empty() ? std::string("the payload") : at) + " isn't " + wanted);
}

template <class T>
T read(const boost::json::value& json, const path& where = {});

template <class T>
T read_integer(const boost::json::value& json, const path& where) {
  using wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
  constexpr wide low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  auto fits = [](auto n) { return std::cmp_greater_equal(n, low) && std::cmp_less_equal(n, high); };
  if (json.is_int64() && fits(json.get_int64())) return static_cast<T>(json.get_int64());
  if (json.is_uint64() && fits(json.get_uint64())) return static_cast<T>(json.get_uint64());
  // 3.0 and 1e3 are whole numbers too; 2^53 is where doubles stop telling them apart.
  if (json.is_double() && std::trunc(json.get_double()) == json.get_double() &&
      std::abs(json.get_double()) <= 9007199254740992.0) {
    const auto n = static_cast<std::int64_t>(json.get_double());
    if (fits(n)) return static_cast<T>(n);
  }
  wrong_shape(where, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
}

template <class T>
T read_float(const boost::json::value& json, const path& where) {
  if (json.is_int64()) return static_cast<T>(json.get_int64());
  if (json.is_uint64()) return static_cast<T>(json.get_uint64());
  if (json.is_double() && std::abs(json.get_double()) <= std::numeric_limits<T>::max())
    return static_cast<T>(json.get_double());
  wrong_shape(where, "a number that fits");
}

template <class Unit>
bool fits(const parsed_time& at) {
  const std::chrono::seconds whole = at.seconds.time_since_epoch();
  if constexpr (std::ratio_less_equal_v<typename Unit::period, std::ratio<1>>) {
    constexpr auto last = std::chrono::floor<std::chrono::seconds>(Unit::max());
    constexpr auto first = std::chrono::ceil<std::chrono::seconds>(Unit::min());
    return whole >= first && (whole < last || (whole == last && at.rest <= Unit::max() - last));
  } else {
    using exact = std::chrono::duration<double>;
    return exact(whole) < exact(Unit::max()) && exact(whole) > exact(Unit::min());
  }
}

template <class T>
T read_time(const boost::json::value& json, const path& where) {
  using unit = typename T::duration;
  if (json.is_string())
    if (const auto parsed = time_of(json.get_string()); parsed && fits<unit>(*parsed))
      return std::chrono::time_point_cast<unit>(parsed->seconds) +
             std::chrono::duration_cast<unit>(parsed->rest);
  wrong_shape(where, "a time that fits, such as 2026-01-31T12:00:00Z");
}

template <class T>
T read_duration(const boost::json::value& json, const path& where) {
  using exact = std::chrono::duration<double, std::milli>;
  const exact around(read_float<double>(json, where));
  if (around > exact(T::max()) || around < exact(T::min()))
    wrong_shape(where, "a number of milliseconds that fits");
  if constexpr (std::is_integral_v<typename T::rep>) {
    if (!json.is_double())
      return std::chrono::duration_cast<T>(duration(read_integer<std::int64_t>(json, where)));
    if (around >= exact(T::max()) || around <= exact(T::min()))
      wrong_shape(where, "a number of milliseconds that fits");
    return std::chrono::round<T>(around);
  } else {
    return std::chrono::duration_cast<T>(around);
  }
}

template <class T>
T read_enum(const boost::json::value& json, const path& where) {
  std::optional<T> found;
  std::string names;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>([&](auto one) {
    names += names.empty() ? one.name : std::string(", ") + one.name;
    if (json.is_string() && std::string_view(json.get_string()) == one.name) found = one.value;
  });
  if (!found) wrong_shape(where, "one of " + names);
  return *found;
}

template <class T>
T read_struct(const boost::json::value& json, const path& where) {
  if (!json.is_object()) wrong_shape(where, "an object");
  T out{};
  boost::mp11::mp_for_each<members_of<T>>([&](auto member) {
    using M = std::remove_reference_t<decltype(out.*member.pointer)>;
    if (const boost::json::value* found = json.get_object().if_contains(member.name))
      out.*member.pointer = read<M>(*found, path{&where, member.name});
  });
  return out;
}

template <class T>
T read_vector(const boost::json::value& json, const path& where) {
  if (!json.is_array()) wrong_shape(where, "a list");
  T out;
  out.reserve(json.get_array().size());
  for (const boost::json::value& item : json.get_array())
    out.push_back(read<typename T::value_type>(item, path{&where, {}, out.size()}));
  return out;
}

template <class T>
T read_dictionary(const boost::json::value& json, const path& where) {
  if (!json.is_object()) wrong_shape(where, "an object");
  T out;
  for (const auto& item : json.get_object())
    out.insert_or_assign(std::string(item.key()),
                         read<typename T::mapped_type>(item.value(), path{&where, item.key()}));
  return out;
}

template <class T>
T read_hooked(const boost::json::value& json, const path& where) {
  try {
    return codec<T>::from_json(json);
  } catch (const decode_error& why) {
    throw decode_error(where.text() + (where.up ? ": " : "") + why.what());
  }
}

template <class T>
T read(const boost::json::value& json, const path& where) {
  if constexpr (json_hook<T>) {
    return read_hooked<T>(json, where);
  } else if constexpr (std::same_as<T, boost::json::value>) {
    return json;
  } else if constexpr (std::same_as<T, bool>) {
    if (!json.is_bool()) wrong_shape(where, "true or false");
    return json.get_bool();
  } else if constexpr (std::is_integral_v<T>) {
    return read_integer<T>(json, where);
  } else if constexpr (std::is_floating_point_v<T>) {
    return read_float<T>(json, where);
  } else if constexpr (std::same_as<T, std::string>) {
    if (!json.is_string()) wrong_shape(where, "a text");
    return std::string(json.get_string());
  } else if constexpr (is_sys_time<T>::value) {
    return read_time<T>(json, where);
  } else if constexpr (is_duration<T>::value) {
    return read_duration<T>(json, where);
  } else if constexpr (is_optional<T>::value) {
    if (json.is_null()) return std::nullopt;
    return read<typename T::value_type>(json, where);
  } else if constexpr (is_vector<T>::value) {
    return read_vector<T>(json, where);
  } else if constexpr (is_dictionary<T>::value) {
    return read_dictionary<T>(json, where);
  } else if constexpr (described_enum<T>) {
    return read_enum<T>(json, where);
  } else {
    return read_struct<T>(json, where);
  }
}

}  // namespace fermata::detail
