// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/params.hpp"

#include <array>

namespace fermata::engine::postgres {

namespace {

template <std::size_t Bytes>
void put(std::string& to, std::uint64_t value) {
  std::array<char, Bytes> bytes;
  for (std::size_t i = 0; i < Bytes; ++i)
    bytes[i] = static_cast<char>(value >> (8 * (Bytes - 1 - i)));
  to.append(bytes.data(), bytes.size());
}

/// Postgres' texts have no zero byte; ours may (the message of an exception), and must not fail a batch.
void put_text(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (c == '\0')
      to += "\xef\xbf\xbd";  // U+FFFD
    else
      to += c;
  }
}

/// What stands before the elements of an array of one dimension.
void put_array(std::string& to, std::uint32_t count, bool has_null, std::uint32_t element) {
  put<4>(to, count == 0 ? 0 : 1);  // dimensions
  put<4>(to, has_null ? 1 : 0);
  put<4>(to, element);
  if (count == 0) return;
  put<4>(to, count);
  put<4>(to, 1);  // the first index
}

bool has_zero(std::string_view text) { return text.find('\0') != std::string_view::npos; }

/// The type of an array of this element.
std::uint32_t array_of(type element) {
  switch (element) {
    case type::bytes:
      return 1001;
    case type::int2:
      return 1005;
    case type::int4:
      return 1007;
    case type::int8:
      return 1016;
    case type::text:
      return 1009;
    case type::uuid:
      return 2951;
  }
  return 0;
}

}  // namespace

void column::add(std::int64_t value) {
  ++count_;
  put<4>(body_, 8);
  put<8>(body_, static_cast<std::uint64_t>(value));
}

void column::add(std::string_view value) {
  if (element_ == type::text && has_zero(value)) {
    std::string text;
    put_text(text, value);
    return add(std::string_view(text));
  }
  ++count_;
  put<4>(body_, value.size());
  body_.append(value);
}

void column::add(const ulid& value) {
  if (value.empty()) return add_null();
  add(value.view());
}

void column::add_null() {
  ++count_;
  has_null_ = true;
  put<4>(body_, 0xffffffff);
}

void column::add_or_null(std::string_view value) {
  if (value.empty()) return add_null();
  add(value);
}

void column::write_to(std::string& to) const {
  put_array(to, count_, has_null_, static_cast<std::uint32_t>(element_));
  to += body_;
}

// ---- rows ----

void records::begin_field(postgres::type what, std::size_t bytes) {
  ++fields_;
  put<4>(row_, static_cast<std::uint32_t>(what));
  put<4>(row_, bytes);
}

void records::add_int2(std::int64_t value) {
  begin_field(type::int2, 2);
  put<2>(row_, static_cast<std::uint64_t>(value));
}

void records::add_int4(std::int64_t value) {
  begin_field(type::int4, 4);
  put<4>(row_, static_cast<std::uint64_t>(value));
}

void records::add_int8(std::int64_t value) {
  begin_field(type::int8, 8);
  put<8>(row_, static_cast<std::uint64_t>(value));
}

void records::add(const ulid& value) {
  begin_field(type::uuid, value.view().size());
  row_ += value.view();
}

void records::add_text(std::string_view value) {
  std::string text;
  if (has_zero(value)) {
    put_text(text, value);
    value = text;
  }
  begin_field(type::text, value.size());
  row_ += value;
}

void records::add_bytes(const std::optional<std::string_view>& value) {
  begin_field(type::bytes, value ? value->size() : 0xffffffff);  // NULL
  if (value) row_ += *value;
}

void records::end_row() {
  ++count_;
  put<4>(body_, 4 + row_.size());
  put<4>(body_, fields_);
  body_ += row_;
  row_.clear();
  fields_ = 0;
}

void records::write_to(std::string& to) const {
  put_array(to, count_, false, type_);
  to += body_;
}

void params::begin(std::uint32_t type) {
  starts_.push_back(bytes_.size());
  types_.push_back(type);
}

void params::end() {
  lengths_.push_back(static_cast<int>(bytes_.size() - starts_.back()));
  formats_.push_back(1);
  bytes_ += '\0';  // a value of no bytes has an address, too
}

params& params::add(std::int64_t value) {
  begin(static_cast<std::uint32_t>(type::int8));
  put<8>(bytes_, static_cast<std::uint64_t>(value));
  end();
  return *this;
}

params& params::add(std::string_view text) {
  begin(static_cast<std::uint32_t>(type::text));
  if (has_zero(text))
    put_text(bytes_, text);
  else
    bytes_ += text;
  end();
  return *this;
}

params& params::add_bytes(std::string_view value) {
  begin(static_cast<std::uint32_t>(type::bytes));
  bytes_ += value;
  end();
  return *this;
}

params& params::add(const ulid& value) {
  return value.empty() ? add_null(type::uuid) : add_id(value);
}

params& params::add_id(const ulid& value) {
  begin(static_cast<std::uint32_t>(type::uuid));
  bytes_ += value.view();
  end();
  return *this;
}

params& params::add(const column& value) {
  begin(array_of(value.element()));
  value.write_to(bytes_);
  end();
  return *this;
}

params& params::add(const records& value) {
  begin(0);  // the statement says it
  value.write_to(bytes_);
  end();
  return *this;
}

params& params::add_or_null(std::string_view text) {
  return text.empty() ? add_null(type::text) : add(text);
}

params& params::add_null(postgres::type what) {
  begin(static_cast<std::uint32_t>(what));
  lengths_.push_back(-1);
  formats_.push_back(1);
  return *this;
}

const char* const* params::values() {
  values_.clear();
  for (std::size_t i = 0; i < starts_.size(); ++i)
    values_.push_back(lengths_[i] < 0 ? nullptr : bytes_.data() + starts_[i]);
  return values_.data();
}

}  // namespace fermata::engine::postgres
