// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct pg_conn;
struct pg_result;

/// Postgres as transactional steps need it: one connection, statements without names.
namespace fermata::detail {

/// A statement that failed, or a connection that is gone. Stays within src/postgres_*.cpp, which
/// decide whether to try again, and else throw the `error` that it means.
struct postgres_failure {
  std::string sqlstate;  // empty when no server said anything
  std::string said;      // one sentence, without secrets
  bool lost = false;     // the connection is gone
  bool refused = false;  // there is a server, and it doesn't want us

  bool is(std::string_view state) const noexcept { return sqlstate == state; }
  /// A serialization failure or a deadlock: the same transaction may go well next time.
  bool conflict() const noexcept { return is("40001") || is("40P01"); }
};

namespace sqlstates {
inline constexpr std::string_view unique_violation = "23505";
inline constexpr std::string_view lock_timeout = "55P03";
inline constexpr std::string_view no_permission = "42501";
inline constexpr std::string_view no_table = "42P01";
}  // namespace sqlstates

/// A parameter as the server takes it in binary form: the bytes themselves.
struct postgres_value {
  std::string_view bytes;
  unsigned type;
};
constexpr postgres_value pg_text(std::string_view value) { return {value, 25}; }
constexpr postgres_value pg_bytea(std::string_view value) { return {value, 17}; }

/// Rows of text and bytea columns.
class postgres_rows {
 public:
  explicit postgres_rows(pg_result* of) noexcept;
  int count() const noexcept;
  std::string bytes(int row, int column) const;

 private:
  struct clear {
    void operator()(pg_result* of) const noexcept;
  };
  std::unique_ptr<pg_result, clear> rows_;
};

/// Threads: one at a time.
class postgres_connection {
 public:
  /// Throws: postgres_failure, lost or refused.
  explicit postgres_connection(const std::string& address);
  ~postgres_connection();
  postgres_connection(const postgres_connection&) = delete;
  postgres_connection& operator=(const postgres_connection&) = delete;

  /// Statements without parameters, one round trip. Throws postgres_failure.
  void execute(const char* sql);
  /// One statement; its columns are text or bytea. Throws postgres_failure.
  postgres_rows ask(const std::string& sql, std::initializer_list<postgres_value> values);
  /// Ends the transaction, if there is one. False: the connection can't be used any more.
  bool roll_back() noexcept;
  /// Throws postgres_failure. When it says `lost`, the transaction may have been committed.
  void commit();

  enum class state { idle, open, failed, busy, gone };
  state now() const noexcept;
  /// The last error that the server told anybody on this connection, since `forget_error`.
  const std::string& last_error() const noexcept { return last_error_; }
  void forget_error() noexcept { last_error_.clear(); }
  postgres_failure failure(std::string_view what, const pg_result* result = nullptr) const;

  pg_conn* handle() const noexcept { return db_; }

 private:
  friend struct postgres_events;

  pg_conn* db_ = nullptr;
  std::string last_error_;  // an SQLSTATE
};

/// "database films of db.example.org": never a password. Empty when the address can't be one.
std::optional<std::string> describe_postgres(const std::string& address);

}  // namespace fermata::detail
