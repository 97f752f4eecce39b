// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/failure.hpp"

#include <string_view>

struct sqlite3;

namespace fermata::engine::sqlite {

using engine::fail;

/// What SQLite's error means to a caller: the codes 21xx, with a sentence.
absl::Status status_of(sqlite3* db, int rc, std::string_view what);

/// Throws `store_failure` with status_of.
[[noreturn]] void fail(sqlite3* db, int rc, std::string_view what);

}  // namespace fermata::engine::sqlite
