// SPDX-License-Identifier: Apache-2.0
#include "bench/plain_connection.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace fermata::bench {

namespace {

/// What the journal's address may say beside, and libpq doesn't know.
std::string without_lanes(std::string address) {
  if (const std::size_t at = address.find("lanes="); at != std::string::npos)
    address.erase(at - 1, std::min(address.find('&', at), address.size()) - at + 1);
  return address;
}

}  // namespace

plain_connection::plain_connection(const std::string& address)
    : db_(PQconnectdb(without_lanes(address).c_str())) {
  if (PQstatus(db_) != CONNECTION_OK) fail("connect");
  script("SET client_min_messages = warning");
}

plain_connection::~plain_connection() { PQfinish(db_); }

void plain_connection::fail(const char* what) const {
  std::fprintf(stderr, "fermata-bench: Postgres, %s: %s\n", what, PQerrorMessage(db_));
  std::exit(1);
}

void plain_connection::script(const std::string& sql) {
  PGresult* done = PQexec(db_, sql.c_str());
  const ExecStatusType how = PQresultStatus(done);
  if (how != PGRES_COMMAND_OK && how != PGRES_TUPLES_OK) fail(sql.c_str());
  PQclear(done);
}

std::string plain_connection::text(const std::string& sql) {
  PGresult* row = PQexec(db_, sql.c_str());
  if (PQresultStatus(row) != PGRES_TUPLES_OK || PQntuples(row) == 0) fail(sql.c_str());
  std::string value = PQgetvalue(row, 0, 0);
  PQclear(row);
  return value;
}

std::int64_t plain_connection::number(const std::string& sql) { return std::stoll(text(sql)); }

}  // namespace fermata::bench
