// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/failure.hpp"

#include <cstdint>
#include <string_view>

struct sqlite3;

namespace fermata::engine::sqlite {

using engine::fail;

/// What SQLite's error means to a caller: the codes 21xx, with a sentence.
absl::Status status_of(sqlite3* db, int rc, std::string_view what);

/// Throws `store_failure` with status_of.
[[noreturn]] void fail(sqlite3* db, int rc, std::string_view what);

/// The key of the next row, which lies above the last. SQLite follows the pointers of a damaged file wherever they
/// lead, and who reads on from the last row might do so for ever: throws FER-2103 when it doesn't lie above.
std::int64_t next_key(std::int64_t last, std::int64_t key, std::string_view what);

}  // namespace fermata::engine::sqlite
