// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace fermata::attack::power {

/// Everything that a journal's tables hold: a digest of all rows, by table.
using contents = std::map<std::string, std::uint64_t>;
/// Digests of the rows of `events`, by (run, position).
using event_rows = std::map<std::pair<std::int64_t, std::int64_t>, std::uint64_t>;

/// Looks at a journal with SQLite alone, by a connection of its own that writes nothing.
class census {
 public:
  /// `error()` says so when it can't be opened.
  explicit census(const std::string& path);
  ~census();
  census(const census&) = delete;
  census& operator=(const census&) = delete;

  contents take();
  event_rows events();
  /// What SQLite's own check finds; empty: nothing.
  std::string damage();
  const std::string& error() const noexcept { return error_; }

 private:
  sqlite3_stmt* prepare(const std::string& sql);
  bool step(sqlite3_stmt* of);

  sqlite3* db_ = nullptr;
  std::map<std::string, sqlite3_stmt*> tables_;
  std::string error_;
};

/// The tables in which they differ.
std::string difference(const contents& a, const contents& b);

}  // namespace fermata::attack::power
