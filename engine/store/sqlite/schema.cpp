// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/schema.hpp"

#include "engine/planted.hpp"
#include "engine/store/sqlite/connection.hpp"
#include "engine/store/sqlite/migration_0001.hpp"
#include "engine/store/sqlite/migration_0002.hpp"
#include "engine/store/sqlite/migration_0003.hpp"
#include "engine/version.hpp"

#include <sqlite3.h>

#include <array>
#include <set>

namespace fermata::engine::sqlite {

std::span<const migration> migrations() {
  static const std::array<const char*, 4> first{migration_0001_events, migration_0001_runs,
                                                migration_0001_workers, migration_0001_views};
  static const std::array<const char*, 1> second{migration_0002_tasks};
  static const std::array<const char*, 1> third{migration_0003_lists};
  static const std::array<migration, 3> all{
      migration{.version = 1, .written_by_min = 1, .readable_by_min = 1, .scripts = first},
      migration{.version = 2, .written_by_min = 2, .readable_by_min = 1, .scripts = second},
      migration{.version = 3, .written_by_min = 2, .readable_by_min = 1, .scripts = third}};
  return all;
}

schema_state read_schema(connection& db) {
  schema_state found;
  if (!db.sql("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").next()) return found;
  use row = db.sql(
      "SELECT version, written_by_min, readable_by_min, written_by FROM schema_version "
      "ORDER BY version DESC LIMIT 1");
  if (!row.next()) return found;
  found.version = static_cast<int>(row.integer(0));
  found.written_by_min = static_cast<int>(row.integer(1));
  found.readable_by_min = static_cast<int>(row.integer(2));
  found.written_by = row.text(3);
  return found;
}

void migrate(connection& db, int from, time_us now) {
  for (const migration& step : migrations()) {
    if (step.version <= from) continue;
    for (const char* script : step.scripts) db.script(script);
    if (planted("sqlite_trigger_missing")) db.script("DROP TRIGGER IF EXISTS events_never_change");
    db.sql(
          "INSERT INTO schema_version(version, written_by_min, readable_by_min, written_by, at) "
          "VALUES (?1, ?2, ?3, ?4, ?5)")
        .with(step.version, step.written_by_min, step.readable_by_min, version(), now)
        .run();
  }
}

namespace {

std::set<std::string> parts_of(connection& db) {
  std::set<std::string> found;
  use rows = db.sql("SELECT type || ' ' || name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'");
  while (rows.next()) found.emplace(rows.text(0));
  return found;
}

}  // namespace

std::string missing_parts(connection& db) {
  connection ours(":memory:", {.create = true});
  migrate(ours, 0, 0);
  const std::set<std::string> there = parts_of(db);
  std::string missing;
  for (const std::string& part : parts_of(ours)) {
    if (!there.contains(part)) missing += (missing.empty() ? "" : ", ") + part;
  }
  return missing;
}

}  // namespace fermata::engine::sqlite
