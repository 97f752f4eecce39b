// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::bench {

/// One measurement: names and numbers in the order they were put.
class line {
 public:
  explicit line(std::string workload);
  line& put(std::string_view name, double value, int decimals = 2);
  line& put(std::string_view name, std::string_view text);
  std::string json() const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;  // values as JSON
};

/// Where measurements go: JSON lines at once, or a table per workload at the end.
class report {
 public:
  explicit report(bool as_table) : as_table_(as_table) {}
  ~report();
  report(const report&) = delete;
  void add(line what);

 private:
  const bool as_table_;
  std::vector<line> lines_;
};

/// `part` of 1: 0.5 is the median. Sorts; 0 when there is nothing.
double percentile(std::vector<double>& values, double part);
double median(std::vector<double> values);

}  // namespace fermata::bench
