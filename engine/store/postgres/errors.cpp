// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/errors.hpp"

#include "engine/store/status.hpp"

#include <absl/strings/ascii.h>
#include <fmt/format.h>
#include <libpq-fe.h>

namespace fermata::engine::postgres {

namespace {

std::string trimmed(const char* text) {
  std::string said(text != nullptr ? text : "");
  while (!said.empty() && (said.back() == '\n' || said.back() == ' ')) said.pop_back();
  return said;
}

/// Of a statement, what fits into a sentence.
std::string_view beginning(std::string_view what) { return what.substr(0, 60); }

}  // namespace

failure failure_of(std::string_view sqlstate) {
  // Also a key that another transaction has put since we looked: the next look finds it.
  if (sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03" || sqlstate == "23505")
    return failure::again;
  if (sqlstate == "53100" || sqlstate == "53200" || sqlstate == "53400") return failure::full;
  if (sqlstate.empty() || sqlstate.starts_with("08") || sqlstate.starts_with("57P") ||
      sqlstate == "53300" || sqlstate == "25006" || sqlstate == "25P03")
    return failure::lost;
  return failure::refused;
}

void fail(pg_conn* db, const pg_result* result, std::string_view what) {
  const char* state = result != nullptr ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
  const char* primary =
      result != nullptr ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : nullptr;
  const std::string_view code = state != nullptr ? state : "";
  const std::string said = trimmed(primary != nullptr ? primary : PQerrorMessage(db));
  const failure how = PQstatus(db) == CONNECTION_BAD ? failure::lost : failure_of(code);
  switch (how) {
    case failure::again:
      fail(absl::StatusCode::kUnavailable, "FER-2106",
           fmt::format("Postgres rolled the transaction back ({}, {}); it may be sent again", said,
                       code),
           how);
    case failure::full:
      fail(absl::StatusCode::kResourceExhausted, "FER-2101",
           fmt::format("the database server has run out of disk, memory or connections: nothing "
                       "was written ({}, {}); what was refused may be sent again",
                       said, code),
           how);
    case failure::lost:
      fail(absl::StatusCode::kUnavailable, "FER-2105",
           fmt::format("the database isn't there just now: {}{}{}; what was refused may be sent "
                       "again",
                       said, code.empty() ? "" : ", ", code),
           how);
    case failure::refused:
      break;
  }
  if (code.starts_with("XX00"))
    fail(absl::StatusCode::kDataLoss, "FER-2103",
         fmt::format("store damage: {} ({}, {}); look into the server's log, then restore a backup",
                     said, beginning(what), code));
  if (code == "42501")
    fail(absl::StatusCode::kPermissionDenied, "FER-2107",
         fmt::format("the database role lacks a right: {} ({}); 'fermata migrate --print-role' "
                     "shows what it needs",
                     said, beginning(what)));
  fail(absl::StatusCode::kInternal, "FER-2104",
       fmt::format("Postgres refused: {} ({}, {})", said, beginning(what), code));
}

void fail(absl::StatusCode code, std::string_view fer_code, std::string_view sentence,
          failure how) {
  throw server_failure{coded(code, fer_code, sentence), how};
}

}  // namespace fermata::engine::postgres
