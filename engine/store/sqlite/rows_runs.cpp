// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/rows.hpp"

#include <sqlite3.h>

namespace fermata::engine::sqlite {

const std::string run_columns =
    "r.id, r.run, r.space, r.workflow, r.queue, r.priority, r.not_before, r.deadline, r.requested, "
    "r.started, r.chain, r.origin, r.parent, r.parent_chain, r.parent_operation, r.close_policy, "
    "r.key, r.build, r.format_level, r.state, r.ended, r.error, r.owner, r.epoch, r.attention, "
    "r.report, r.waits, r.status, r.updated, r.next_run";

run_row read_run(connection& db, use& row) {
  run_row run;
  run.row = row.integer(0);
  run.run = row.id<run_id>(1);
  run.space = db.spaces.text(row.integer(2));
  run.workflow = db.names.text(row.integer(3));
  run.queue = db.names.text(row.integer(4));
  run.priority = -static_cast<int>(row.integer(5));
  run.not_before = row.integer(6);
  run.deadline = row.integer(7);
  run.requested = row.integer(8);
  run.started = row.integer(9);
  run.chain = row.null(10) ? run.run : row.id<run_id>(10);
  run.origin = row.null(11) ? run.run : row.id<run_id>(11);
  run.parent = row.id<run_id>(12);
  run.parent_chain = row.id<run_id>(13);
  run.parent_operation = row.text(14);
  run.close_policy = static_cast<int>(row.integer(15));
  run.key = row.text(16);
  run.build = db.names.text(row.integer(17));
  run.format_level = static_cast<int>(row.integer(18));
  run.state = static_cast<run_state>(row.integer(19));
  run.ended = row.integer(20);
  run.error = row.text(21);
  run.owner = row.integer(22);
  run.epoch = static_cast<epoch_t>(row.integer(23));
  run.attention = static_cast<attention>(row.integer(24));
  run.report = row.text(25);
  run.waits = row.text(26);
  run.status = row.text(27);
  run.updated = row.integer(28);
  run.next_run = row.id<run_id>(29);
  return run;
}

void read_tags(connection& db, run_row& of) {
  use rows = db.sql("SELECT key, value FROM run_tags WHERE run = ?1");
  rows.with(of.row);
  while (rows.next()) of.tags.emplace(rows.text(0), rows.text(1));
}

namespace {

/// Text, or NULL when empty: most runs have none of these.
void bind_optional(use& to, std::string_view text) {
  if (text.empty()) {
    to.with(nullptr);
  } else {
    to.with(text);
  }
}

/// NULL where it is the run itself, which it mostly is.
ulid unless_itself(const ulid& id, const run_id& run) {
  return id == static_cast<const ulid&>(run) ? ulid{} : id;
}

}  // namespace

std::int64_t insert_run(connection& db, const start_request& request, const run_row& run) {
  const std::string name = run.run.text();
  const ulid chain = unless_itself(run.chain, run.run);
  const ulid origin = unless_itself(run.origin, run.run);
  use insert = db.sql(
      "INSERT INTO runs(run, name, space, workflow, queue, priority, not_before, deadline, "
      "requested, started, chain, origin, parent, parent_chain, close_policy, build, format_level, "
      "state, owner, epoch, updated, parent_operation, key, traceparent) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
      "?19, ?20, ?21, ?22, ?23, ?24)");
  insert.with(run.run, name, db.spaces.id_of(run.space), db.names.id_of(run.workflow),
              db.names.id_of(run.queue), -run.priority, run.not_before, run.deadline, run.requested,
              run.started, chain, origin, run.parent, run.parent_chain, run.close_policy,
              db.names.id_of(run.build), run.format_level, static_cast<int>(run.state), run.owner,
              run.epoch, run.updated);
  bind_optional(insert, run.parent_operation);
  bind_optional(insert, run.key);
  bind_optional(insert, request.traceparent);
  insert.run();
  // RETURNING is a trigger to SQLite, which would keep a copy of each page that the row goes to.
  return sqlite3_last_insert_rowid(db.handle());
}

const std::string request_columns =
    "r.run, r.space, r.queue, r.priority, r.not_before, r.workflow, r.chain, r.origin, r.seed, "
    "r.requested, r.not_after, r.deadline, r.key, r.tags, r.parent, r.parent_chain, "
    "r.parent_operation, r.close_policy, r.traceparent, r.previous_run, r.previous_hash, "
    "r.content_type, r.input_type, r.input_flags, r.input";

start_request read_request(connection& db, use& row) {
  start_request request;
  request.run = row.id<run_id>(0);
  request.space = db.spaces.text(row.integer(1));
  request.queue = db.names.text(row.integer(2));
  request.priority = -static_cast<int>(row.integer(3));
  request.not_before = row.integer(4);
  request.workflow = db.names.text(row.integer(5));
  request.chain = row.null(6) ? request.run : row.id<run_id>(6);
  request.origin = row.null(7) ? request.run : row.id<run_id>(7);
  request.seed = row.bytes(8);
  request.requested = row.integer(9);
  request.not_after = row.integer(10);
  request.deadline = row.integer(11);
  request.key = row.text(12);
  if (!row.null(13)) {
    use tags = db.sql("SELECT key, value FROM json_each(?1)");
    const std::string text(row.text(13));
    tags.with(text);
    while (tags.next()) request.tags.emplace(tags.text(0), tags.text(1));
  }
  request.parent = row.id<run_id>(14);
  request.parent_chain = row.id<run_id>(15);
  request.parent_operation = row.text(16);
  request.close_policy = static_cast<int>(row.integer(17));
  request.traceparent = row.text(18);
  request.previous_run = row.id<run_id>(19);
  request.previous_hash = row.hash(20);
  request.input =
      make_payload(db.names.text(row.integer(21)), row.integer(22), row.integer(23), row.bytes(24));
  return request;
}

void insert_request(connection& db, const start_request& request) {
  const std::string name = request.run.text();
  const std::string tags = tags_as_json(request.tags);
  const ulid chain = unless_itself(request.chain, request.run);
  const ulid origin = unless_itself(request.origin, request.run);
  use insert = db.sql(
      "INSERT INTO start_requests(run, name, space, queue, priority, not_before, workflow, chain, "
      "origin, seed, requested, not_after, deadline, parent, parent_chain, close_policy, "
      "previous_run, previous_hash, content_type, input_type, input_flags, input, key, tags, "
      "parent_operation, traceparent) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
      "?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)");
  insert.with(request.run, name, db.spaces.id_of(request.space), db.names.id_of(request.queue),
              -request.priority, request.not_before, db.names.id_of(request.workflow), chain,
              origin, blob{request.seed}, request.requested, request.not_after, request.deadline,
              request.parent, request.parent_chain, request.close_policy, request.previous_run);
  if (request.previous_run.empty()) {
    insert.with(nullptr);
  } else {
    insert.with(bytes_of(request.previous_hash));
  }
  insert.with(db.names.id_of(request.input.content_type.str()),
              static_cast<std::int64_t>(request.input.type), payload_flags(request.input),
              blob{request.input.bytes});
  bind_optional(insert, request.key);
  bind_optional(insert, tags);
  bind_optional(insert, request.parent_operation);
  bind_optional(insert, request.traceparent);
  insert.run();
}

start_request find_request(connection& db, const run_id& run) {
  static const std::string sql =
      "SELECT " + request_columns + " FROM start_requests r WHERE r.run = ?1";
  use row = db.sql(sql.c_str());
  return row.with(run).next() ? read_request(db, row) : start_request{};
}

start_request find_request_of_chain(connection& db, const chain_id& chain) {
  static const std::string continued =
      "SELECT " + request_columns + " FROM start_requests r WHERE r.chain = ?1";
  {
    use row = db.sql(continued.c_str());
    if (row.with(chain).next()) return read_request(db, row);
  }
  return find_request(db, chain);
}

}  // namespace fermata::engine::sqlite
