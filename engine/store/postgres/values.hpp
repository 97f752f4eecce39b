// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/interner.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/records.hpp"
#include "engine/store/row_values.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// Plain values as columns, and back.
namespace fermata::engine::postgres {

/// Where names and namespaces are looked up while rows are read.
struct dictionary {
  connection& db;
  interner& names;
  interner& spaces;
};

// Column lists and readers belong together.
#define FERMATA_EVENT_COLUMNS                                                                      \
  "e.position, e.kind, e.epoch, e.at, e.operation, e.name, e.place, e.flags, e.codec, e.key_id, "  \
  "e.content_type, e.input_content_type, e.value, e.input, e.salt, e.digest, e.details, e.chain, " \
  "e.crc"
inline constexpr int event_column_count = 19;
encoded_event read_event(const dictionary& in, const rows& row);

#define FERMATA_RUN_COLUMNS                                                                      \
  "r.run, r.space, r.workflow, r.queue, r.priority, r.not_before, r.deadline, r.requested, "     \
  "r.started, r.chain, r.origin, r.parent, r.parent_chain, r.parent_operation, r.close_policy, " \
  "r.key, r.build, r.format_level, r.state, r.ended, r.error, r.owner, r.epoch, r.attention, "   \
  "r.report, r.waits, r.status, r.updated, r.next_run, "                                         \
  "(SELECT array_to_json(array_agg(array[t.key, t.value]))::text FROM fermata.run_tags t "       \
  "WHERE t.run = r.run)"
constexpr int run_column_count = 30;
run_row read_run(const dictionary& in, const rows& row, int first = 0);

#define FERMATA_REQUEST_COLUMNS                                                                \
  "r.run, r.space, r.queue, r.priority, r.not_before, r.workflow, r.chain, r.origin, r.seed, " \
  "r.requested, r.not_after, r.deadline, r.key, "                                              \
  "(SELECT array_to_json(array_agg(array[t.key, t.value]))::text "                             \
  "FROM jsonb_each_text(r.tags) t), r.parent, r.parent_chain, "                                \
  "r.parent_operation, r.close_policy, r.traceparent, r.previous_run, r.previous_hash, "       \
  "r.content_type, r.input_type, r.input_flags, r.input"
start_request read_request(const dictionary& in, const rows& row);

#define FERMATA_MESSAGE_COLUMNS                                                               \
  "i.chain, i.seq, i.id, i.kind, i.name, i.operation, i.accepted, i.sender, i.content_type, " \
  "i.type, i.flags, i.value, i.details"
/// One that can't be read says so in `damage`.
message read_message(const rows& row);

#define FERMATA_TASK_COLUMNS                                                                     \
  "t.run, coalesce(r.chain, r.run), t.operation, t.epoch, t.attempt, t.space, t.queue, "         \
  "t.priority, t.not_before, t.step, t.key, t.undoes, t.timeout_ms, t.heartbeat_timeout_ms, "    \
  "t.give_up_at, t.alone, t.owner, t.taken, t.beat, t.withdrawn, t.content_type, t.input_type, " \
  "t.input_flags, t.input"
#define FERMATA_TASK_TABLES " FROM fermata.tasks t JOIN fermata.runs r ON r.run = t.run "
task_row read_task(const dictionary& in, const rows& row);

/// A JSON object of texts; empty for no tags.
std::string tags_as_json(const std::map<std::string, std::string>& tags);

inline std::string_view bytes_of(const chain_hash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

/// NULL where it is the run itself, which it mostly is.
inline ulid unless_itself(const ulid& id, const run_id& run) {
  return id == static_cast<const ulid&>(run) ? ulid{} : id;
}

}  // namespace fermata::engine::postgres
