// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/plain_connection.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fermata::bench {

inline constexpr unsigned oid_bytea = 17, oid_int8 = 20, oid_uuid = 2950;

/// Appends a number as Postgres' binary forms have it.
void put_number(std::string& to, std::uint64_t value, int bytes);

/// The id of a run: 16 bytes, ascending.
std::string uuid_of(std::int64_t run);

/// An array of one dimension, as text or in Postgres' binary form (src/include/utils/array.h: number
/// of dimensions, flags, element type, length, lower bound; then each element with its length).
class postgres_array {
 public:
  postgres_array(bool binary, unsigned element) : binary_(binary), element_(element) {}
  void add(std::string_view bytes);
  void add(std::int64_t number);
  std::string whole() const;
  std::size_t count() const noexcept { return count_; }
  bool binary() const noexcept { return binary_; }

 private:
  const bool binary_;
  const unsigned element_;
  std::size_t count_ = 0;
  std::string body_;
};

/// Prepared statements, several in one round trip.
class postgres_pipeline {
 public:
  /// In this schema, and as durable as the engine.
  postgres_pipeline(const std::string& address, const std::string& schema);

  void prepare(const char* name, const char* sql);
  void enter();
  void send(const char* name, std::initializer_list<const postgres_array*> given);
  /// Waits until all that was sent is done.
  void finish();
  PGconn* get() const noexcept { return connection_.get(); }

 private:
  plain_connection connection_;
  int sent_ = 0;
};

}  // namespace fermata::bench
