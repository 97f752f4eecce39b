// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <fermata/scope.hpp>
#include <fermata/testing.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

/// What every file of scenarios needs. A scenario runs kept, evicted after every event, crashed
/// before and after each event; so a step may be entered more often than once.
namespace semantics {

using namespace std::chrono_literals;
using fermata::testing::every_way;
using fermata::testing::kit;
using fermata::testing::way;

/// The message of what `body` throws; empty when it doesn't.
template <class Body>
std::string problem_of(Body body) {
  try {
    body();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

/// The code of the `error` that `body` throws; "none" when it doesn't.
template <class Body>
std::string code_of(Body body) {
  try {
    body();
  } catch (const fermata::error& e) {
    return e.code();
  }
  return "none";
}

/// What happened outside, each thing once however often it was tried.
class outside {
 public:
  void note(const std::string& what) {
    if (known_.insert(what).second) order_.push_back(what);
  }
  bool has(const std::string& what) const { return known_.contains(what); }
  /// "refund, release"
  std::string story() const {
    std::string text;
    for (const std::string& what : order_) text += (text.empty() ? "" : ", ") + what;
    return text;
  }

 private:
  std::set<std::string> known_;
  std::vector<std::string> order_;
};

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace semantics
