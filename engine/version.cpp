// SPDX-License-Identifier: Apache-2.0
#include "engine/version.hpp"

namespace fermata::engine {

std::string_view version() noexcept { return FERMATA_VERSION; }

}  // namespace fermata::engine
