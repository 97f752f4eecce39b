// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/records.hpp"
#include "worker/cli/times.hpp"

#include <boost/json/object.hpp>

#include <iosfwd>
#include <string>
#include <string_view>

/// Documents for programs. Each has a `$type` that never changes its meaning; members may be added.
/// Nothing in them is ever cut off.
namespace fermata::cli {

boost::json::object document(std::string_view type);

/// In one line; numbers as people write them. What isn't UTF-8 is shown as U+FFFD.
std::string compact(const boost::json::value& what);
/// Indented, a member a line.
void print_json(std::ostream& out, const boost::json::value& what);
/// One line.
void print_line(std::ostream& out, const boost::json::value& what);

/// How values are written: `reveal` shows those of sensitive types.
struct showing {
  bool reveal = false;
  time_style times = time_style::iso;
};

boost::json::value time_json(engine::time_us at, const showing& how);  // null for 0
/// JSON as it is, text as a string, other bytes as base64 with their content type; "‹sensitive, 120
/// B›" and "‹erased›" where there is nothing to see. Null when there is none.
boost::json::value payload_json(const engine::payload& value, const showing& how);
/// The same for people, in one line.
std::string payload_text(const engine::payload& value, bool reveal);

boost::json::value failure_json(const pb::failure& why);
/// "carrier_down: no pickup today"
std::string failure_text(const pb::failure& why);

boost::json::object run_json(const engine::run_row& row, const showing& how);
boost::json::object event_json(const engine::run_id& run, const engine::event& what,
                               const showing& how);

}  // namespace fermata::cli
