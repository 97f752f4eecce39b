// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/sdk/postgres_server.hpp"

#include <doctest/doctest.h>

#include <fermata/error.hpp>
#include <fermata/postgres.hpp>

#include <atomic>
#include <latch>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace fermata::postgres_tests;
using namespace std::chrono_literals;

static std::string nothing(PGconn&) { return {}; }

TEST_CASE("a repeated commit runs nothing and returns the first outcome") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());

  const std::string first = films->commit("run_1", "3.2", [](PGconn& on) {
    count_up(on);
    return std::string("one\0two", 7);
  });
  const std::string again = films->commit("run_1", "3.2", [](PGconn& on) {
    count_up(on);
    return std::string("never");
  });
  const std::string other = films->commit("run_1", "3.3", [](PGconn& on) {
    count_up(on);
    return std::string();
  });

  CHECK(first == std::string("one\0two", 7));
  CHECK(again == first);
  CHECK(other.empty());
  CHECK(db.counted() == "2");
}

TEST_CASE("of overlapping commits one takes effect, and all return its outcome") {
  for (const char* isolation : {"read committed", "repeatable read", "serializable"}) {
    CAPTURE(isolation);
    const fresh_database db;
    connection(db.address())
        .execute("ALTER DATABASE " + db.name() + " SET default_transaction_isolation = '" +
                 isolation + "'");
    // Two objects, as in two processes.
    const auto here = fermata::postgres_database(db.address());
    const auto there = fermata::postgres_database(db.address());
    constexpr int attempts = 8;
    std::latch all(attempts);
    std::latch all_in_it(attempts);
    std::vector<std::string> outcomes(attempts);
    std::vector<std::thread> threads;

    for (std::size_t n = 0; n < attempts; ++n)
      threads.emplace_back([&, n] {
        all.arrive_and_wait();
        bool first = true;
        outcomes[n] = (n % 2 ? here : there)->commit("run_1", "1", [&](PGconn& on) {
          // Nobody writes before all have looked for a receipt, in vain.
          if (std::exchange(first, false)) all_in_it.arrive_and_wait();
          run(on, "INSERT INTO counter VALUES (1)");
          return std::to_string(n);
        });
      });
    for (std::thread& one : threads) one.join();

    CHECK(connection(db.address()).text("SELECT sum(n) FROM counter") == "1");
    CHECK(db.receipts() == "1");
    for (const std::string& outcome : outcomes) CHECK(outcome == outcomes[0]);
  }
}

TEST_CASE("many operations of several threads are each done once, on few connections") {
  const fresh_database db;
  const auto here = fermata::postgres_database(db.address(), {.connections = 2});
  std::atomic<int> most = 0;
  std::vector<std::thread> threads;

  for (int n = 0; n < 6; ++n)
    threads.emplace_back([&, n] {
      for (int i = 0; i < 10; ++i)
        here->commit("run_1", std::to_string(n * 100 + i), [&](PGconn& on) {
          connection look(db.address());
          const std::string sql =
              "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
              "AND application_name = 'fermata'";
          const int now = std::stoi(look.text(sql));
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
          }
          count_up(on);
          return std::string("done");
        });
    });
  for (std::thread& one : threads) one.join();

  CHECK(db.counted() == "60");
  CHECK(db.receipts() == "60");
  CHECK(most == 2);
}

TEST_CASE("who gets no connection in time is told so") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address(), {.connections = 1, .patience = 50ms});

  films->commit("run_1", "1", [&](PGconn&) {
    std::string said;
    std::thread other(
        [&] { said = code_thrown_by([&] { films->commit("run_1", "2", nothing); }); });
    other.join();
    CHECK(said == "FER-1405");
    return std::string();
  });
  CHECK(films->commit("run_1", "2", [](PGconn&) { return std::string("now"); }) == "now");
}

TEST_CASE("a body that throws leaves neither effect nor receipt, and its exception comes out") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());

  CHECK_THROWS_AS(films->commit("run_1", "1",
                                [](PGconn& on) -> std::string {
                                  count_up(on);
                                  throw std::domain_error("no such film");
                                }),
                  std::domain_error);
  CHECK_THROWS_AS(films->commit("run_1", "1",
                                [](PGconn& on) -> std::string {
                                  run(on, "SELECT 1/0");
                                  return {};
                                }),
                  std::runtime_error);

  CHECK(db.counted() == "0");
  CHECK(db.receipts() == "0");
  CHECK(films->commit("run_1", "1", [](PGconn&) { return std::string("now"); }) == "now");
}

