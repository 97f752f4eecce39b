// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/sdk/postgres_server.hpp"

#include <doctest/doctest.h>

#include <fermata/error.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <thread>

namespace fermata::postgres_tests {

namespace {

using result = std::unique_ptr<PGresult, decltype(&PQclear)>;

result asked(PGconn* on, const std::string& sql) { return {PQexec(on, sql.c_str()), PQclear}; }

bool went_well(const result& one) {
  const ExecStatusType how = PQresultStatus(one.get());
  return how == PGRES_COMMAND_OK || how == PGRES_TUPLES_OK;
}

std::string environment(const char* name) {
  const char* found = std::getenv(name);
  if (found == nullptr)
    throw std::runtime_error(std::string(name) +
                             " isn't set: run this by scripts/with_postgres.sh");
  return found;
}

}  // namespace

std::string server_address() { return environment("FERMATA_TEST_POSTGRES"); }

int server_port() { return std::atoi(environment("PGPORT").c_str()); }

void restart_server() {
  std::filesystem::path pg_ctl;
  for (const auto& one : std::filesystem::directory_iterator("/usr/lib/postgresql"))
    if (std::filesystem::exists(one.path() / "bin/pg_ctl")) pg_ctl = one.path() / "bin/pg_ctl";
  // The server refuses to run as root.
  const std::string as_server =
      ::geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups " : "";
  const std::string command = as_server + pg_ctl.string() + " -D '" +
                              environment("FERMATA_POSTGRES_DATA") +
                              "' -m immediate -w -s restart >/dev/null 2>&1";
  REQUIRE(std::system(command.c_str()) == 0);
}

connection::connection(const std::string& address) : db_(PQconnectdb(address.c_str())) {
  REQUIRE_MESSAGE(PQstatus(db_) == CONNECTION_OK, std::string(PQerrorMessage(db_)));
}

connection::~connection() { PQfinish(db_); }

void connection::execute(const std::string& sql) {
  const result done = asked(db_, sql);
  REQUIRE_MESSAGE(went_well(done), std::string(PQerrorMessage(db_)));
}

std::string connection::text(const std::string& sql) {
  const result found = asked(db_, sql);
  REQUIRE_MESSAGE(PQresultStatus(found.get()) == PGRES_TUPLES_OK, std::string(PQerrorMessage(db_)));
  return PQntuples(found.get()) > 0 ? PQgetvalue(found.get(), 0, 0) : "none";
}

void connection::wait_for(const std::string& sql, const std::string& answer) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string found;
  while ((found = text(sql)) != answer && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  REQUIRE(found == answer);
}

fresh_database::fresh_database() {
  static int made = 0;
  name_ = "films_" + std::to_string(::getpid()) + "_" + std::to_string(++made);
  connection(server_address()).execute("CREATE DATABASE " + name_);
  connection mine(address());
  mine.execute("CREATE TABLE counter(n int)");
  mine.execute("INSERT INTO counter VALUES (0)");
}

fresh_database::~fresh_database() {
  connection(server_address()).execute("DROP DATABASE " + name_ + " WITH (FORCE)");
}

std::string fresh_database::address() const { return address("fermata", server_port()); }

std::string fresh_database::address(const std::string& user, int port) const {
  return "postgres://" + user + "@127.0.0.1:" + std::to_string(port) + "/" + name_;
}

std::string fresh_database::counted() const {
  return connection(address()).text("SELECT n FROM counter");
}

std::string fresh_database::receipts() const {
  return connection(address()).text("SELECT count(*) FROM fermata_receipts");
}

void run(PGconn& on, const char* sql) {
  if (!went_well(asked(&on, sql))) throw std::runtime_error(PQerrorMessage(&on));
}

void count_up(PGconn& on) { run(on, "UPDATE counter SET n = n + 1"); }

std::string code_thrown_by(const std::function<void()>& what) {
  try {
    what();
  } catch (const fermata::error& why) {
    return why.code();
  }
  return "nothing thrown";
}

std::string words_thrown_by(const std::function<void()>& what) {
  try {
    what();
  } catch (const std::exception& why) {
    return why.what();
  }
  return "nothing thrown";
}

}  // namespace fermata::postgres_tests
