// SPDX-License-Identifier: Apache-2.0
#include <fermata/codec.hpp>

#include <boost/json/string.hpp>

namespace fermata {

boost::json::value codec<bytes>::to_json(const bytes& value) {
  return boost::json::string(detail::base64(value.data));
}

bytes codec<bytes>::from_json(const boost::json::value& json) {
  if (json.is_string())
    if (auto data = detail::bytes_of_base64(json.get_string())) return {std::move(*data)};
  throw decode_error("that isn't bytes in base64");
}

namespace detail {
namespace {
constexpr std::string_view digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}  // namespace

std::string base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      out += i + j > bytes.size() ? '=' : digits[three >> (18 - 6 * j) & 63];
  }
  return out;
}

std::optional<std::string> bytes_of_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) text.remove_suffix(1), ++padding;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int known = 0;
  for (char c : text) {
    const std::size_t value = digits.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    known += 6;
    if (known >= 8) {
      known -= 8;
      out += static_cast<char>(bits >> known & 0xff);
    }
  }
  return out;
}

}  // namespace detail
}  // namespace fermata
