// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Values on their way to the server, in its binary format: src/include/utils/array.h for arrays, the
/// types' receive functions for the rest. Binary arrays took 20–45 % less than text: bench/README.md.
namespace fermata::engine::postgres {

/// Types of the server, by their object ids (pg_type.dat): fixed for ever.
enum class type : std::uint32_t {
  bytes = 17,
  int8 = 20,
  int2 = 21,
  int4 = 23,
  text = 25,
  uuid = 2950
};

/// One column of many rows: an array.
class column {
 public:
  explicit column(postgres::type element) : element_(element) {}

  void add(std::int64_t value);
  void add(std::string_view value);  // of texts and bytes; as it is
  void add(const ulid& value);       // NULL when it is empty
  void add_null();
  void add_or_null(std::string_view value);  // NULL when it is empty
  template <class Value>
  void add(const std::optional<Value>& value) {
    if (value) {
      add(*value);
    } else {
      add_null();
    }
  }

  bool empty() const noexcept { return count_ == 0; }
  postgres::type element() const noexcept { return element_; }
  void write_to(std::string& to) const;

 private:
  postgres::type element_;
  std::uint32_t count_ = 0;
  bool has_null_ = false;
  std::string body_;
};

/// Whole rows: an array of a composite type (src/backend/utils/adt/rowtypes.c, record_recv). `unnest` of it
/// is one call of the server a row, of columns one a value: bench/README.md.
class records {
 public:
  /// The object id of the composite type: each database has its own.
  explicit records(std::uint32_t row_type) : type_(row_type) {}

  // The fields of a row, in the order and of the types that its type has; then its end.
  void add_int2(std::int64_t value);
  void add_int4(std::int64_t value);
  void add_int8(std::int64_t value);
  void add(const ulid& value);  // as it is, also one of zeros
  void add_text(std::string_view value);
  void add_bytes(const std::optional<std::string_view>& value);
  void end_row();

  bool empty() const noexcept { return count_ == 0; }
  void write_to(std::string& to) const;

 private:
  void begin_field(postgres::type what, std::size_t bytes);

  std::uint32_t type_;
  std::uint32_t fields_ = 0;
  std::uint32_t count_ = 0;
  std::string row_;
  std::string body_;
};

/// The parameters of one statement, $1 first.
class params {
 public:
  template <class... Values>
  explicit params(const Values&... values) {
    (add(values), ...);
  }

  params& add(std::int64_t value);
  params& add(std::string_view text);
  params& add(const char* text) { return add(std::string_view(text)); }
  params& add(const ulid& value);     // NULL when it is empty
  params& add_id(const ulid& value);  // as it is, also one of zeros
  params& add(const column& value);
  params& add(const records& value);
  params& add_bytes(std::string_view value);
  params& add_or_null(std::string_view text);  // NULL when it is empty
  params& add_null(postgres::type what);
  template <class Int>
    requires std::is_integral_v<Int>
  params& add(Int value) {
    return add(static_cast<std::int64_t>(value));
  }

  int size() const noexcept { return static_cast<int>(types_.size()); }
  const std::uint32_t* types() const noexcept { return types_.data(); }
  /// Valid until the next `add`.
  const char* const* values();
  const int* lengths() const noexcept { return lengths_.data(); }
  const int* formats() const noexcept { return formats_.data(); }

 private:
  void begin(std::uint32_t type);
  void end();

  std::string bytes_;
  std::vector<std::size_t> starts_;
  std::vector<std::uint32_t> types_;
  std::vector<int> lengths_;  // -1: NULL
  std::vector<int> formats_;
  std::vector<const char*> values_;
};

}  // namespace fermata::engine::postgres
