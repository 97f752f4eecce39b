// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace fermata::engine {

/// The level of the journal format this build writes. It rises when an older build could no longer
/// read what this one writes; every build reads all levels up to its own.
inline constexpr std::uint32_t format_level = 1;

/// The version of the library, `major.minor.patch`.
std::string_view version() noexcept;

}  // namespace fermata::engine
