// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/codec.hpp>
#include <fermata/name.hpp>

#include <string_view>
#include <type_traits>

namespace fermata {

template <class T>
class future;

namespace detail {

/// The input of something that takes none.
struct nothing {};

template <class Signature>
struct signature {
  static_assert(
      sizeof(Signature) == 0,
      "write the type as result(input): step<charge(order)>, step<void(hold)>, step<rates()>; "
      "several inputs become one struct");
  using result = void;  // so that the sentence above is the only error
  using input = nothing;
  static constexpr bool has_input = false;
};
template <class R, class In>
struct signature<R(In)> {
  using result = R;
  using input = std::remove_cvref_t<In>;
  static constexpr bool has_input = true;
};
template <class R>
struct signature<R()> {
  using result = R;
  using input = nothing;
  static constexpr bool has_input = false;
};
template <class R, class A, class B, class... More>
struct signature<R(A, B, More...)> {
  static_assert(
      sizeof(R*) == 0,
      "one input: put the parameters into a struct, so that it can grow while journals live");
  using result = void;
  using input = nothing;
  static constexpr bool has_input = false;
};

template <class T>
consteval void check_payload() {
  if constexpr (!std::is_void_v<T> && !std::is_same_v<T, nothing>) {
    static_assert(!std::is_pointer_v<T>, "a pointer cannot be recorded: pass the value, or an id");
    static_assert(
        recordable<T>,
        "this type cannot be recorded: describe it with BOOST_DESCRIBE_STRUCT (before the "
        "constant that uses it), or specialise fermata::codec");
    static_assert(std::is_default_constructible_v<T> || !described_struct<T>,
                  "a recorded struct is default constructible, so that older journals can be read");
  }
}

template <class Signature>
consteval void check_signature() {
  check_payload<typename signature<Signature>::input>();
  check_payload<typename signature<Signature>::result>();
}

template <class Signature>
class named {
 public:
  using result = typename signature<Signature>::result;
  using input = typename signature<Signature>::input;
  static constexpr bool has_input = signature<Signature>::has_input;
  constexpr std::string_view name() const noexcept { return name_.view(); }

 protected:
  explicit constexpr named(fermata::name id) : name_(id) {}

 private:
  fermata::name name_;
};

template <class T>
payload encode(const T& value) {
  if constexpr (std::is_same_v<T, nothing>)
    return no_value();
  else
    return facts_of<T>().wrap(codec<T>::encode(value));
}
template <class T>
T decode(std::string_view bytes) {
  if constexpr (std::is_same_v<T, nothing>)
    return {};
  else if constexpr (!std::is_void_v<T>)
    return codec<T>::decode(bytes);
}
template <class T>
T decode(const payload& value) {
  return decode<T>(std::string_view(value.bytes));
}

/// The facts of what a signature names; void and `nothing` are null.
template <class T>
const type_facts& facts() {
  return facts_of<std::conditional_t<std::is_same_v<T, nothing>, void, T>>();
}

template <class T>
struct is_future : std::false_type {};
template <class T>
struct is_future<future<T>> : std::true_type {};

/// Says in words why an input doesn't fit.
template <class In, class Given>
consteval void refuse_input() {
  static_assert(!is_future<std::remove_cvref_t<Given>>::value || is_future<In>::value,
                "that is a future: await it first, then pass its value");
  static_assert(
      std::is_convertible_v<Given, const In&> || is_future<std::remove_cvref_t<Given>>::value,
      "the input has another type than the one this name was declared with");
}
template <class In, class Given>
concept misfit = !std::is_convertible_v<Given, const In&>;

/// True where this compiler destroys a temporary of type T twice inside a co_await expression
/// (GCC PR 99576; fixed in GCC 13). Goes when GCC 12 is no longer allowed.
template <class T>
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool destroyed_twice = !std::is_trivially_destructible_v<T>;
#else
inline constexpr bool destroyed_twice = false;
#endif

}  // namespace detail
}  // namespace fermata
