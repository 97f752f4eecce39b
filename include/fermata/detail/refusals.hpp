// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/future.hpp>
#include <fermata/step.hpp>
#include <fermata/workflow.hpp>

#include <type_traits>

namespace fermata::detail {

template <class T>
T never();  // not defined: only calls that do not compile use it

/// Overloads of context's members that catch a wrong argument and say so in a sentence.
class refusals {
 public:
  template <class R, class In, class Given, class... Rest>
    requires misfit<In, Given>
  future<R> call(const step<R(In)>&, Given&&, Rest&&...) {
    refuse_input<In, Given>();
    return never<future<R>>();
  }
  template <class R, class In, class Given, class... Rest>
    requires misfit<In, Given>
  future<R> call(const workflow<R(In)>&, Given&&, Rest&&...) {
    refuse_input<In, Given>();
    return never<future<R>>();
  }
  template <class... Rest>
  future<void> call(const char*, Rest&&...) {
    static_assert(sizeof...(Rest) > 9999,
                  "a step is called by its typed constant: "
                  "constexpr fermata::step<charge(order)> charge_card{\"charge_card\"};");
    return never<future<void>>();
  }
  template <class R, class In, class Given, class... Rest>
    requires misfit<In, Given>
  void on_failure(const step<R(In)>&, Given&&, Rest&&...) {
    refuse_input<In, Given>();
  }

  // GCC 12 would destroy a request in braces twice inside a co_await expression.
  template <class R, class In>
    requires(destroyed_twice<In> && std::is_aggregate_v<In>)
  future<R> call(const step<R(In)>&, std::type_identity_t<In>&&,
                 call_options<std::remove_cvref_t<In>> = {}) {
    static_assert(sizeof(R) == 0,
                  "name the request first, then pass it: GCC 12 destroys a temporary written "
                  "inside a co_await expression twice");
    return never<future<R>>();
  }
};

}  // namespace fermata::detail
