// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"
#include "engine/replay/operation.hpp"

#include <fermata/detail/payload.hpp>
#include <fermata/error.hpp>
#include <fermata/step.hpp>

#include <absl/status/status.h>

#include <exception>
#include <source_location>
#include <string>

/// The border between the engine's plain values and the SDK's: one translation, here.
namespace fermata::detail {

engine::payload to_engine(payload&& value);
engine::payload to_engine(const payload& value);
/// Its content type points to interned text.
payload to_sdk(const engine::payload& value);
payload to_sdk(engine::payload&& value);

pb::failure to_engine(const failure& why);
failure to_sdk(const pb::failure& why, const std::string& run = {});

/// What an exception means as a failure: a `failure` is itself; anything else becomes a retryable
/// one with its demangled type and what(). `retry_after_ms` is -1 where nothing is said.
pb::failure failure_of(const std::exception_ptr& problem, std::int64_t* retry_after_ms = nullptr);
bool is_cancelled(const std::exception_ptr& problem);
bool is_undecodable_input(const std::exception_ptr& problem);

/// Throws the `error` that a status of the engine is; does nothing when it is OK.
void raise(const absl::Status& status, const std::string& run = {});

/// Throws a failure of type "payload_too_large" (FER-1401) that names what is too large.
void check_value(std::string_view what, std::string_view name, std::size_t bytes);

/// What `options` say, and where they say nothing, `rest`.
engine::step_plan plan_of(const step_options& options, engine::step_plan rest = {});
/// Throws FER-1309 for a text that isn't UTF-8; `what` names it.
void check_utf8(std::string_view what, std::string_view text);

/// "orders.cpp:41"; empty for a location with line 0.
engine::interned place_of(const std::source_location& at);

inline std::int64_t micros(time_point at) {
  return std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
}
inline time_point instant(std::int64_t micros_since_1970) {
  return time_point(std::chrono::floor<duration>(std::chrono::microseconds(micros_since_1970)));
}

}  // namespace fermata::detail
