// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/json.hpp>

#include <charconv>
#include <limits>

/// The quick half of the walk: reads what `write` wrote of the same type (members in declared order,
/// no spaces, texts that need no escapes), without a document in between. About anything else, JSON
/// or not, it says no, and the tolerant half decides.
namespace fermata::detail {

struct ask_slow {
  template <class T>
  static constexpr bool stop =
      json_hook<T> || is_dictionary<T>::value ||
      (json_scalar<T> && !std::is_integral_v<T> && !std::same_as<T, std::string>);
};

/// Made of whole numbers, texts, structs, lists and optionals.
template <class T>
concept quickly_readable = json_writable<T> && !any_part<ask_slow, T>();

class quick_reader {
 public:
  explicit quick_reader(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  /// All of the text. False: `out` is in between.
  template <class T>
  bool whole(T& out) {
    return value(out, 0) && at_ == end_;
  }

 private:
  template <class T>
  bool value(T& out, int depth) {
    if (depth > depth_max) return false;
    if constexpr (std::same_as<T, bool>) {
      out = take("true");
      return out || take("false");
    } else if constexpr (std::is_integral_v<T>) {
      return integer(out);
    } else if constexpr (std::same_as<T, std::string>) {
      return text(out);
    } else if constexpr (is_optional<T>::value) {
      if (take("null")) return out.reset(), true;
      return value(out.emplace(), depth + 1);
    } else if constexpr (is_vector<T>::value) {
      return list(out, depth);
    } else {
      return members(out, depth);
    }
  }

  template <class T>
  bool integer(T& out) {
    using wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    const char* digits = at_ != end_ && *at_ == '-' ? at_ + 1 : at_;
    if (end_ - digits > 1 && *digits == '0') {  // 0 itself, but no 01
      if (digits[1] >= '0' && digits[1] <= '9') return false;
    }
    wide read = 0;
    const auto [end, problem] = std::from_chars(at_, end_, read);
    if (problem != std::errc{}) return false;
    if (read < wide{std::numeric_limits<T>::min()} || read > wide{std::numeric_limits<T>::max()})
      return false;
    out = static_cast<T>(read);
    at_ = end;
    return true;
  }

  template <class T>
  bool list(T& out, int depth) {
    out.clear();
    if (!take("[")) return false;
    if (take("]")) return true;
    do {
      typename T::value_type item{};
      if (!value(item, depth + 1)) return false;
      out.push_back(std::move(item));
    } while (take(","));
    return take("]");
  }

  template <class T>
  bool members(T& out, int depth) {
    bool good = take("{");
    bool first = true;
    boost::mp11::mp_for_each<members_of<T>>([&](auto member) {
      good = good && (std::exchange(first, false) || take(",")) && take("\"") &&
             take(member.name) && take("\":") && value(out.*member.pointer, depth + 1);
    });
    return good && take("}");
  }

  bool take(std::string_view expected) {
    if (static_cast<std::size_t>(end_ - at_) < expected.size() ||
        std::char_traits<char>::compare(at_, expected.data(), expected.size()) != 0)
      return false;
    at_ += expected.size();
    return true;
  }

  bool text(std::string& out);  // src/json.cpp

  const char* at_;
  const char* end_;
};

}  // namespace fermata::detail
