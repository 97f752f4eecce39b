// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace fermata::runtime {

/// The backtrace of a black box with the names of functions, as far as this process has loaded the
/// very same files (by their build ids), and these have symbols:
///
///     program+0x1a2b [1f3a09bc]   →   decode(std::string const&)+0x1f (program+0x1a2b)
///
/// What isn't known stays as it was. At most 32 frames, and 160 bytes a name; how many were left out
/// is said at the end. Reads files: not for signal handlers.
std::string named_frames(std::string_view backtrace);

}  // namespace fermata::runtime
