// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/time.hpp>

#include <boost/describe.hpp>
#include <boost/json/fwd.hpp>
#include <boost/mp11/algorithm.hpp>

#include <chrono>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fermata {

template <class T>
struct codec;

/// Marks a type whose values the command, logs and errors hide unless asked (`--reveal`); what
/// contains it is marked too. Written before the first use of the type:
///
///   template <>
///   inline constexpr bool fermata::sensitive<card> = true;
template <class T>
inline constexpr bool sensitive = false;

namespace detail {

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_vector : std::false_type {};
template <class T, class A>
struct is_vector<std::vector<T, A>> : std::true_type {};
template <class T>
struct is_dictionary : std::false_type {};
template <class T, class C, class A>
struct is_dictionary<std::map<std::string, T, C, A>> : std::true_type {};
template <class T>
struct is_duration : std::false_type {};
template <class R, class P>
struct is_duration<std::chrono::duration<R, P>> : std::true_type {};
template <class T>
struct is_sys_time : std::false_type {};
template <class D>
struct is_sys_time<std::chrono::sys_time<D>> : std::true_type {};

template <class T>
concept described_struct = std::is_class_v<T> && boost::describe::has_describe_members<T>::value;
template <class T>
concept described_enum = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;

template <class T>
using members_of = boost::describe::describe_members<T, boost::describe::mod_any_access |
                                                            boost::describe::mod_inherited>;

/// A codec of the user's own that can also be a part of JSON.
template <class T>
concept json_hook = requires(const T& value, const boost::json::value& json) {
  { codec<T>::to_json(value) } -> std::same_as<boost::json::value>;
  { codec<T>::from_json(json) } -> std::same_as<T>;
};

template <class T>
concept json_scalar = (std::is_arithmetic_v<T> && !std::same_as<T, long double>) ||
                      std::same_as<T, std::string> || std::same_as<T, boost::json::value> ||
                      is_sys_time<T>::value || is_duration<T>::value || described_enum<T>;

/// Asks `Ask<Part, Seen…>()` of each member's type of a described struct until one says `stop`.
/// Returns: whether one did. `Seen` are the structs around it: a recursive struct asks once.
template <class Ask, class T, class... Seen>
consteval bool any_part() {
  if constexpr ((std::same_as<T, Seen> || ...))
    return false;
  else if constexpr (Ask::template stop<T>)
    return true;
  else if constexpr (json_hook<T> || json_scalar<T>)
    return false;
  else if constexpr (is_optional<T>::value || is_vector<T>::value)
    return any_part<Ask, std::remove_cv_t<typename T::value_type>, Seen...>();
  else if constexpr (is_dictionary<T>::value)
    return any_part<Ask, std::remove_cv_t<typename T::mapped_type>, Seen...>();
  else if constexpr (described_struct<T>)
    return []<template <class...> class L, class... D>(L<D...>) {
      return (any_part<Ask, std::remove_cvref_t<decltype(std::declval<T&>().*D::pointer)>, T,
                       Seen...>() ||
              ...);
    }(members_of<T>{});
  else
    return false;
}

struct ask_foreign {
  template <class T>
  static constexpr bool stop =
      !(json_hook<T> || json_scalar<T> || is_optional<T>::value || is_vector<T>::value ||
        is_dictionary<T>::value || described_struct<T>);
};
struct ask_sensitive {
  template <class T>
  static constexpr bool stop = sensitive<T>;
};

/// Can be written as JSON by our walk.
template <class T>
concept json_writable = !std::is_void_v<T> && !any_part<ask_foreign, T>();

template <class T>
inline constexpr bool is_sensitive = any_part<ask_sensitive, T>();

}  // namespace detail
}  // namespace fermata
