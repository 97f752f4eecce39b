// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace fermata::detail {

/// What a binary answers to `--version`: its name, the library's version, the level of the journal
/// format and the compiler.
std::string version_banner(std::string_view program);

}  // namespace fermata::detail