TEST_CASE("the transaction is durable whatever role, database or body prefer") {
  const fresh_database db;
  connection look(db.address());
  look.execute("ALTER DATABASE " + db.name() + " SET synchronous_commit = off");
  look.execute("CREATE TABLE seen(setting text)");
  const auto films = fermata::postgres_database(db.address());
  films->commit("run_0", "1", nothing);
  look.execute(
      "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
      "$$BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; "
      "END$$");
  look.execute(
      "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON fermata_receipts "
      "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION see()");

  films->commit("run_1", "1", nothing);
  CHECK(look.text("SELECT setting FROM seen") == "on");

  films->commit("run_1", "2", [](PGconn& on) {
    run(on, "SET LOCAL synchronous_commit = remote_apply");
    return std::string();
  });
  CHECK(look.text("SELECT setting FROM seen OFFSET 1") == "remote_apply");
}

TEST_CASE("nothing of the session is used: no statement is prepared, no setting stays") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  const auto session = [&](const char* operation, const std::string& sql) {
    return films->commit("run_1", operation, [&](PGconn& on) {
      PGresult* found = PQexec(&on, sql.c_str());
      std::string text = PQgetvalue(found, 0, 0);
      PQclear(found);
      return text;
    });
  };
  session("1", "SELECT 1");

  CHECK(session("2", "SELECT count(*) FROM pg_prepared_statements") == "0");
  CHECK(session("3", "SELECT current_setting('lock_timeout')") == "0");
  CHECK(session("4", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0");
}

TEST_CASE("the receipts' table is found again under another search_path, and made after a drop") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());

  films->commit("run_1", "1", [](PGconn& on) {
    run(on, "CREATE SCHEMA elsewhere");
    run(on, "SET LOCAL search_path = elsewhere");
    return std::string();
  });
  CHECK(connection(db.address()).text("SELECT count(*) FROM public.fermata_receipts") == "1");

  connection(db.address()).execute("DROP TABLE fermata_receipts");
  CHECK(code_thrown_by([&] { films->commit("run_1", "2", nothing); }) == "FER-2104");
  CHECK(films->commit("run_1", "2", [](PGconn&) { return std::string("now"); }) == "now");
}

TEST_CASE("a role that mayn't make the table is told what its owner has to run") {
  const fresh_database db;
  connection owner(db.address());
  owner.execute("CREATE ROLE viewer LOGIN");
  const auto films = fermata::postgres_database(db.address("viewer", server_port()));
  const auto attempt = [&] { films->commit("run_1", "1", nothing); };

  CHECK(code_thrown_by(attempt) == "FER-3001");
  const std::string said = words_thrown_by(attempt);
  const auto create = said.find("CREATE TABLE fermata_receipts(");
  REQUIRE(create != std::string::npos);
  const std::string statement = said.substr(create, said.find(';', create) - create);
  owner.execute(statement);
  CHECK(words_thrown_by(attempt).find("GRANT SELECT, INSERT ON fermata_receipts") !=
        std::string::npos);
  owner.execute("GRANT SELECT, INSERT ON fermata_receipts TO viewer");
  CHECK(code_thrown_by(attempt) == "nothing thrown");

  owner.execute("DROP OWNED BY viewer");
  owner.execute("DROP ROLE viewer");
}

TEST_CASE("a body may use savepoints, but not end its transaction") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  const auto refused = [&](std::vector<const char*> statements) {
    return words_thrown_by([&] {
      films->commit("run_1", "1", [&](PGconn& on) {
        for (const char* one : statements) PQclear(PQexec(&on, one));
        return std::string();
      });
    });
  };
  const std::string itself = "ended its transaction";

  for (const std::vector<const char*>& statements :
       std::vector<std::vector<const char*>>{{"COMMIT"},
                                             {"ROLLBACK"},
                                             {"COMMIT", "BEGIN"},
                                             {"ROLLBACK; BEGIN"},
                                             {"COMMIT AND CHAIN"},
                                             {"ROLLBACK AND CHAIN"}}) {
    CAPTURE(statements[0]);
    CHECK(refused(statements).find(itself) != std::string::npos);
  }
  CHECK(refused({"SELECT 1/0"}).find("SQLSTATE 22012") != std::string::npos);
  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [](PGconn& on) {
            PQsendQuery(&on, "SELECT 1");
            return std::string();
          });
        }) == "FER-3001");

  CHECK(db.receipts() == "0");
  films->commit("run_1", "1", [](PGconn& on) {
    run(on, "SAVEPOINT before");
    PQclear(PQexec(&on, "SELECT 1/0"));
    run(on, "ROLLBACK TO before");
    count_up(on);
    return std::string();
  });
  CHECK(db.counted() == "1");
}

