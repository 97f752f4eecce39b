// SPDX-License-Identifier: Apache-2.0
#include "engine/version.hpp"

#include <fermata/version.hpp>

namespace fermata {

std::string_view version() noexcept { return engine::version(); }

}  // namespace fermata
