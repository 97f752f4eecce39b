// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

/// JSON from the command line, and whether it fits what its reader asks for.
namespace fermata::cli {

/// `text` itself, what @FILE holds, or standard input for `-`. Throws FER-4001.
std::string text_argument(session& s, const std::string& argument, std::string_view what);

/// Parses; a mistake is FER-1305 with line, column and a caret below the place.
boost::json::value parse_argument(const std::string& text, std::string_view what);

/// Throws FER-1305, naming the path and what is expected there. `shape` is JSON Schema.
void check_shape(const boost::json::value& value, std::string_view shape, std::string_view what);

}  // namespace fermata::cli
