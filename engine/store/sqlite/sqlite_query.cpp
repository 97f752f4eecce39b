// SPDX-License-Identifier: Apache-2.0
// `fermata sql`: statements that read, and of payloads only what the views show of them.
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fermata::engine {

namespace {

using sqlite::connection;

/// What the authorizer knows of one statement.
struct reader {
  payloads shown;
  std::string prefix;   // of the views that may read payloads
  std::string payload;  // the column that was refused
};

bool is(const char* text, const char* name) {
  return text != nullptr && sqlite3_stricmp(text, name) == 0;
}

/// Columns that hold a payload or tell of one. Whether it is of a sensitive type, the row says.
bool holds_payload(const char* table, const char* column) {
  struct place {
    const char *table, *column;
  };
  constexpr place all[] = {
      {"events", "value"},      {"events", "input"},         {"blobs", "bytes"},
      {"inbox", "value"},       {"start_requests", "input"}, {"heartbeats", "details"},
      {"keys", "input_digest"}, {"tasks", "input"},          {"sqlite_dbpage", "data"}};
  return std::ranges::any_of(
      all, [&](const place& one) { return is(table, one.table) && is(column, one.column); });
}

/// Only reading is allowed, whatever the statement says.
int allow_reading(void* context, int action, const char* first, const char* second, const char*,
                  const char* view) {
  auto& who = *static_cast<reader*>(context);
  switch (action) {
    case SQLITE_READ:
      if (who.shown == payloads::revealed || !holds_payload(first, second)) return SQLITE_OK;
      if (view != nullptr && std::string_view(view).starts_with(who.prefix)) return SQLITE_OK;
      who.payload = fmt::format("{}.{}", first, second);
      return SQLITE_DENY;
    case SQLITE_SELECT:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_PRAGMA:
      for (const char* harmless : {"table_info", "table_xinfo", "index_list", "index_info",
                                   "table_list", "database_list", "data_version"}) {
        if (is(first, harmless)) return SQLITE_OK;
      }
      return SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

/// Our views, once more under names that nobody can know, and behind their own names. SQLite tells
/// the authorizer of a column read inside a view only the name of that view, and a common table
/// expression may have any name.
void hide_views(connection& db, const std::string& prefix) {
  std::vector<std::pair<std::string, std::string>> views;
  {
    sqlite::use rows = db.sql(
        "SELECT name, sql FROM main.sqlite_master WHERE type = 'view' AND name GLOB 'fermata_*'");
    while (rows.next()) views.emplace_back(rows.text(0), rows.text(1));
  }
  for (const auto& [name, sql] : views) {
    const std::size_t body = sql.find(" AS");
    if (body == std::string::npos) continue;
    db.script(fmt::format("CREATE TEMP VIEW {0}{1}{2}; "
                          "CREATE TEMP VIEW {1} AS SELECT * FROM {0}{1}",
                          prefix, name, sql.substr(body))
                  .c_str());
  }
}

std::string new_prefix() {
  std::uint64_t drawn[2];
  sqlite3_randomness(sizeof drawn, drawn);
  return fmt::format("shown_{:016x}{:016x}_", drawn[0], drawn[1]);
}

absl::Status unreadable(std::string_view why) {
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               fmt::format("SQLite can't read the statement: {}", why));
}

absl::Status refused(std::string_view why) {
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               fmt::format("only statements that read are answered here: {}. Write with the other "
                           "commands, which keep the journal whole",
                           why));
}

absl::Status not_shown(std::string_view column) {
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               fmt::format("{} may hold values of a sensitive type: ask the views (fermata_events, "
                           "fermata_inbox …), which hide those, or say --reveal",
                           column));
}

sql_value value_at(sqlite3_stmt* statement, int column) {
  sql_value value;
  const void* bytes = nullptr;
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
      value.is = sql_value::kind::null;
      return value;
    case SQLITE_INTEGER:
      value.is = sql_value::kind::integer;
      break;
    case SQLITE_FLOAT:
      value.is = sql_value::kind::real;
      value.text = fmt::format("{}", sqlite3_column_double(statement, column));
      if (value.text.find_first_not_of("-0123456789") == std::string::npos) value.text += ".0";
      return value;
    case SQLITE_BLOB:
      value.is = sql_value::kind::blob;
      bytes = sqlite3_column_blob(statement, column);
      break;
    default:
      break;
  }
  if (bytes == nullptr) bytes = sqlite3_column_text(statement, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  value.text.assign(static_cast<const char*>(bytes), bytes != nullptr ? size : 0);
  return value;
}

absl::Status answer_query(connection& db, sqlite3_stmt* statement,
                          const std::function<bool(const std::vector<sql_value>&)>& row) {
  std::vector<sql_value> values;
  const int columns = sqlite3_column_count(statement);
  for (int i = 0; i < columns; ++i) values.push_back({.text = sqlite3_column_name(statement, i)});
  bool more = row(values);
  while (more) {
    const int rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE) break;
    if (rc != SQLITE_ROW) return sqlite::status_of(db.handle(), rc, "your statement");
    for (int i = 0; i < columns; ++i) values[static_cast<std::size_t>(i)] = value_at(statement, i);
    more = row(values);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status sqlite_store::query(
    std::string_view sql, payloads shown,
    const std::function<bool(const std::vector<sql_value>&)>& row) const {
  return guarded<absl::Status>([&]() -> absl::Status {
    // A handle of its own: a long answer must not keep one of the pool, nor its authorizer.
    connection db(file_->where.path, {.read_only = false});
    reader who{.shown = shown, .prefix = new_prefix(), .payload = {}};
    if (shown == payloads::hidden) hide_views(db, who.prefix);
    db.script("PRAGMA query_only = ON");
    sqlite3_set_authorizer(db.handle(), allow_reading, &who);
    sqlite3_stmt* statement = nullptr;
    const char* rest = nullptr;
    const int rc = sqlite3_prepare_v2(db.handle(), sql.data(), static_cast<int>(sql.size()),
                                      &statement, &rest);
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owned(statement, sqlite3_finalize);
    if (!who.payload.empty()) return not_shown(who.payload);
    if (rc == SQLITE_AUTH) return refused("this one would write");
    if (rc != SQLITE_OK) return unreadable(sqlite3_errmsg(db.handle()));
    if (statement == nullptr) return refused("there is none");
    if (sqlite3_stmt_readonly(statement) == 0) return refused("this one would write");
    const std::string_view more = sql.substr(static_cast<std::size_t>(rest - sql.data()));
    if (more.find_first_not_of(" \t\r\n;") != std::string_view::npos)
      return refused("one statement at a time");
    return answer_query(db, statement, row);
  });
}

}  // namespace fermata::engine
