// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/codec.hpp>
#include <fermata/detail/signature.hpp>
#include <fermata/name.hpp>
#include <fermata/time.hpp>

#include <optional>
#include <string_view>
#include <type_traits>

namespace fermata {

/// How often and how fast a failed step is tried again. What is left out comes from the step, then
/// from the worker, field by field: a call may change one and keep the rest.
struct retry_policy {
  std::optional<int> max_attempts = {};      ///< worker's default: 5; 1 means once
  std::optional<duration> first_delay = {};  ///< 1 s
  std::optional<double> backoff = {};        ///< 2.0
  std::optional<duration> max_delay = {};    ///< 5 min; jitter is always on
};

/// Where a step runs: as a function of the worker, or in a process of its own, so that a crash
/// costs one attempt and not the worker. This version has only the first: `own_process` is refused,
/// by the worker when it begins to run and by a call with a failure (FER-3004).
enum class isolation { in_process, own_process };

/// What to do with an attempt that took its process down.
enum class on_crash { retry, fail, ask };

/// How a step is carried out. Given with the step's name, and again, for one call, at the call
/// (`call_options` there: the same fields and `undo`).
/// Trivially destructible, so that braces at a call are safe on every compiler.
/// A step with a `queue` is carried out by any worker that serves the queue and the step, also by one that
/// serves no workflow; its run waits for the outcome without a worker. A body of `ctx.run` and a
/// transaction in the journal can't have one (FER-3004).
/// Lifetime: `queue` is a literal, or outlives the call.
struct step_options {
  std::optional<duration> timeout = {};            ///< of one attempt
  std::optional<duration> give_up_after = {};      ///< of all attempts together, delays included
  std::optional<duration> heartbeat_timeout = {};  ///< longest silence of a step that reports
  retry_policy retry = {};
  std::string_view queue = {};       ///< empty: near the workflow; else whoever serves it takes it
  std::optional<int> priority = {};  ///< 0 normal; higher goes first
  std::optional<fermata::isolation> isolation = {};
  std::optional<fermata::on_crash> on_crash = {};
};
static_assert(std::is_trivially_destructible_v<step_options>);

/// The name, types and defaults of a step: what client, workflow and worker agree on.
///
///   constexpr fermata::step<charge(order)> charge_card{"charge_card", {.timeout = 20s}};
///   constexpr fermata::step<void(hold)>    release_stock{"release_stock"};
///   constexpr fermata::step<rates()>       fetch_rates{"fetch_rates"};
///
/// One input and one result, both recordable. A struct grows by a field with a default; a
/// parameter list could not grow without breaking running journals.
template <class Signature>
class step : public detail::named<Signature> {
 public:
  explicit constexpr step(name id, step_options defaults = {})
      : detail::named<Signature>(id), defaults_(defaults) {
    detail::check_signature<Signature>();
  }
  constexpr const step_options& defaults() const noexcept { return defaults_; }

 private:
  step_options defaults_;
};

/// The step that undoes a call: any that takes the input of the call. Made from it implicitly.
template <class In>
class undo_of {
 public:
  constexpr undo_of() noexcept = default;
  template <class Signature>
  constexpr undo_of(const step<Signature>& what) noexcept  // NOLINT: a step is its own undo
      : name_(what.name()), options_(what.defaults()) {
    static_assert(std::is_same_v<typename step<Signature>::input, In>,
                  "undo takes a step with the input of the call it undoes");
  }

  // Below: for the library.
  constexpr std::string_view name() const noexcept { return name_; }  // empty: nothing to undo
  constexpr const step_options& options() const noexcept { return options_; }

 private:
  std::string_view name_ = {};
  step_options options_ = {};
};

/// How one call is carried out: `step_options`, where those of the step don't fit, and `undo`.
/// (Not a derived struct: a base class would forbid `{.timeout = 5s}`.)
template <class In>
struct call_options {
  std::optional<duration> timeout = {};
  std::optional<duration> give_up_after = {};
  std::optional<duration> heartbeat_timeout = {};
  retry_policy retry = {};
  std::string_view queue = {};
  std::optional<int> priority = {};
  std::optional<fermata::isolation> isolation = {};
  std::optional<fermata::on_crash> on_crash = {};
  /// Registered before the step starts, for effects that are unknown after a crash or a time-out.
  /// It gets the input of this call; `step_context::undoes()` tells it the call's key.
  undo_of<In> undo = {};
};

}  // namespace fermata
