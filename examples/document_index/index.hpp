// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "documents.hpp"

/// The index: a SQLite file of its own, beside the journal.
namespace documents {

/// Makes its tables if they aren't there. `indexed` has a row for each time that a file was added:
/// nothing in it is unique, so a file that was added twice would show.
void make_index(const std::string& file);

// The transactional steps: one call is one transaction, which also keeps the call's outcome.
void add(sqlite3& index, const document& found);
totals sum(sqlite3& index);
std::vector<hit> search(sqlite3& index, const std::string& words);

}  // namespace documents
