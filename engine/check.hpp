// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace fermata::engine {

/// A bug of ours: says where and what, and aborts. Always on, also in release builds.
[[noreturn]] void broken(std::string_view file, int line, std::string_view what);

}  // namespace fermata::engine

/// FERMATA_CHECK(a == b, "a is {}, b is {}", a, b): the one macro of the engine, since only a macro
/// knows its place and leaves the message unformatted when all is well.
#define FERMATA_CHECK(holds, ...)                                                            \
  do {                                                                                       \
    if (!(holds)) ::fermata::engine::broken(__FILE__, __LINE__, ::fmt::format(__VA_ARGS__)); \
  } while (false)
