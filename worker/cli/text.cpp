// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::cli {

namespace {

struct glyph {
  char32_t code = 0;
  std::size_t bytes = 1;
};

/// The first character. A byte that isn't UTF-8 counts as one.
glyph first_of(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (lead < 0x80 || lead < 0xc2 || lead > 0xf4 || size > text.size()) return {lead, 1};
  char32_t code = lead & (0xff >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {lead, 1};
    code = (code << 6) | (at(i) & 0x3f);
  }
  return {code, size};
}

constexpr bool in(char32_t code, char32_t first, char32_t last) {
  return code >= first && code <= last;
}

std::size_t columns_of(char32_t code) {
  if (in(code, 0x300, 0x36f) || in(code, 0x200b, 0x200f) || in(code, 0xfe00, 0xfe0f)) return 0;
  const bool wide =
      in(code, 0x1100, 0x115f) || in(code, 0x2e80, 0xa4cf) || in(code, 0xac00, 0xd7a3) ||
      in(code, 0xf900, 0xfaff) || in(code, 0xfe30, 0xfe6f) || in(code, 0xff00, 0xff60) ||
      in(code, 0xffe0, 0xffe6) || in(code, 0x1f300, 0x1faff) || in(code, 0x20000, 0x3fffd);
  return wide ? 2 : 1;
}

/// Letters to change, insert, remove or swap with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const glyph one = first_of(text);
    width += columns_of(one.code);
    text.remove_prefix(one.bytes);
  }
  return width;
}

std::string truncated(std::string_view text, std::size_t columns) {
  if (text.size() <= columns || width_of(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::size_t width = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    const glyph one = first_of(text.substr(end));
    if (width + columns_of(one.code) > columns - 1) break;
    width += columns_of(one.code);
    end += one.bytes;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string clean(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const glyph one = first_of(text);
    if (one.code == '\n')
      out += "\\n";
    else if (one.code == '\t')
      out += "\\t";
    else if (one.code < 0x20 || in(one.code, 0x7f, 0x9f) || in(one.code, 0x202a, 0x202e) ||
             in(one.code, 0x2066, 0x2069) || (one.bytes == 1 && one.code >= 0x80))
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(one.code));
    else
      out += text.substr(0, one.bytes);
    text.remove_prefix(one.bytes);
  }
  return out;
}

std::vector<std::string> lines_in(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string clean_lines(std::string_view text) {
  std::vector<std::string> lines = lines_in(text);
  for (std::string& line : lines) line = clean(line);
  return join(lines, "\n");
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB"};
  double size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < units.size()) {
    size /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", size, units[unit]);
}

std::string count_of(std::int64_t n, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", n, n == 1 ? one : many);
}

std::string count_of(std::int64_t n, std::string_view one) {
  return count_of(n, one, std::string(one) + "s");
}

std::vector<std::string> near_names(std::string_view typed, const std::vector<std::string>& known) {
  std::vector<std::pair<std::size_t, std::string>> found;
  for (const std::string& name : known) {
    const std::size_t far = distance(typed.substr(0, 64), std::string_view(name).substr(0, 64));
    const bool begins = typed.size() >= 2 && std::string_view(name).starts_with(typed);
    if (begins || far <= 1 + typed.size() / 4) found.emplace_back(begins ? 0 : far, name);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < found.size() && i < 3; ++i) names.push_back(found[i].second);
  return names;
}

std::string did_you_mean(const std::vector<std::string>& near) {
  if (near.empty()) return {};
  std::vector<std::string> quoted;
  for (const std::string& name : near) quoted.push_back("'" + clean(name) + "'");
  return ", did you mean " + join(quoted, " or ") + "?";
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += between;
    out += part;
  }
  return out;
}

}  // namespace fermata::cli
