// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fermata/version.hpp>

#include "engine/version.hpp"

TEST_CASE("the public version is the engine's version") {
  CHECK(fermata::version() == fermata::engine::version());
  CHECK(fermata::version().find('.') != std::string_view::npos);
}
