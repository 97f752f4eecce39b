// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libpq-fe.h>

#include <functional>
#include <string>

/// The private server that scripts/with_postgres.sh started, seen from a test.
namespace fermata::postgres_tests {

class connection {
 public:
  explicit connection(const std::string& address);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// REQUIREs that it goes well.
  void execute(const std::string& sql);
  /// The first column of the first row; "none" when there is none.
  std::string text(const std::string& sql);
  /// Asks until the answer is this one.
  void wait_for(const std::string& sql, const std::string& answer);
  PGconn* handle() { return db_; }

 private:
  PGconn* db_ = nullptr;
};

/// A database of its own, with a table `counter(n)` that has one row, 0.
class fresh_database {
 public:
  fresh_database();
  ~fresh_database();
  fresh_database(const fresh_database&) = delete;
  fresh_database& operator=(const fresh_database&) = delete;

  const std::string& name() const { return name_; }
  std::string address() const;
  std::string address(const std::string& user, int port) const;
  std::string counted() const;
  std::string receipts() const;

 private:
  std::string name_;
};

/// Of the database that isn't a test's.
std::string server_address();
int server_port();
/// As after a power cut: nothing is told to anybody, and it comes up again.
void restart_server();

/// Throws what the server says.
void run(PGconn& on, const char* sql);
void count_up(PGconn& on);
std::string code_thrown_by(const std::function<void()>& what);
std::string words_thrown_by(const std::function<void()>& what);

}  // namespace fermata::postgres_tests
