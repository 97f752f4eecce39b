// SPDX-License-Identifier: Apache-2.0
#include "engine/store/projection.hpp"
#include "engine/store/sqlite/rows.hpp"

#include <fmt/format.h>

namespace fermata::engine::sqlite {

namespace {

void append_json_text(std::string& to, std::string_view text) {
  to += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      to += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      to += c;
    }
  }
  to += '"';
}

}  // namespace

const std::string message_columns =
    "seq, id, kind, name, operation, accepted, sender, content_type, type, flags, value, details";

message read_message(connection& db, use& row, const chain_id& chain) {
  message what;
  what.to = chain;
  what.seq = static_cast<std::uint64_t>(row.integer(0));
  what.id = row.id<message_id>(1);
  what.kind = static_cast<message_kind>(row.integer(2));
  what.name = db.names.text(row.integer(3));
  what.operation = row.text(4);
  what.accepted = row.integer(5);
  what.sender = row.id<run_id>(6);
  what.value =
      make_payload(db.names.text(row.integer(7)), row.integer(8), row.integer(9), row.bytes(10));
  read_details(row.bytes(11), what);
  return what;
}

std::vector<message> read_inbox(connection& db, const chain_id& chain) {
  static const std::string sql =
      "SELECT " + message_columns + " FROM inbox WHERE chain = ?1 ORDER BY seq";
  std::vector<message> found;
  use rows = db.sql(sql.c_str());
  rows.with(chain);
  while (rows.next()) found.push_back(read_message(db, rows, chain));
  return found;
}

const std::string task_columns =
    "r.run, coalesce(r.chain, r.run), t.operation, t.epoch, t.attempt, t.space, t.queue, "
    "t.priority, t.not_before, t.step, t.key, t.undoes, t.timeout_ms, t.heartbeat_timeout_ms, "
    "t.give_up_at, t.alone, t.owner, t.taken, t.beat, t.withdrawn, t.content_type, t.input_type, "
    "t.input_flags, t.input";
const std::string task_tables = " FROM tasks t JOIN runs r ON r.id = t.run ";

task_row read_task(connection& db, use& row) {
  task_row task;
  task.run = row.id<run_id>(0);
  task.chain = row.id<run_id>(1);
  task.operation = row.text(2);
  task.epoch = static_cast<std::uint64_t>(row.integer(3));
  task.attempt = static_cast<int>(row.integer(4));
  task.space = db.spaces.text(row.integer(5));
  task.queue = db.names.text(row.integer(6));
  task.priority = -static_cast<int>(row.integer(7));
  task.not_before = row.integer(8);
  task.step = db.names.text(row.integer(9));
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
  task.input =
      make_payload(db.names.text(row.integer(20)), row.integer(21), row.integer(22), row.bytes(23));
  return task;
}

std::string tags_as_json(const std::map<std::string, std::string>& tags) {
  if (tags.empty()) return {};
  std::string text = "{";
  for (const auto& [key, value] : tags) {
    if (text.size() > 1) text += ',';
    append_json_text(text, key);
    text += ':';
    append_json_text(text, value);
  }
  return text + "}";
}

}  // namespace fermata::engine::sqlite
