// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

/// What the command talks to. Tests give it strings.
namespace fermata::cli {

struct world {
  std::istream& in;
  std::ostream& out;  // data
  std::ostream& err;  // everything else
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::size_t width = 0;  // columns of the terminal; 0: no limit
  std::size_t height = 0;
  std::function<std::optional<std::string>(const char*)> variable;  // of the environment
};

/// The process's own.
world real_world();

/// Ctrl-C ends the process with 130, after the cursor is shown again. Nothing is lost: a transaction
/// is in the journal whole, or not at all.
void end_on_interrupt();

/// One colour per class of event: failed red, timed out yellow, cancelled magenta, done green, started
/// blue.
enum class tint { plain, red, yellow, magenta, green, blue, cyan, dim, bold };

/// `text` with its colour, or as it is.
std::string painted(std::string_view text, tint how, bool colour);

}  // namespace fermata::cli
