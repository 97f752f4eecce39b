// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/unit/sdk/postgres_server.hpp"

#include <doctest/doctest.h>

#include <fermata/fermata.hpp>

#include <string>
#include <thread>

/// A journal with a table of the user's in the same database, and workflows to start.
namespace fermata::postgres_tests {

inline constexpr fermata::workflow<int(int)> double_it{"double_it"};
inline constexpr fermata::workflow<int(int)> add_heard{"add_heard"};
inline constexpr fermata::workflow<int()> no_input{"no_input"};
inline constexpr fermata::signal<int> heard{"heard"};
inline constexpr fermata::signal<> go_on{"go_on"};

inline fermata::task<int> doubled(fermata::context&, int n) { co_return 2 * n; }
inline fermata::task<int> plus_heard(fermata::context& ctx, int n) {
  int more = co_await ctx.receive(heard);
  co_await ctx.receive(go_on);
  co_return n + more;
}
inline fermata::task<int> seven(fermata::context&) { co_return 7; }

/// A worker on a thread of this process.
class working {
 public:
  explicit working(const fermata::journal& where) : worker_(where) {
    worker_.serve(double_it, doubled);
    worker_.serve(add_heard, plus_heard);
    worker_.serve(no_input, seven);
    thread_ = std::thread([this] { worker_.run(); });
  }
  ~working() {
    worker_.stop();
    thread_.join();
  }

 private:
  fermata::worker worker_;
  std::thread thread_;
};

/// The journal lies in a schema that isn't called as most are: nothing may depend on its name.
struct shop {
  fresh_database database;
  std::string address = database.address() + "?schema=orders_journal";
  fermata::journal journal = fermata::open(address);
  fermata::client client{journal};
  connection db{database.address()};

  shop() { db.execute("CREATE TABLE orders(id text, run text)"); }

  fermata::uncommitted_run<int> order(const std::string& id, int n) {
    auto started = client.start(db.handle(), double_it, n, {.key = id});
    db.execute("INSERT INTO orders VALUES ('" + id + "', '" + started.id() + "')");
    return started;
  }
  std::string orders() { return db.text("SELECT count(*) FROM orders"); }
  /// Everything that a start or a signal may leave behind.
  std::string rows() {
    return db.text(
        "SELECT concat_ws(' ', (SELECT count(*) FROM orders_journal.start_requests), "
        "(SELECT count(*) FROM orders_journal.runs), (SELECT count(*) FROM orders_journal.keys), "
        "(SELECT count(*) FROM orders_journal.inbox), (SELECT count(*) FROM "
        "orders_journal.ready))");
  }
  /// What the server says to a statement of ours; "fine" when it does it.
  std::string said_to(const std::string& sql) {
    PGresult* answer = PQexec(db.handle(), sql.c_str());
    const ExecStatusType how = PQresultStatus(answer);
    PQclear(answer);
    return how == PGRES_TUPLES_OK || how == PGRES_COMMAND_OK ? "fine" : PQerrorMessage(db.handle());
  }
};

}  // namespace fermata::postgres_tests
