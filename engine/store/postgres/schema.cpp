// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/schema.hpp"

#include "engine/failpoint.hpp"
#include "engine/store/postgres/migration_0001.hpp"
#include "engine/store/postgres/migration_0002.hpp"
#include "engine/store/postgres/partitions.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/version.hpp"

#include <fmt/format.h>

#include <array>

namespace fermata::engine::postgres {

namespace {

/// The same name for all who make or migrate a journal.
constexpr const char* lock_sql =
    "SELECT pg_advisory_xact_lock(hashtext('fermata.migrate'), hashtext($1))";
// Not to_regclass: a session that has looked before keeps that it wasn't there, until it locks a table.
constexpr const char* there_sql =
    "SELECT EXISTS(SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
    "ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname = 'fermata.schema_version')";
constexpr const char* state_sql =
    "SELECT version, written_by_min, readable_by_min, written_by FROM fermata.schema_version "
    "ORDER BY version DESC LIMIT 1";
constexpr const char* done_sql =
    "INSERT INTO fermata.schema_version(version, written_by_min, readable_by_min, written_by, at) "
    "VALUES ($1, $2, $3, $4, (extract(epoch FROM clock_timestamp()) * 1000000)::int8)";
constexpr const char* event_row_sql = "SELECT 'fermata.event_row'::regtype::oid::int8";
constexpr const char* partitions_sql = "SELECT fermata.add_partitions($1::int8::int4)";

void migrate(connection& db, const address& where, int from) {
  if (from == 0) db.script("CREATE SCHEMA IF NOT EXISTS " + where.schema);
  for (const migration& step : migrations()) {
    if (step.version <= from) continue;
    for (const char* script : step.scripts) db.script(script);
    db.run(done_sql, params(step.version, step.written_by_min, step.readable_by_min, version()));
  }
  db.run(partitions_sql, params(partitions_ahead));
}

void check_version(const schema_state& found, const address& where, bool read_only) {
  const int needed = read_only ? found.readable_by_min : found.written_by_min;
  if (found.version <= schema_version || needed <= schema_version) return;
  fail(absl::StatusCode::kFailedPrecondition, "FER-2003",
       fmt::format("{} has schema {}, made by version {}; this version knows {}: use a newer one",
                   where.text, found.version, found.written_by, schema_version));
}

void make_or_migrate(connection& db, const address& where, const open_options& options) {
  failpoint("postgres.before_migration");
  db.script("BEGIN");
  db.run(lock_sql, params(std::string_view(where.schema)));
  const schema_state found = read_schema(db);  // another may have been faster
  if (found.version < schema_version && (found.version == 0 ? options.create : options.migrate))
    migrate(db, where, found.version);
  failpoint("postgres.in_migration");
  db.script("COMMIT");
  failpoint("postgres.after_migration");
}

}  // namespace

std::span<const migration> migrations() {
  static const std::array<const char*, 5> first{migration_0001_events, migration_0001_runs,
                                                migration_0001_workers, migration_0001_views,
                                                migration_0001_calls};
  static const std::array<const char*, 2> second{migration_0002_lists, migration_0002_rows};
  static const std::array<migration, 2> all{
      migration{.version = 1, .written_by_min = 1, .readable_by_min = 1, .scripts = first},
      migration{.version = 2, .written_by_min = 1, .readable_by_min = 1, .scripts = second}};
  return all;
}

std::string migration_sql(const address& where, int from) {
  std::string all = "BEGIN;\n";
  if (from == 0) all += fmt::format("CREATE SCHEMA IF NOT EXISTS {};\n", where.schema);
  for (const migration& step : migrations()) {
    if (step.version <= from) continue;
    for (const char* script : step.scripts) all += in_schema(where.schema, script);
    all +=
        in_schema(where.schema,
                  fmt::format("INSERT INTO fermata.schema_version(version, written_by_min, "
                              "readable_by_min, written_by, at) VALUES ({}, {}, {}, '{}', "
                              "(extract(epoch FROM clock_timestamp()) * 1000000)::int8);\n",
                              step.version, step.written_by_min, step.readable_by_min, version()));
  }
  all += in_schema(where.schema,
                   fmt::format("SELECT fermata.add_partitions({});\n", partitions_ahead));
  return all + "COMMIT;\n";
}

std::string role_sql(const address& where, std::string_view role) {
  // Events may be added, and a payload erased; nothing else. Retention is for whoever owns them.
  return in_schema(where.schema,
                   fmt::format("GRANT USAGE ON SCHEMA {1} TO {0};\n"
                               "GRANT SELECT ON ALL TABLES IN SCHEMA {1} TO {0};\n"
                               "GRANT INSERT ON fermata.events TO {0};\n"
                               "GRANT INSERT, UPDATE ON fermata.runs, fermata.names, "
                               "fermata.namespaces, fermata.workers TO {0};\n"
                               "GRANT INSERT, UPDATE, DELETE ON fermata.keys, "
                               "fermata.start_requests, fermata.ready, fermata.timers, "
                               "fermata.inbox, fermata.ledger, fermata.published, "
                               "fermata.run_tags, fermata.closing, fermata.serving, "
                               "fermata.heartbeats, fermata.run_logs, fermata.tasks TO {0};\n"
                               "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {1} TO {0};\n",
                               role, where.schema));
}

std::string caller_sql(const address& where, std::string_view role) {
  return in_schema(where.schema,
                   fmt::format("GRANT USAGE ON SCHEMA {1} TO {0};\n"
                               "GRANT EXECUTE ON FUNCTION fermata.start, fermata.signal, "
                               "fermata.put_start, fermata.put_message TO {0};\n",
                               role, where.schema));
}

schema_state read_schema(connection& db) {
  schema_state found;
  rows there = db.run(there_sql);
  if (!there.next() || there.integer(0) == 0) return found;
  rows row = db.run(state_sql);
  if (!row.next()) return found;
  found.version = static_cast<int>(row.integer(0));
  found.written_by_min = static_cast<int>(row.integer(1));
  found.readable_by_min = static_cast<int>(row.integer(2));
  found.written_by = row.text(3);
  return found;
}

void prepare_schema(server& at, const open_options& options) {
  const address& where = at.where;
  schema_state found = at.read([](connection& db) { return read_schema(db); });
  const bool may_change =
      !options.read_only && (found.version == 0 ? options.create : options.migrate);
  if (found.version < schema_version && may_change) {
    try {
      at.read([&](connection& db) { make_or_migrate(db, where, options); });
    } catch (const server_failure& why) {
      if (!absl::IsPermissionDenied(why.status)) throw;
      fail(absl::StatusCode::kPermissionDenied, "FER-2107",
           fmt::format("this role may not make the journal's tables in schema {} of {}: 'fermata "
                       "migrate --print' shows the SQL for who may",
                       where.schema, where.text));
    }
    found = at.read([](connection& db) { return read_schema(db); });
  }
  if (found.version == 0)
    fail(absl::StatusCode::kNotFound, "FER-2002",
         fmt::format("there is no journal in schema {} of {}; a worker makes one, or 'fermata "
                     "migrate'",
                     where.schema, where.text));
  check_version(found, where, options.read_only);
  if (found.version < schema_version)
    fail(absl::StatusCode::kFailedPrecondition, "FER-2005",
         fmt::format("{} has schema {}, this version writes {}: 'fermata migrate' brings it up to "
                     "date",
                     where.text, found.version, schema_version));
  at.read([&](connection& db) {
    rows row = db.run(event_row_sql);
    row.next();
    at.event_row = static_cast<std::uint32_t>(row.integer(0));
  });
}

std::string missing_parts(connection& db, const address& where) {
  // What the scripts create, by their own words.
  std::string missing;
  for (const migration& step : migrations()) {
    for (const std::string_view script : step.scripts) {
      for (const std::string_view kind : {"CREATE TABLE ", "CREATE VIEW ", "CREATE TYPE "}) {
        for (std::size_t at = 0; (at = script.find(kind, at)) != std::string_view::npos;) {
          at += kind.size();
          const std::string name(script.substr(at, script.find_first_of("( \n", at) - at));
          if (!name.starts_with("fermata.") || name.find('%') != std::string::npos) continue;
          rows found = db.run_once("SELECT to_regclass($1) IS NOT NULL",
                                   params(std::string_view(in_schema(where.schema, name))));
          if (found.next() && found.integer(0) == 0)
            missing += (missing.empty() ? "" : ", ") + name.substr(8);
        }
      }
    }
  }
  return missing;
}

}  // namespace fermata::engine::postgres

namespace fermata::engine {

absl::Status empty_postgres_journal(std::string_view address) {
  return guarded<absl::Status>([&]() -> absl::Status {
    postgres::connection db(postgres::parse_address(address));
    db.script(
        "BEGIN; SET LOCAL session_replication_role = replica; "
        "DELETE FROM fermata.events; DELETE FROM fermata.runs; DELETE FROM fermata.keys; "
        "DELETE FROM fermata.start_requests; DELETE FROM fermata.ready; "
        "DELETE FROM fermata.timers; DELETE FROM fermata.inbox; DELETE FROM fermata.ledger; "
        "DELETE FROM fermata.published; DELETE FROM fermata.run_tags; DELETE FROM fermata.closing; "
        "DELETE FROM fermata.workers; DELETE FROM fermata.serving; DELETE FROM fermata.heartbeats; "
        "DELETE FROM fermata.run_logs; DELETE FROM fermata.tasks; COMMIT");
    return absl::OkStatus();
  });
}

}  // namespace fermata::engine
