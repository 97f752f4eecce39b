// SPDX-License-Identifier: Apache-2.0
#include "worker/version.hpp"

#include <fmt/format.h>

#include "engine/version.hpp"

namespace fermata::detail {

std::string version_banner(std::string_view program) {
  return fmt::format("{} {} (journal format {}, {})", program, engine::version(),
                     engine::format_level, __VERSION__);
}

}  // namespace fermata::detail
