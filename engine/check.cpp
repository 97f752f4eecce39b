// SPDX-License-Identifier: Apache-2.0
#include "engine/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace fermata::engine {

void broken(std::string_view file, int line, std::string_view what) {
  fmt::print(stderr, "fermata: broken assertion at {}:{}: {}\n", file, line, what);
  std::fflush(stderr);
  std::abort();
}

}  // namespace fermata::engine
