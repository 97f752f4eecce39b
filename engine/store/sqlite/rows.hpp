// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/projection.hpp"
#include "engine/store/records.hpp"
#include "engine/store/row_values.hpp"
#include "engine/store/sqlite/connection.hpp"

#include <span>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Rows of the tables as plain values, and back. Column lists and readers belong together.
namespace fermata::engine::sqlite {

// ---- events ----

extern const std::string event_columns;  // of `events e`
encoded_event read_event(connection& db, use& row, std::int64_t run);
void insert_event(connection& db, std::int64_t run, const encoded_event& what);
/// In this order, several by one statement, which costs half as much.
struct event_of {
  std::int64_t run = 0;
  const encoded_event* what = nullptr;
};
void insert_events(connection& db, std::span<const event_of> all);
/// When the newest event was recorded; 0: there is none. Times are told by the journal, and a
/// damaged one must not move it: one that lies ahead of `wall` counts when its checksum fits.
time_us newest_time(connection& db, time_us wall);

// ---- runs ----

extern const std::string run_columns;  // of `runs r`
/// Without tags, which lie in a table of their own: read_tags.
run_row read_run(connection& db, use& row);
void read_tags(connection& db, run_row& of);
/// Answers the new row's id. The operational part is as a new run has it.
std::int64_t insert_run(connection& db, const start_request& request, const run_row& run);

// ---- start requests ----

extern const std::string request_columns;  // of `start_requests r`
start_request read_request(connection& db, use& row);
void insert_request(connection& db, const start_request& request);
/// The request of this run, or of this chain's next run; empty `run` when there is none.
start_request find_request(connection& db, const run_id& run);
start_request find_request_of_chain(connection& db, const chain_id& chain);

// ---- tasks ----

extern const std::string task_columns;  // of `task_tables`
extern const std::string task_tables;   // " FROM tasks t …"
inline constexpr int task_columns_count = 24;
task_row read_task(connection& db, use& row);

// ---- messages ----

extern const std::string message_columns;  // of `inbox`
message read_message(connection& db, use& row, const chain_id& chain);
/// All of them in order; one that can't be read says so in `damage`.
std::vector<message> read_inbox(connection& db, const chain_id& chain);

/// A flat JSON object of texts; empty for no tags.
std::string tags_as_json(const std::map<std::string, std::string>& tags);

}  // namespace fermata::engine::sqlite
