// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/payload.hpp>
#include <fermata/detail/traits.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

/// What the journal keeps of a type: its JSON shape, for people and the command, and a fingerprint,
/// for replay. Both are stored, so their text never changes for a type that doesn't.
namespace fermata::detail {

/// FNV-1a, 64 bits.
constexpr std::uint64_t fingerprint(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

/// A struct that the walk is inside of, and where it began.
struct open_shape {
  const open_shape* up;
  const void* type;
  std::string pointer;
};

template <class T>
inline constexpr char type_tag = 0;  // its address tells types apart

/// Appends the JSON Schema of T. `pointer` is its place, so that a recursive struct can refer to
/// itself: {"$ref":"#/properties/children"}.
template <class T>
void add_shape(std::string& out, const std::string& pointer, const open_shape* around) {
  if constexpr (requires { codec<T>::shape(); }) {
    out += codec<T>::shape();
  } else if constexpr (!json_writable<T> || json_hook<T> || std::same_as<T, boost::json::value>) {
    out += "{}";
  } else if constexpr (std::same_as<T, bool>) {
    out += R"({"type":"boolean"})";
  } else if constexpr (std::is_integral_v<T>) {
    using wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    out += R"({"type":"integer","minimum":)";
    out += std::to_string(static_cast<wide>(std::numeric_limits<T>::min())) + ",\"maximum\":";
    out += std::to_string(static_cast<wide>(std::numeric_limits<T>::max())) + "}";
  } else if constexpr (std::is_floating_point_v<T>) {
    out += R"({"type":"number"})";
  } else if constexpr (std::same_as<T, std::string>) {
    out += R"({"type":"string"})";
  } else if constexpr (is_sys_time<T>::value) {
    out += R"({"type":"string","format":"date-time"})";
  } else if constexpr (is_duration<T>::value) {
    out += R"({"type":"number","format":"milliseconds"})";
  } else if constexpr (is_optional<T>::value) {
    out += R"({"anyOf":[)";
    add_shape<typename T::value_type>(out, pointer + "/anyOf/0", around);
    out += R"(,{"type":"null"}]})";
  } else if constexpr (is_vector<T>::value) {
    out += R"({"type":"array","items":)";
    add_shape<typename T::value_type>(out, pointer + "/items", around);
    out += '}';
  } else if constexpr (is_dictionary<T>::value) {
    out += R"({"type":"object","additionalProperties":)";
    add_shape<typename T::mapped_type>(out, pointer + "/additionalProperties", around);
    out += '}';
  } else if constexpr (described_enum<T>) {
    out += R"({"enum":[)";
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
        [&](auto one) { out += (out.back() == '[' ? "\"" : ",\"") + std::string(one.name) + '"'; });
    out += "]}";
  } else {
    for (const open_shape* one = around; one != nullptr; one = one->up)
      if (one->type == &type_tag<T>) {
        out += R"({"$ref":")" + one->pointer + "\"}";
        return;
      }
    const open_shape self{around, &type_tag<T>, pointer};
    out += R"({"type":"object","properties":{)";
    boost::mp11::mp_for_each<members_of<T>>([&](auto member) {
      using M = std::remove_cvref_t<decltype(std::declval<T&>().*member.pointer)>;
      out += (out.back() == '{' ? "\"" : ",\"") + std::string(member.name) + "\":";
      add_shape<M>(out, pointer + "/properties/" + member.name, &self);
    });
    out += "}}";
  }
}

/// The compact JSON Schema of what T is written as; "{}" when T's codec doesn't write JSON.
template <class T>
std::string shape() {
  std::string out;
  if constexpr (codec<T>::content_type == json_content)
    add_shape<T>(out, "#", nullptr);
  else
    out = "{}";
  return out;
}

template <class T>
constexpr bool canonical() {
  if constexpr (requires { codec<T>::canonical; })
    return codec<T>::canonical;
  else
    return false;
}

template <class T>
std::string type_text() {
  if constexpr (requires { typename codec<T>::own_walk; }) return shape<T>();
  std::string text(codec<T>::content_type);
  if constexpr (requires { std::string_view(codec<T>::type_name()); })
    text += '\n' + std::string(codec<T>::type_name());
  else if constexpr (requires { std::string_view(codec<T>::type_name); })
    text += '\n' + std::string(codec<T>::type_name);
  return text;
}

/// Made once per type.
template <class T>
const type_facts& facts_of() {
  if constexpr (std::is_void_v<T>) {
    static const type_facts none;
    return none;
  } else {
    static const type_facts facts{.type = fingerprint(type_text<T>()),
                                  .shape = shape<T>(),
                                  .content_type = codec<T>::content_type,
                                  .sensitive = is_sensitive<T>,
                                  .canonical = canonical<T>()};
    return facts;
  }
}

}  // namespace fermata::detail
