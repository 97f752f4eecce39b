// SPDX-License-Identifier: Apache-2.0
#include "engine/utf8.hpp"

#include <fermata/detail/json_quick.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

#include <array>
#include <cmath>
#include <cstring>

namespace fermata::detail {
namespace {

/// True if one of the eight bytes has to be looked at: a control, '"', '\\', or not ASCII.
bool is_special(std::uint64_t eight) {
  constexpr std::uint64_t ones = 0x0101010101010101ULL;
  constexpr std::uint64_t highs = 0x8080808080808080ULL;
  const std::uint64_t quote = eight ^ (ones * '"');
  const std::uint64_t backslash = eight ^ (ones * '\\');
  const std::uint64_t found = (eight - ones * 0x20) | (quote - ones) | (backslash - ones) | eight;
  return (found & highs) != 0;  // may say so once too often, never once too little
}

/// ASCII that needs no escape.
bool is_plain(std::string_view text) {
  std::uint64_t eight = 0;
  for (; text.size() >= sizeof eight; text.remove_prefix(sizeof eight)) {
    std::memcpy(&eight, text.data(), sizeof eight);
    if (is_special(eight)) return false;
  }
  std::memset(&eight, ' ', sizeof eight);
  if (!text.empty()) std::memcpy(&eight, text.data(), text.size());
  return !is_special(eight);
}

void write_escape(std::string& out, char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out += "\\u00";
      out += hex[static_cast<unsigned char>(c) >> 4];
      out += hex[static_cast<unsigned char>(c) & 15];
  }
}

/// The length of the front part that can be written as it is.
std::size_t plain_length(std::string_view text) {
  if (is_plain(text)) return text.size();
  std::size_t i = 0;
  for (;;) {
    for (std::uint64_t eight; i + sizeof eight <= text.size(); i += sizeof eight) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if (is_special(eight)) break;
    }
    if (i == text.size()) return i;
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == '"' || c == '\\') return i;
    const std::size_t length = engine::utf8_length(text.substr(i));
    if (length == 0)
      throw encode_error("a text has bytes that aren't UTF-8: use fermata::bytes for those");
    i += length;
  }
}

template <class Number>
void write_finite(std::string& out, Number number) {
  if (!std::isfinite(number)) throw encode_error("a number that isn't finite");
  if (number == 0 && std::signbit(number)) {
    out += "-0.0";
    return;
  }
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out.append(text.data(), end);
}

}  // namespace

void write_text(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t plain = plain_length(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    write_escape(out, text.front());
    text.remove_prefix(1);
  }
  out += '"';
}

bool quick_reader::text(std::string& out) {
  if (at_ == end_ || *at_ != '"') return false;
  const char* const from = at_ + 1;
  const auto left = static_cast<std::size_t>(end_ - from);
  const auto* const quote = static_cast<const char*>(std::memchr(from, '"', left));
  if (quote == nullptr) return false;
  const std::string_view found(from, static_cast<std::size_t>(quote - from));
  if (!is_plain(found)) return false;
  out.assign(found);
  at_ = quote + 1;
  return true;
}

void write_number(std::string& out, double number) { write_finite(out, number); }
void write_number(std::string& out, float number) { write_finite(out, number); }

void write_json(std::string& out, const boost::json::value& value, int depth) {
  if (depth > depth_max) throw encode_error("nested deeper than 200");
  bool first = true;
  auto separate = [&] {
    if (!std::exchange(first, false)) out += ',';
  };
  switch (value.kind()) {
    case boost::json::kind::null:
      out += "null";
      break;
    case boost::json::kind::bool_:
      write(out, value.get_bool());
      break;
    case boost::json::kind::int64:
      write(out, value.get_int64());
      break;
    case boost::json::kind::uint64:
      write(out, value.get_uint64());
      break;
    case boost::json::kind::double_:
      write_number(out, value.get_double());
      break;
    case boost::json::kind::string:
      write_text(out, value.get_string());
      break;
    case boost::json::kind::array:
      out += '[';
      for (const boost::json::value& item : value.get_array())
        separate(), write_json(out, item, depth + 1);
      out += ']';
      break;
    case boost::json::kind::object:
      out += '{';
      for (const auto& item : value.get_object()) {
        separate();
        write_text(out, item.key());
        out += ':';
        write_json(out, item.value(), depth + 1);
      }
      out += '}';
      break;
  }
}

}  // namespace fermata::detail
