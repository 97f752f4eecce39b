// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/values.hpp"

#include "engine/store/projection.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace fermata::engine::postgres {

namespace {

/// A number that doesn't fit was changed by somebody else: `fits` becomes false.
template <class Number>
Number narrow(std::int64_t stored, bool& fits) {
  const auto value = static_cast<Number>(stored);
  if (static_cast<std::int64_t>(value) != stored) fits = false;
  return value;
}

/// [["key","value"], …], as the column lists ask for.
std::map<std::string, std::string> tags_of(std::string_view json) {
  std::map<std::string, std::string> tags;
  if (json.empty()) return tags;
  boost::system::error_code bad;
  const boost::json::value all = boost::json::parse({json.data(), json.size()}, bad);
  if (bad || !all.is_array()) return tags;
  for (const boost::json::value& one : all.get_array())
    tags.emplace(one.at(0).as_string(), one.at(1).as_string());
  return tags;
}

}  // namespace

std::string tags_as_json(const std::map<std::string, std::string>& tags) {
  if (tags.empty()) return {};
  boost::json::object all;
  // jsonb has no zero byte either.
  const auto storable = [](std::string text) {
    std::erase(text, '\0');
    return text;
  };
  for (const auto& [key, value] : tags) all.emplace(storable(key), storable(value));
  return boost::json::serialize(all);
}

encoded_event read_event(const dictionary& in, const rows& row) {
  encoded_event what;
  bool fits = true;
  what.position = static_cast<position_t>(row.integer(0));
  what.kind = static_cast<event_kind>(narrow<std::uint8_t>(row.integer(1), fits));
  what.epoch = narrow<epoch_t>(row.integer(2), fits);
  what.at = row.integer(3);
  what.operation = std::string(row.text(4));
  what.name = in.names.text(in.db, row.integer(5));
  what.place = in.names.shared(in.db, row.integer(6));
  what.flags = narrow<std::uint8_t>(row.integer(7), fits);
  what.codec = narrow<std::uint8_t>(row.integer(8), fits);
  what.key_id = narrow<std::uint32_t>(row.integer(9), fits);
  what.content_type = in.names.shared(in.db, row.integer(10));
  what.input_content_type = in.names.shared(in.db, row.integer(11));
  what.value = std::string(row.bytes(12));
  what.input = std::string(row.bytes(13));
  what.salt = row.bytes(14);
  what.digest = row.bytes(15);
  what.details = std::string(row.bytes(16));
  what.chain = row.hash(17);
  what.crc = narrow<std::uint32_t>(row.integer(18), fits);
  if (!fits) what.crc = ~what.crc;  // so that its checksum tells
  return what;
}

run_row read_run(const dictionary& in, const rows& row, int first) {
  const auto at = [first](int column) { return first + column; };
  run_row run;
  run.row = 1;  // the id is the handle; this says only that it has begun
  run.run = row.id<run_id>(at(0));
  run.space = in.spaces.text(in.db, row.integer(at(1)));
  run.workflow = in.names.text(in.db, row.integer(at(2)));
  run.queue = in.names.text(in.db, row.integer(at(3)));
  run.priority = -static_cast<int>(row.integer(at(4)));
  run.not_before = row.integer(at(5));
  run.deadline = row.integer(at(6));
  run.requested = row.integer(at(7));
  run.started = row.integer(at(8));
  run.chain = row.null(at(9)) ? run.run : row.id<run_id>(at(9));
  run.origin = row.null(at(10)) ? run.run : row.id<run_id>(at(10));
  run.parent = row.id<run_id>(at(11));
  run.parent_chain = row.id<run_id>(at(12));
  run.parent_operation = row.text(at(13));
  run.close_policy = static_cast<int>(row.integer(at(14)));
  run.key = row.text(at(15));
  run.build = in.names.text(in.db, row.integer(at(16)));
  run.format_level = static_cast<int>(row.integer(at(17)));
  run.state = static_cast<run_state>(row.integer(at(18)));
  run.ended = row.integer(at(19));
  run.error = row.text(at(20));
  run.owner = row.integer(at(21));
  run.epoch = static_cast<epoch_t>(row.integer(at(22)));
  run.attention = static_cast<attention>(row.integer(at(23)));
  run.report = row.text(at(24));
  run.waits = row.text(at(25));
  run.status = row.text(at(26));
  run.updated = row.integer(at(27));
  run.next_run = row.id<run_id>(at(28));
  run.tags = tags_of(row.text(at(29)));
  return run;
}

start_request read_request(const dictionary& in, const rows& row) {
  start_request request;
  request.run = row.id<run_id>(0);
  request.space = in.spaces.text(in.db, row.integer(1));
  request.queue = row.text(2);
  request.priority = -static_cast<int>(row.integer(3));
  request.not_before = row.integer(4);
  request.workflow = row.text(5);
  request.chain = row.null(6) ? request.run : row.id<run_id>(6);
  request.origin = row.null(7) ? request.run : row.id<run_id>(7);
  request.seed = row.bytes(8);
  request.requested = row.integer(9);
  request.not_after = row.integer(10);
  request.deadline = row.integer(11);
  request.key = row.text(12);
  request.tags = tags_of(row.text(13));
  request.parent = row.id<run_id>(14);
  request.parent_chain = row.id<run_id>(15);
  request.parent_operation = row.text(16);
  request.close_policy = static_cast<int>(row.integer(17));
  request.traceparent = row.text(18);
  request.previous_run = row.id<run_id>(19);
  request.previous_hash = row.hash(20);
  request.input = make_payload(row.text(21), row.integer(22), row.integer(23), row.bytes(24));
  return request;
}

message read_message(const rows& row) {
  message what;
  what.to = row.id<run_id>(0);
  what.seq = static_cast<std::uint64_t>(row.integer(1));
  what.id = row.id<message_id>(2);
  what.kind = static_cast<message_kind>(row.integer(3));
  what.name = row.text(4);
  what.operation = row.text(5);
  what.accepted = row.integer(6);
  what.sender = row.id<run_id>(7);
  what.value = make_payload(row.text(8), row.integer(9), row.integer(10), row.bytes(11));
  read_details(row.bytes(12), what);
  return what;
}

task_row read_task(const dictionary& in, const rows& row) {
  task_row task;
  task.run = row.id<run_id>(0);
  task.chain = row.id<run_id>(1);
  task.operation = row.text(2);
  task.epoch = static_cast<std::uint64_t>(row.integer(3));
  task.attempt = static_cast<int>(row.integer(4));
  task.space = in.spaces.text(in.db, row.integer(5));
  task.queue = row.text(6);
  task.priority = -static_cast<int>(row.integer(7));
  task.not_before = row.integer(8);
  task.step = row.text(9);
  task.key = row.text(10);
  task.undoes = row.text(11);
  task.timeout_ms = row.integer(12);
  task.heartbeat_timeout_ms = row.integer(13);
  task.give_up_at = row.integer(14);
  task.alone = row.integer(15) != 0;
  task.owner = row.integer(16);
  task.taken = row.integer(17);
  task.beat = row.integer(18);
  task.withdrawn = row.integer(19) != 0;
  task.input = make_payload(row.text(20), row.integer(21), row.integer(22), row.bytes(23));
  return task;
}

}  // namespace fermata::engine::postgres
