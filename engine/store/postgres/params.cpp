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

bool has_zero(std::string_view text) { return text.find('\0') != std::string_view::npos; }

/// The type of an array of this element.
std::uint32_t array_of(type element) {
  switch (element) {
    case type::bytes:
      return 1001;
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
  put<4>(to, count_ == 0 ? 0 : 1);  // dimensions
  put<4>(to, has_null_ ? 1 : 0);
  put<4>(to, static_cast<std::uint32_t>(element_));
  if (count_ != 0) {
    put<4>(to, count_);
    put<4>(to, 1);  // the first index
  }
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
