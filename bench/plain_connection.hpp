// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

using PGconn = struct pg_conn;

namespace fermata::bench {

/// libpq without an engine. What goes wrong ends the program with what the server said.
class plain_connection {
 public:
  explicit plain_connection(const std::string& address);
  ~plain_connection();
  plain_connection(const plain_connection&) = delete;

  /// Statements, of which the answers don't matter.
  void script(const std::string& sql);
  /// The first column of the first row.
  std::string text(const std::string& sql);
  std::int64_t number(const std::string& sql);
  PGconn* get() const noexcept { return db_; }
  [[noreturn]] void fail(const char* what) const;

 private:
  PGconn* const db_;
};

}  // namespace fermata::bench
