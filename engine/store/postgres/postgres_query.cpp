// SPDX-License-Identifier: Apache-2.0
// `fermata sql`: statements that read, and of payloads only what the views show of them.
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/status.hpp"

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <utility>

namespace fermata::engine {

namespace {

using postgres::connection;

using owned_result = std::unique_ptr<PGresult, decltype(&PQclear)>;

absl::Status refused(std::string_view why) {
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               fmt::format("only statements that read are answered here: {}. Write with the other "
                           "commands, which keep the journal whole",
                           why));
}

absl::Status not_shown(std::string_view word) {
  return coded(
      absl::StatusCode::kInvalidArgument, "FER-2104",
      fmt::format("'{}' may hold values of a sensitive type: ask the views (fermata_events, "
                  "fermata_inbox …), which hide those, or say --reveal",
                  word));
}

/// A word that stands for a table with payloads, or for a way around the names of tables. Postgres has
/// no authorizer to ask; who wants to see a value finds a way with any other client, and this isn't
/// meant to stop them, but to keep it from being shown unasked.
std::string word_of_payloads(std::string_view sql) {
  constexpr std::array<std::string_view, 12> names{
      "events",       "inbox",        "start_requests", "heartbeats",      "keys",
      "query_to_xml", "table_to_xml", "schema_to_xml",  "database_to_xml", "cursor_to_xml",
      "dblink",       "pg_read_file"};
  const auto in_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
  };
  for (std::size_t at = 0; at < sql.size();) {
    if (!in_word(sql[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < sql.size() && in_word(sql[end])) ++end;
    std::string word(sql.substr(at, end - at));
    for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool partition = word.starts_with("events_");
    const bool by_number = word == "u" && sql.substr(end).starts_with("&");
    if (partition || by_number || std::ranges::find(names, word) != names.end()) return word;
    at = end;
  }
  return {};
}

sql_value value_at(const PGresult* row, int column) {
  constexpr Oid oid_bytea = 17, oid_int8 = 20, oid_int2 = 21, oid_int4 = 23, oid_float4 = 700,
                oid_float8 = 701, oid_numeric = 1700;
  sql_value value;
  if (PQgetisnull(row, 0, column) != 0) {
    value.is = sql_value::kind::null;
    return value;
  }
  value.text.assign(PQgetvalue(row, 0, column),
                    static_cast<std::size_t>(PQgetlength(row, 0, column)));
  switch (PQftype(row, column)) {
    case oid_int2:
    case oid_int4:
    case oid_int8:
      value.is = sql_value::kind::integer;
      break;
    case oid_float4:
    case oid_float8:
    case oid_numeric:
      value.is = sql_value::kind::real;
      break;
    case oid_bytea:
      value.is = sql_value::kind::blob;
      value.text =
          absl::HexStringToBytes(value.text.substr(std::min<std::size_t>(2, value.text.size())));
      break;
    default:
      break;
  }
  return value;
}

absl::Status failed(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* said = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string_view code = state != nullptr ? state : "";
  if (code == "25006") return refused("this one would write");
  if (code == "42601" && std::string_view(said).find("multiple commands") != std::string_view::npos)
    return refused("one statement at a time");
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               fmt::format("Postgres can't read the statement: {}", said != nullptr ? said : ""));
}

absl::Status answer_query(PGconn* db, const std::string& sql,
                          const std::function<bool(const std::vector<sql_value>&)>& row) {
  // As text, row by row: an answer may be long.
  if (PQsendQueryParams(db, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) != 1 ||
      PQsetSingleRowMode(db) != 1)
    return coded(absl::StatusCode::kUnavailable, "FER-2105", PQerrorMessage(db));
  absl::Status answer;
  bool told_names = false;
  bool more = true;
  while (PGresult* one = PQgetResult(db)) {
    const owned_result owned(one, PQclear);
    const ExecStatusType status = PQresultStatus(one);
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
      answer = refused("there is none");
      continue;
    }
    if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) {
      answer = failed(one);
      continue;
    }
    std::vector<sql_value> values;
    const int columns = PQnfields(one);
    if (!std::exchange(told_names, true)) {
      for (int i = 0; i < columns; ++i) values.push_back({.text = PQfname(one, i)});
      more = row(values);
      values.clear();
    }
    if (!more || status != PGRES_SINGLE_TUPLE) continue;
    for (int i = 0; i < columns; ++i) values.push_back(value_at(one, i));
    more = row(values);
    if (!more) {
      const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel(PQgetCancel(db),
                                                                      PQfreeCancel);
      std::array<char, 256> why{};
      PQcancel(cancel.get(), why.data(), why.size());
    }
  }
  return more ? answer : absl::OkStatus();
}

}  // namespace

absl::Status postgres_store::query(
    std::string_view sql, payloads shown,
    const std::function<bool(const std::vector<sql_value>&)>& row) const {
  return guarded<absl::Status>([&]() -> absl::Status {
    if (shown == payloads::hidden)
      if (const std::string word = word_of_payloads(sql); !word.empty()) return not_shown(word);
    // A connection of its own: a long answer must not keep one of the pool.
    connection db(parts_->at.where);
    db.script("BEGIN READ ONLY");
    db.script(fmt::format("SET LOCAL search_path TO {}, pg_catalog", parts_->at.where.schema));
    return answer_query(db.handle(), std::string(sql), row);
  });
}

}  // namespace fermata::engine