TEST_CASE("what can't work is refused with its code") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  const auto other = fermata::postgres_database(db.address());

  CHECK(code_thrown_by([] { fermata::postgres_database(""); }) == "FER-3001");
  CHECK(code_thrown_by([] { fermata::postgres_database("films.db"); }) == "FER-3001");
  CHECK(code_thrown_by([&] { fermata::postgres_database(db.address(), {.connections = 0}); }) ==
        "FER-3001");
  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [&](PGconn&) { return films->commit("r", "2", nothing); });
        }) == "FER-3001");
  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [&](PGconn&) { return other->commit("r", "2", nothing); });
        }) == "nothing thrown");
}

TEST_CASE("errors name the database, and never its password") {
  const std::string server = "127.0.0.1:" + std::to_string(server_port());
  const auto nowhere =
      fermata::postgres_database("postgres://fermata:s3cret@" + server + "/nowhere");

  const std::string said = words_thrown_by([&] { nowhere->commit("run_1", "1", nothing); });

  CHECK(said.find("nowhere of 127.0.0.1") != std::string::npos);
  CHECK(said.find("does not exist") != std::string::npos);
  CHECK(said.find("s3cret") == std::string::npos);
  CHECK(words_thrown_by([] {
          fermata::postgres_database("postgres:/x:s3cret@y/z");
        }).find("s3cret") == std::string::npos);
}

TEST_CASE("deadlocks and serialization failures are tried again, whatever the body throws") {
  const fresh_database db;
  connection(db.address()).execute("CREATE TABLE pair(id int PRIMARY KEY, n int)");
  connection(db.address()).execute("INSERT INTO pair VALUES (1, 0), (2, 0)");
  const auto films = fermata::postgres_database(db.address());
  std::latch both(2);
  std::atomic<int> bodies = 0;
  const auto lock_both = [&](const char* operation, const char* first, const char* second) {
    bool meet = true;
    films->commit("run_1", operation, [&](PGconn& on) {
      ++bodies;
      run(on, first);
      if (std::exchange(meet, false)) both.arrive_and_wait();
      try {
        run(on, second);
      } catch (const std::runtime_error&) {
        throw fermata::failure("the pair is locked", {.retryable = false});
      }
      return std::string();
    });
  };
  constexpr const char* one = "UPDATE pair SET n = n + 1 WHERE id = 1";
  constexpr const char* two = "UPDATE pair SET n = n + 1 WHERE id = 2";

  std::thread other([&] { lock_both("1", one, two); });
  lock_both("2", two, one);
  other.join();

  CHECK(bodies == 3);
  CHECK(connection(db.address()).text("SELECT sum(n) FROM pair") == "4");
}

TEST_CASE("a serialization failure that only the commit finds is tried again") {
  const fresh_database db;
  connection look(db.address());
  look.execute("CREATE TABLE on_call(name text, there boolean)");
  look.execute("INSERT INTO on_call VALUES ('a', true), ('b', true)");
  look.execute("ALTER DATABASE " + db.name() + " SET default_transaction_isolation = serializable");
  const auto films = fermata::postgres_database(db.address());
  films->commit("run_0", "1", nothing);
  std::latch both(2);
  std::mutex mutex;
  std::set<int> backends;
  // Who is the second to leave must see that the first has left.
  const auto leave = [&](const char* who) {
    bool meet = true;
    return films->commit("run_1", who, [&](PGconn& on) {
      {
        const std::lock_guard lock(mutex);
        backends.insert(PQbackendPID(&on));
      }
      PGresult* found = PQexec(&on, "SELECT count(*) FROM on_call WHERE there");
      const bool may = std::string_view(PQgetvalue(found, 0, 0)) == "2";
      PQclear(found);
      if (std::exchange(meet, false)) both.arrive_and_wait();
      const std::string sql =
          std::string("UPDATE on_call SET there = false WHERE name = '") + who + "'";
      if (may) run(on, sql.c_str());
      return std::string(may ? "left" : "stays");
    });
  };

  std::string a;
  std::thread other([&] { a = leave("a"); });
  const std::string b = leave("b");
  other.join();

  CHECK(((a == "left") != (b == "left")));
  CHECK(look.text("SELECT count(*) FROM on_call WHERE there") == "1");
  CHECK(backends.size() == 2);  // nobody had to connect again
}
