// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/schema.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

namespace fermata::engine {

namespace {

using sqlite::connection;
using sqlite::use;

namespace fs = std::filesystem;

std::int64_t size_of(const std::string& path) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(bytes);
}

constexpr std::size_t findings_max = 100;

void check_integrity(connection& db, std::vector<std::string>& found) {
  use rows = db.sql("PRAGMA integrity_check(100)");
  try {
    while (rows.next()) {
      if (rows.text(0) != "ok") found.push_back(fmt::format("store damage: {}", rows.text(0)));
    }
  } catch (const store_failure& failed) {
    found.emplace_back(failed.status.message());
  }
}

/// Rows that point at nothing. Names are 0 where there is none.
void check_references(connection& db, std::vector<std::string>& found) {
  use rows = db.sql(
      "SELECT 'events of a run without a row', count(*) FROM (SELECT DISTINCT run FROM events) e "
      "WHERE NOT EXISTS(SELECT 1 FROM runs r WHERE r.id = e.run) "
      "UNION ALL SELECT 'runs without events', count(*) FROM runs r "
      "WHERE NOT EXISTS(SELECT 1 FROM events e WHERE e.run = r.id) "
      "UNION ALL SELECT 'timers of a run without a row', count(*) FROM timers t "
      "WHERE NOT EXISTS(SELECT 1 FROM runs r WHERE r.id = t.run) "
      "UNION ALL SELECT 'ready marks of a run without a row', count(*) FROM ready m "
      "WHERE NOT EXISTS(SELECT 1 FROM runs r WHERE r.id = m.run) "
      "UNION ALL SELECT 'events without their blob', count(*) FROM events e WHERE e.flags & 48 "
      "AND NOT EXISTS(SELECT 1 FROM blobs b WHERE b.run = e.run AND b.position = e.position) "
      "UNION ALL SELECT 'events with an unknown name or place', count(*) FROM events e WHERE "
      "(e.name <> 0 AND e.name NOT IN (SELECT id FROM names)) OR "
      "(e.place <> 0 AND e.place NOT IN (SELECT id FROM places)) OR "
      "(e.content_type <> 0 AND e.content_type NOT IN (SELECT id FROM names))");
  while (rows.next()) {
    if (rows.integer(1) != 0)
      found.push_back(fmt::format("store damage: {} {}", rows.integer(1), rows.text(0)));
  }
}

}  // namespace

absl::StatusOr<store_info> sqlite_store::info() const {
  using result = absl::StatusOr<store_info>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    const sqlite::schema_state schema = sqlite::read_schema(*db);
    const bool full = file_->where.durability == sqlite::durability::full;
    return store_info{.kind = "sqlite",
                      .address = file_->where.text,
                      .schema_version = schema.version,
                      .format_level = 1,
                      .written_by = schema.written_by,
                      .file_bytes = size_of(file_->where.path),
                      .wal_bytes = size_of(file_->where.path + "-wal"),
                      .durability = full ? "full" : "weak_normal",
                      .beside = file_->where.path};
  });
}

absl::StatusOr<std::vector<std::string>> sqlite_store::check_pages() const {
  using result = absl::StatusOr<std::vector<std::string>>;
  return guarded<result>([&]() -> result {
    std::vector<std::string> found;
    // A handle of its own, so that pages are read from the file and not from a cache.
    connection db(file_->where.path, {.read_only = true});
    check_integrity(db, found);
    if (!found.empty()) return found;
    check_references(db, found);
    if (const std::string missing = sqlite::missing_parts(db); !missing.empty())
      found.push_back(fmt::format("store damage: the schema lacks {}", missing));
    if (found.size() > findings_max) found.resize(findings_max);
    return found;
  });
}

}  // namespace fermata::engine
