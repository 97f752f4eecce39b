// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/journal.pb.h"

#include <cstddef>
#include <string>
#include <string_view>

/// Texts in an event's details are UTF-8: protobuf writes others without a word and then can't read
/// what it wrote. So what comes from outside is refused at the door, and what comes from an exception
/// or another process is made UTF-8 before it enters an event or a message.
namespace fermata::engine {

/// The length of the UTF-8 sequence at the front; 0 when it isn't one.
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

/// The text itself, with U+FFFD in place of each byte that isn't UTF-8.
std::string as_utf8(std::string_view text);

/// Every text of a failure, of a cancel and of a child's end becomes UTF-8.
void make_utf8(pb::failure& why);
void make_utf8(pb::details& message);

}  // namespace fermata::engine
