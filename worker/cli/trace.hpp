// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <boost/json/object.hpp>

#include <optional>
#include <string>
#include <vector>

namespace fermata::cli {

/// A run, or one of its operations.
struct trace_node {
  enum class standing { waiting, working, done, failed, cancelled } how = standing::working;
  std::string kind;  // run, step, timer, signal, child …
  std::string name;
  std::string operation;
  std::string note;  // "attempt 3 in 2s: carrier_down", "until …"
  std::string place;
  int attempts = 0;
  engine::time_us since = 0;
  std::optional<std::int64_t> took_us;
  std::optional<engine::run_row> run;  // of a run or child
  std::vector<trace_node> below;
};

struct trace_shape {
  int depth = 10;  // generations of children
  bool fold =
      false;  // finished operations of one kind become one line, finished children are closed
};

trace_node trace_of(session& s, const engine::run_row& row, const trace_shape& shape);

/// Lines with colours, none wider than `width` (0: any).
std::vector<std::string> draw(session& s, const trace_node& root, std::size_t width);
boost::json::object trace_json(session& s, const trace_node& node);

}  // namespace fermata::cli
