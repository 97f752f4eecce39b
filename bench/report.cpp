// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace fermata::bench {

line::line(std::string workload) { put("workload", workload); }

line& line::put(std::string_view name, double value, int decimals) {
  char text[64] = "null";  // a ratio to nothing: a probe may complete nothing in very short times
  if (std::isfinite(value)) std::snprintf(text, sizeof text, "%.*f", decimals, value);
  fields_.emplace_back(name, text);
  return *this;
}

line& line::put(std::string_view name, std::string_view text) {
  fields_.emplace_back(name, '"' + std::string(text) + '"');
  return *this;
}

std::string line::json() const {
  std::string text;
  for (const auto& [name, value] : fields_)
    text += (text.empty() ? "{\"" : ",\"") + name + "\":" + value;
  return text + "}";
}

void report::add(line what) {
  if (!as_table_) {
    std::printf("%s\n", what.json().c_str());
    std::fflush(stdout);
  }
  lines_.push_back(std::move(what));
}

/// Lines with the same names share a head.
report::~report() {
  if (!as_table_) return;
  std::string head_before;
  for (const line& one : lines_) {
    std::string head;
    std::string row;
    for (const auto& [name, value] : one.fields()) {
      std::string cell = value;
      std::erase(cell, '"');
      const std::size_t width = std::max(name.size(), cell.size()) + 2;
      head += name + std::string(width - name.size(), ' ');
      row += cell + std::string(width - cell.size(), ' ');
    }
    if (head != head_before) std::printf("\n%s\n", head.c_str());
    std::printf("%s\n", row.c_str());
    head_before = head;
  }
}

double percentile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size()));
  return values[std::min(at, values.size() - 1)];
}

double median(std::vector<double> values) { return percentile(values, 0.5); }

}  // namespace fermata::bench
