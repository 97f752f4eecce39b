// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

struct sqlite3;

/// Connections of others to a journal's file.
namespace fermata::engine::sqlite {

/// Throws store_failure (FER-3001) when `theirs` is to another database than the file `journal`.
void check_same_file(sqlite3* theirs, const std::string& journal);

}  // namespace fermata::engine::sqlite
