// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace fermata {

/// The version of the library this program is linked with, `major.minor.patch`.
std::string_view version() noexcept;

}  // namespace fermata
