// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/signature.hpp>
#include <fermata/time.hpp>

#include <optional>
#include <string_view>
#include <type_traits>

namespace fermata {

/// What becomes of a child when its parent ends before it.
enum class parent_close { terminate, cancel, abandon };

/// How a child run is started. Trivially destructible, as `step_options` is.
/// Lifetime: `key` and `queue` outlive the call that takes them.
struct child_options {
  std::string_view key = {};              ///< your own name for it, unique per workflow
  std::optional<duration> deadline = {};  ///< it is cancelled when it takes longer
  std::string_view queue = {};            ///< empty: the parent's
  std::optional<int> priority = {};       ///< empty: the parent's; higher goes first
  parent_close on_parent_close = parent_close::terminate;
};
static_assert(std::is_trivially_destructible_v<child_options>);

/// The name and types of a workflow. Started by a client, or called by another workflow.
///
///   constexpr fermata::workflow<receipt(order)> place_order{"place_order"};
template <class Signature>
class workflow : public detail::named<Signature> {
 public:
  explicit constexpr workflow(name id) : detail::named<Signature>(id) {
    detail::check_signature<Signature>();
  }
};

}  // namespace fermata
