// SPDX-License-Identifier: Apache-2.0
#include "src/postgres_connection.hpp"

#include <fmt/format.h>
#include <libpq-events.h>
#include <libpq-fe.h>

#include <array>
#include <vector>

namespace fermata::detail {

namespace {

std::string one_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::string line(text);
  for (char& c : line)
    if (c == '\n' || c == '\t') c = ' ';
  return line;
}

/// What the address leaves open. A server that is gone without a word is noticed: else a step would
/// wait for it for hours.
constexpr std::array defaults{
    std::pair{"connect_timeout", "10"},     std::pair{"keepalives_idle", "30"},
    std::pair{"keepalives_interval", "10"}, std::pair{"keepalives_count", "3"},
    std::pair{"tcp_user_timeout", "60000"}, std::pair{"fallback_application_name", "fermata"},
};

struct settings {
  std::vector<const char*> keys, values;
  explicit settings(const std::string& address) {
    for (const auto& [key, value] : defaults) add(key, value);
    add("dbname", address.c_str());  // expanded; what it says wins
    add(nullptr, nullptr);
  }
  void add(const char* key, const char* value) {
    keys.push_back(key);
    values.push_back(value);
  }
};

}  // namespace

/// Errors go to whoever ran the statement, mostly a step's body. What it throws needn't say which
/// error it was, so the connection remembers it.
struct postgres_events {
  static int take(PGEventId id, void* info, void* to) {
    if (id != PGEVT_RESULTCREATE) return 1;
    const auto* made = static_cast<const PGEventResultCreate*>(info);
    if (PQresultStatus(made->result) != PGRES_FATAL_ERROR) return 1;
    const char* state = PQresultErrorField(made->result, PG_DIAG_SQLSTATE);
    static_cast<postgres_connection*>(to)->last_error_ = state != nullptr ? state : "";
    return 1;
  }
};

postgres_rows::postgres_rows(pg_result* of) noexcept : rows_(of) {}

void postgres_rows::clear::operator()(pg_result* of) const noexcept { PQclear(of); }

int postgres_rows::count() const noexcept { return PQntuples(rows_.get()); }

std::string postgres_rows::bytes(int row, int column) const {
  return {PQgetvalue(rows_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(rows_.get(), row, column))};
}

postgres_connection::postgres_connection(const std::string& address) {
  const settings with(address);
  db_ = PQconnectdbParams(with.keys.data(), with.values.data(), 1);
  if (PQstatus(db_) == CONNECTION_OK &&
      PQregisterEventProc(db_, postgres_events::take, "fermata", this) != 0)
    return;
  postgres_failure why = failure("connecting");
  why.lost = true;
  // libpq keeps the SQLSTATE of a refusal for itself, but a server that is starting up is told apart.
  why.refused = PQpingParams(with.keys.data(), with.values.data(), 1) == PQPING_OK;
  PQfinish(db_);
  throw postgres_failure(std::move(why));
}

postgres_connection::~postgres_connection() { PQfinish(db_); }

postgres_failure postgres_connection::failure(std::string_view what,
                                              const pg_result* result) const {
  postgres_failure why;
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (state != nullptr) why.sqlstate = state;
  const char* said =
      state != nullptr ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : PQerrorMessage(db_);
  why.said = one_line(said != nullptr ? said : "out of memory");
  if (why.said.empty()) why.said = "the connection is closed";
  why.said += fmt::format(" ({}{}{})", what, state != nullptr ? ", SQLSTATE " : "", why.sqlstate);
  why.lost = PQstatus(db_) != CONNECTION_OK;
  return why;
}

void postgres_connection::execute(const char* sql) {
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(db_, sql), PQclear);
  const ExecStatusType how = PQresultStatus(result.get());
  if (how != PGRES_COMMAND_OK && how != PGRES_TUPLES_OK) {
    const std::string_view all(sql);
    throw failure(all.substr(0, all.find_first_of("(;")), result.get());
  }
}

postgres_rows postgres_connection::ask(const std::string& sql,
                                       std::initializer_list<postgres_value> values) {
  std::vector<Oid> types;
  std::vector<const char*> bytes;
  std::vector<int> sizes;
  const std::vector<int> binary(values.size(), 1);
  for (const postgres_value& one : values) {
    types.push_back(one.type);
    bytes.push_back(one.bytes.empty() ? "" : one.bytes.data());
    sizes.push_back(static_cast<int>(one.bytes.size()));
  }
  std::unique_ptr<PGresult, decltype(&PQclear)> result(
      PQexecParams(db_, sql.c_str(), static_cast<int>(values.size()), types.data(), bytes.data(),
                   sizes.data(), binary.data(), 1),
      PQclear);
  const ExecStatusType how = PQresultStatus(result.get());
  if (how != PGRES_COMMAND_OK && how != PGRES_TUPLES_OK)
    throw failure(sql.substr(0, sql.find(' ')), result.get());
  return postgres_rows(result.release());
}

postgres_connection::state postgres_connection::now() const noexcept {
  if (PQstatus(db_) != CONNECTION_OK) return state::gone;
  if (PQpipelineStatus(db_) != PQ_PIPELINE_OFF || PQisnonblocking(db_) != 0) return state::busy;
  switch (PQtransactionStatus(db_)) {
    case PQTRANS_IDLE:
      return state::idle;
    case PQTRANS_INTRANS:
      return state::open;
    case PQTRANS_INERROR:
      return state::failed;
    case PQTRANS_ACTIVE:
      return state::busy;
    case PQTRANS_UNKNOWN:
      break;
  }
  return state::gone;
}

bool postgres_connection::roll_back() noexcept {
  const state is = now();
  if (is == state::open || is == state::failed) PQclear(PQexec(db_, "ROLLBACK"));
  return now() == state::idle;
}

void postgres_connection::commit() {
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(db_, "COMMIT"), PQclear);
  const bool done = PQresultStatus(result.get()) == PGRES_COMMAND_OK;
  if (done && std::string_view(PQcmdStatus(result.get())) == "COMMIT") return;
  postgres_failure why = failure("COMMIT", result.get());
  if (done) why.said = "the server rolled the transaction back instead (COMMIT)";
  if (!done && why.sqlstate.empty()) why.lost = true;  // whatever it was, no server refused
  throw postgres_failure(std::move(why));
}

std::optional<std::string> describe_postgres(const std::string& address) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(address.c_str(), nullptr), PQconninfoFree);
  if (!parsed) return std::nullopt;
  std::string database, host;
  for (const PQconninfoOption* one = parsed.get(); one->keyword != nullptr; ++one) {
    if (one->val == nullptr) continue;
    if (std::string_view(one->keyword) == "dbname") database = one->val;
    if (std::string_view(one->keyword) == "host") host = one->val;
  }
  return fmt::format("the Postgres database{}{}{}{}", database.empty() ? "" : " ", database,
                     host.empty() ? "" : " of ", host);
}

}  // namespace fermata::detail
