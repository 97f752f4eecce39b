// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <cstdint>

/// Where in details the type fingerprints of an event's payloads stand. FORMAT.md §4.
namespace fermata::engine {

/// 0 where details have no place for it, or don't know it.
std::uint64_t value_type_of(const pb::details& details) noexcept;
std::uint64_t input_type_of(const pb::details& details) noexcept;

/// Whether the payloads of `what` have fingerprints that its details don't say yet.
bool lacks_types(const event& what) noexcept;

/// Writes the fingerprints of `what`'s payloads into `details`, where its kind has a place for them.
void put_types(const event& what, pb::details& details);

}  // namespace fermata::engine
