// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/postgres/schema.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <utility>

namespace fermata::engine {

namespace {

using postgres::connection;
using postgres::params;
using postgres::rows;

constexpr const char* references_sql =
    "SELECT 'events of a run without a row', (SELECT count(*) FROM "
    "  (SELECT DISTINCT e.run FROM fermata.events e) e "
    "  WHERE NOT EXISTS(SELECT 1 FROM fermata.runs r WHERE r.run = e.run)) "
    "UNION ALL SELECT 'runs without events', count(*) FROM fermata.runs r "
    "  WHERE NOT EXISTS(SELECT 1 FROM fermata.events e WHERE e.run = r.run) "
    "UNION ALL SELECT 'timers of a run without a row', count(*) FROM fermata.timers t "
    "  WHERE NOT EXISTS(SELECT 1 FROM fermata.runs r WHERE r.run = t.run) "
    "UNION ALL SELECT 'ready marks of a run without a row', count(*) FROM fermata.ready m "
    "  WHERE NOT EXISTS(SELECT 1 FROM fermata.runs r WHERE r.run = m.run) "
    "UNION ALL SELECT 'events with an unknown name or place', count(*) FROM fermata.events e WHERE "
    "  (e.name <> 0 AND NOT EXISTS(SELECT 1 FROM fermata.names n WHERE n.id = e.name)) OR "
    "  (e.place <> 0 AND NOT EXISTS(SELECT 1 FROM fermata.names n WHERE n.id = e.place)) OR "
    "  (e.content_type <> 0 AND NOT EXISTS(SELECT 1 FROM fermata.names n "
    "    WHERE n.id = e.content_type))";

constexpr const char* size_sql =
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'";

}  // namespace

absl::StatusOr<store_info> postgres_store::info() const {
  using result = absl::StatusOr<store_info>;
  return guarded<result>([&]() -> result {
    postgres::journal_parts& parts = *parts_;
    store_info info{.kind = "postgres", .address = parts.at.where.text};
    parts.at.read([&](connection& db) {
      const postgres::schema_state schema = read_schema(db);
      info.schema_version = schema.version;
      info.written_by = schema.written_by;
      rows size = db.run(size_sql, params(std::string_view(parts.at.where.schema)));
      size.next();
      info.file_bytes = size.integer(0);
      // Our transactions say synchronous_commit themselves; only the server can have fsync off.
      info.durability = db.server().fsync ? "full" : "weak: the server runs with fsync = off";
    });
    info.beside = parts.folder().path + "/journal";
    return info;
  });
}

absl::StatusOr<std::vector<std::string>> postgres_store::check_pages() const {
  using result = absl::StatusOr<std::vector<std::string>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) {
      std::vector<std::string> found;
      if (const std::string missing = missing_parts(db, parts_->at.where); !missing.empty()) {
        found.push_back(fmt::format("store damage: the schema lacks {}", missing));
        return found;
      }
      rows counts = db.run(references_sql);
      while (counts.next())
        if (counts.integer(1) != 0)
          found.push_back(fmt::format("store damage: {} {}", counts.integer(1), counts.text(0)));
      return found;
    });
  });
}

absl::Status postgres_store::backup(const std::string&, bool) const {
  return coded(absl::StatusCode::kFailedPrecondition, "FER-2104",
               fmt::format("a journal on Postgres is backed up with the database's own tools: "
                           "'pg_dump -n {} …' for a copy, pg_basebackup and WAL archiving for a "
                           "point in time",
                           parts_->at.where.schema));
}

}  // namespace fermata::engine
