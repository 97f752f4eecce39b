// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace fermata::engine::sqlite {

/// Bytes bound as a blob, of no bytes too.
struct blob {
  std::string_view bytes;
};
/// Bytes bound as a blob; NULL when there are none.
struct blob_or_null {
  std::string_view bytes;
};
/// An integer; NULL when it is 0.
struct integer_or_null {
  std::int64_t value;
};

inline blob_or_null bytes_of(const chain_hash& hash) {
  return {{reinterpret_cast<const char*>(hash.data()), hash.size()}};
}

/// One use of a prepared statement: binds, steps, reads; resets when it goes out of scope. What is
/// bound must outlive the use, since nothing is copied.
/// Threads: those of its connection.
class use {
 public:
  use(sqlite3* db, sqlite3_stmt* what) noexcept : db_(db), statement_(what) {}
  use(use&& other) noexcept : db_(other.db_), statement_(other.statement_), bound_(other.bound_) {
    other.statement_ = nullptr;
  }
  use(const use&) = delete;
  use& operator=(const use&) = delete;
  use& operator=(use&&) = delete;
  ~use();

  /// Binds the next parameters, in order.
  template <class... Values>
  use& with(const Values&... values) {
    (bind(values), ...);
    return *this;
  }
  /// Makes the statement ready to be bound and stepped again.
  use& again();

  /// Forgets the statement: its owner finalizes it.
  void let_go() noexcept { statement_ = nullptr; }

  /// True: there is a row.
  bool next();
  /// Steps to the end. Answers how many rows were changed.
  int run();

  std::int64_t integer(int column) const noexcept;
  std::string_view text(int column) const noexcept;   // empty for NULL
  std::string_view bytes(int column) const noexcept;  // empty for NULL
  bool null(int column) const noexcept;
  template <class Id>
  Id id(int column) const noexcept {
    const std::string_view found = bytes(column);
    return found.size() == 16 ? Id::of(ulid::from_view(found)) : Id{};
  }
  chain_hash hash(int column) const noexcept;
  int columns() const noexcept;

 private:
  void bind(std::integral auto value) { bind_integer(static_cast<std::int64_t>(value)); }
  void bind(std::string_view value) { bind_text(value); }
  void bind(const std::string& value) { bind_text(value); }
  void bind(const char* value) { bind_text(value); }
  void bind(blob value) { bind_blob(value.bytes); }
  void bind(blob_or_null value);
  void bind(integer_or_null value);
  void bind(std::nullptr_t) { bind_null(); }
  void bind(const ulid& value);  // NULL when empty

  void bind_integer(std::int64_t value);
  void bind_text(std::string_view value);
  void bind_blob(std::string_view value);
  void bind_null();
  void check(int rc);

  sqlite3* db_;
  sqlite3_stmt* statement_;
  int bound_ = 0;
};

}  // namespace fermata::engine::sqlite
