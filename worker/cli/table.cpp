// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/table.hpp"

#include "worker/cli/text.hpp"

#include <algorithm>
#include <ostream>

namespace fermata::cli {

namespace {

constexpr std::size_t gap = 2;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (;;) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

std::string joined(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

constexpr std::size_t wrapped_max = 4;

/// Broken between words, the rest cut off; what follows the first line is indented.
void add_wrapped(std::string_view text, std::size_t room, std::vector<std::string>& lines) {
  std::vector<std::string> parts = wrapped(text, room > 4 ? room - 2 : room);
  if (parts.size() > wrapped_max) {
    parts.resize(wrapped_max);
    parts.back() += " …";
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    lines.push_back(truncated((i == 0 ? "" : "  ") + parts[i], room));
}

}  // namespace

table::table(std::vector<column> columns, std::size_t width, bool colour)
    : columns_(std::move(columns)), width_(width), colour_(colour) {}

void table::measure() {
  widths_.assign(columns_.size(), 0);
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size() && i < widths_.size(); ++i) {
      const std::string text = row[i].joins ? joined(row[i].text) : row[i].text;
      const std::vector<std::string_view> lines = lines_of(text);
      const std::size_t counted = columns_[i].flexible && !row[i].joins ? 1 : lines.size();
      for (std::size_t n = 0; n < counted; ++n)
        widths_[i] = std::max(widths_[i], width_of(lines[n]));
    }
  for (std::size_t i = 0; i < widths_.size(); ++i)
    widths_[i] = std::max(widths_[i], columns_[i].reserve);
  for (std::size_t i = 0; i < widths_.size(); ++i)
    if (widths_[i] != 0) widths_[i] = std::max(widths_[i], width_of(columns_[i].title));
}

std::size_t table::total() const {
  std::size_t sum = 0;
  for (const std::size_t width : widths_)
    if (width != 0) sum += width + (sum == 0 ? 0 : gap);
  return sum + indent_;
}

/// Leaves out the least wanted columns while the flexible ones, at their least, don't help.
void table::drop_columns() {
  for (;;) {
    std::size_t spare = 0;
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (columns_[i].flexible && widths_[i] > columns_[i].least)
        spare += widths_[i] - columns_[i].least;
    if (total() <= width_ + spare) return;
    std::size_t worst = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (columns_[i].drop > 0 && widths_[i] != 0 &&
          (worst == columns_.size() || columns_[i].drop > columns_[worst].drop))
        worst = i;
    if (worst == columns_.size()) return;
    widths_[worst] = 0;
  }
}

void table::make_fit() {
  for (const bool flexible : {true, false})
    for (;;) {
      if (total() <= width_) return;
      std::size_t widest = columns_.size();
      for (std::size_t i = 0; i < columns_.size(); ++i)
        if (columns_[i].flexible == flexible && widths_[i] > columns_[i].least &&
            (widest == columns_.size() || widths_[i] > widths_[widest]))
          widest = i;
      if (widest == columns_.size()) break;
      const std::size_t over = total() - width_;
      widths_[widest] -= std::min(over, widths_[widest] - columns_[widest].least);
    }
}

void table::decide() {
  if (decided_) return;
  decided_ = true;
  measure();
  if (width_ == 0) return;
  drop_columns();
  make_fit();
}

/// What a later line of this column may take: all to its right, too.
std::size_t table::room_behind(std::size_t column) const {
  std::size_t before = indent_;
  for (std::size_t i = 0; i < column; ++i)
    if (widths_[i] != 0) before += widths_[i] + gap;
  return width_ > before ? width_ - before : 1;
}

table::laid_out table::lay_out(const std::vector<cell>& row) const {
  laid_out out;
  out.lines.resize(widths_.size());
  for (std::size_t i = 0; i < row.size() && i < widths_.size(); ++i) {
    if (widths_[i] == 0) continue;
    std::vector<std::string>& lines = out.lines[i];
    if (row[i].joins) {
      std::string one = joined(row[i].text);
      if (width_ == 0 || width_of(one) <= widths_[i]) {
        lines.push_back(std::move(one));
        continue;
      }
    }
    for (const std::string_view line : lines_of(row[i].text)) {
      if (width_ == 0 || columns_[i].whole)
        lines.emplace_back(line);
      else if (lines.empty() || !columns_[i].flexible)
        lines.push_back(truncated(line, widths_[i]));
      else if (row[i].wraps)
        add_wrapped(line, room_behind(i), lines);
      else
        lines.push_back(truncated(line, room_behind(i)));
    }
    out.height = std::max(out.height, lines.size());
  }
  return out;
}

void table::print_row(std::ostream& out, const std::vector<cell>& row) const {
  const laid_out laid = lay_out(row);
  for (std::size_t n = 0; n < laid.height; ++n) {
    std::string printed;
    std::size_t owed = indent_;  // spaces, written when something follows
    bool first = true;
    for (std::size_t i = 0; i < widths_.size(); ++i) {
      if (widths_[i] == 0) continue;
      if (!first) owed += gap;
      first = false;
      const std::string text = n < laid.lines[i].size() ? laid.lines[i][n] : std::string();
      const std::size_t taken = width_of(text);
      const std::size_t pad = widths_[i] > taken ? widths_[i] - taken : 0;
      if (text.empty()) {
        owed += pad;
        continue;
      }
      printed.append(owed + (columns_[i].right ? pad : 0), ' ');
      printed +=
          painted(text, n > 0 && row[i].colour == tint::plain ? tint::dim : row[i].colour, colour_);
      owed = columns_[i].right ? 0 : pad;
    }
    out << printed << '\n';
  }
}

void table::print(std::ostream& out) {
  const bool titles = !decided_;
  decide();
  if (titles) {
    std::vector<cell> head;
    for (const column& one : columns_) head.push_back({one.title, tint::dim});
    print_row(out, head);
  }
  for (const auto& row : rows_) print_row(out, row);
  rows_.clear();
}

void card::add(std::string name, std::string text, tint colour) {
  if (!text.empty()) lines_.push_back({std::move(name), std::move(text), colour});
}

void card::print(std::ostream& out) const {
  std::size_t names = 0;
  for (const line& one : lines_) names = std::max(names, width_of(one.name));
  const std::size_t indent = names + 4;
  for (const line& one : lines_) {
    const std::size_t room = width_ > indent + 20 ? width_ - indent : 0;
    bool first = true;
    for (std::string_view part : lines_of(one.text))
      for (const std::string& text :
           room == 0 ? std::vector{std::string(part)} : wrapped(part, room)) {
        const std::string name = first ? one.name : "";
        out << "  " << painted(name, tint::dim, colour_)
            << std::string(names - width_of(name) + 2, ' ') << painted(text, one.colour, colour_)
            << '\n';
        first = false;
      }
  }
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!line.empty() && width_of(line) + 1 + width_of(word) > columns) {
      lines.push_back(line);
      line.clear();
    } else if (!line.empty()) {
      line += ' ';
    }
    line += word;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!line.empty() || lines.empty()) lines.push_back(line);
  return lines;
}

}  // namespace fermata::cli
