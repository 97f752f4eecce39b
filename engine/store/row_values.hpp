// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/records.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Values as the columns of a database hold them, the same in every store that has one.
namespace fermata::engine {

/// The `flags` beside a payload's bytes.
int payload_flags(const payload& what);
payload make_payload(std::string_view content_type, std::int64_t type, std::int64_t flags,
                     std::string_view bytes);

/// A message's `details`; when they can't be read, `damage` says so.
void read_details(std::string_view bytes, message& to);

/// Of a list that is kept as a text, one a line.
std::vector<std::string> lines_of(std::string_view text);

/// Why a run with such a message is blocked, and what to do.
std::string unreadable_message(const run_id& run, const message& bad);

}  // namespace fermata::engine
