// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/signature.hpp>

#include <string_view>

namespace fermata {

namespace detail {
template <class T>
class typed_name {
 public:
  using value = T;
  explicit constexpr typed_name(fermata::name id) : name_(id) { check_payload<T>(); }
  constexpr std::string_view name() const noexcept { return name_.view(); }

 private:
  fermata::name name_;
};
}  // namespace detail

/// A typed message to a run. Sent by clients and other runs, kept in order until received.
///
///   constexpr fermata::signal<review> reviewed{"reviewed"};
///   constexpr fermata::signal<>       go_on{"go_on"};        // carries nothing
template <class T = void>
class signal : public detail::typed_name<T> {
  using detail::typed_name<T>::typed_name;
};

/// A value that a run shows to everyone; readable without a live worker.
///
///   constexpr fermata::published<progress> render_progress{"progress"};
template <class T>
class published : public detail::typed_name<T> {
  static_assert(!std::is_void_v<T>, "what is published is a value");
  using detail::typed_name<T>::typed_name;
};

}  // namespace fermata
