// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fermata::engine::postgres {

/// "postgres://orders@db.example/fermata", "postgres:///fermata?host=/run/postgresql&schema=orders".
/// Everything is libpq's (PostgreSQL documentation, 34.1.1.2), but for three options of ours:
///   schema=NAME  where the tables lie; several journals in one database. "fermata".
///   poll=MS      how often others' writes are looked for where LISTEN can't be had. 1000.
///   lanes=N      how many commits of a process may be under way at once. 4.
struct address {
  /// "host" "db1,db2": what says where, for each of several servers.
  struct list {
    std::string name;
    std::vector<std::string> of_each;
    std::string beginning_at(std::size_t first) const;
  };
  std::string text;        // as given, without the password: for people
  std::string connection;  // as libpq takes it
  std::string schema = "fermata";
  std::vector<list> hosts;  // empty: there is one
  int poll_ms = 1'000;
  int lanes = 4;
};

/// `fermata.`, which stands before each name in our statements, replaced by the schema's name.
std::string in_schema(std::string_view schema, std::string_view sql);

inline bool is_postgres_address(std::string_view text) {
  return text.starts_with("postgres://") || text.starts_with("postgresql://");
}

/// Throws store_failure (FER-2001) with what is wrong and how it should look.
address parse_address(std::string_view text);

}  // namespace fermata::engine::postgres
