// SPDX-License-Identifier: Apache-2.0
// Runs that are started, and signals that are sent, within a transaction of the caller's own on
// Postgres; transactional steps on tables beside the journal's.
#include "tests/unit/sdk/postgres_shop.hpp"

#include <fermata/postgres.hpp>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

using namespace fermata::postgres_tests;
using namespace std::chrono_literals;
using fermata::on_duplicate;

TEST_CASE("a start that is rolled back never was") {
  shop s;
  const std::string before = s.rows();

  s.db.execute("BEGIN");
  std::optional<fermata::uncommitted_run<int>> started = s.order("o1", 21);
  CHECK(s.rows() != before);
  CHECK(code_thrown_by([&] { (void)started->committed(); }) == "FER-1302");
  s.db.execute("ROLLBACK");

  CHECK(s.rows() == before);
  CHECK(s.orders() == "0");
  CHECK(code_thrown_by([&] { (void)started->committed(); }) == "FER-1302");
  CHECK(code_thrown_by([&] { (void)s.client.attach(double_it, "o1"); }) == "FER-1302");
  // The key is free, also for another input.
  const working here(s.journal);
  CHECK(s.client.start(double_it, 4, {.key = "o1"}).result(30s) == 8);
}

TEST_CASE("a start that is committed begins once, with the caller's row") {
  shop s;
  const working here(s.journal);

  s.db.execute("BEGIN");
  const auto started = s.order("o1", 21);
  const auto second = s.client.start(s.db.handle(), no_input);
  s.db.execute("COMMIT");

  CHECK(started.is_new());
  CHECK(started.committed().result(30s) == 42);
  CHECK(second.committed().result(30s) == 7);
  CHECK(s.client.list({.workflow = "double_it"}).size() == 1);
  CHECK(s.client.attach(double_it, "o1").id() == started.id());
  CHECK(s.db.text("SELECT run FROM orders") == started.id());
}

TEST_CASE("as the documentation shows it") {
  shop s;
  const working here(s.journal);
  fermata::client& client = s.client;
  PGconn* const db = s.db.handle();
  const auto waiting = client.start(add_heard, 1);
  waiting.signal(go_on);
  // [start]
  PQclear(PQexec(db, "BEGIN"));
  PQclear(PQexec(db, "INSERT INTO orders VALUES ('7')"));
  auto started = client.start(db, double_it, 7, {.key = "order-7"});
  client.signal(db, waiting, heard, 3);  // the same for signals
  PQclear(PQexec(db, "COMMIT"));
  int result = started.committed().result(30s);
  // [start] end
  CHECK(result == 14);
  CHECK(waiting.result(30s) == 4);
  CHECK(s.orders() == "1");
}

TEST_CASE("options are those of any start") {
  shop s;
  const auto not_after = fermata::time_point(std::chrono::milliseconds(4'102'444'800'000));

  s.db.execute("BEGIN");
  const auto started = s.client.start(s.db.handle(), double_it, 1,
                                      {.delay = 1h,
                                       .not_after = not_after,
                                       .deadline = 2h,
                                       .queue = "slow",
                                       .priority = 4,
                                       .tags = {{"tenant", "a"}}});
  CHECK(code_thrown_by([&] {
          (void)s.client.start(s.db.handle(), double_it, 1, {.key = "run_mine"});
        }) == "FER-1307");
  s.db.execute("COMMIT");

  const fermata::run_info info = started.committed().describe();
  CHECK(info.queue == "slow");
  CHECK(info.tags.at("tenant") == "a");
  CHECK(info.state == fermata::run_state::waiting_to_start);
  CHECK(s.db.text("SELECT concat_ws(' ', not_before - requested, deadline - not_before, not_after, "
                  "priority, chain, length(seed)) FROM orders_journal.start_requests") ==
        "3600000000 7200000000 4102444800000000 -4 16");
}

TEST_CASE("a key that comes twice within one transaction is one run, or a conflict") {
  shop s;
  PGconn* db = s.db.handle();

  s.db.execute("BEGIN");
  const auto first = s.client.start(db, double_it, 1, {.key = "o1"});
  const auto again = s.client.start(db, double_it, 1, {.key = "o1"});
  CHECK(code_thrown_by([&] { (void)s.client.start(db, double_it, 2, {.key = "o1"}); }) ==
        "FER-1301");
  CHECK(code_thrown_by([&] {
          (void)s.client.start(db, double_it, 1, {.key = "o1", .on_duplicate = on_duplicate::fail});
        }) == "FER-1301");
  const auto other = s.client.start(db, add_heard, 1, {.key = "o1"});
  s.db.execute("COMMIT");

  CHECK(first.is_new());
  CHECK_FALSE(again.is_new());
  CHECK(again.id() == first.id());
  CHECK(other.id() != first.id());
  CHECK(s.client.list().size() == 2);
}

TEST_CASE("a key that is bound already attaches, conflicts or starts anew, as any start") {
  shop s;
  const working here(s.journal);
  const auto before = s.client.start(double_it, 1, {.key = "o1"});
  CHECK(before.result(30s) == 2);
  PGconn* db = s.db.handle();

  s.db.execute("BEGIN");
  const auto attached = s.client.start(db, double_it, 1, {.key = "o1"});
  CHECK(code_thrown_by([&] { (void)s.client.start(db, double_it, 2, {.key = "o1"}); }) ==
        "FER-1301");
  CHECK(attached.id() == before.id());
  CHECK(attached.committed().id() == before.id());
  const auto anew = s.client.start(db, double_it, 2,
                                   {.key = "o1", .on_duplicate = on_duplicate::restart_if_ended});
  s.db.execute("COMMIT");

  CHECK(anew.is_new());
  CHECK(anew.committed().result(30s) == 4);
  CHECK(s.client.attach(double_it, "o1").id() == anew.id());
}

TEST_CASE("a start that fails halfway leaves the caller's transaction as it was") {
  shop s;
  s.db.execute(
      "CREATE FUNCTION no_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF NEW.key = 'o2' THEN RAISE EXCEPTION 'no more'; END IF; RETURN NEW; END $$; "
      "CREATE TRIGGER no_more BEFORE INSERT ON orders_journal.start_requests FOR EACH ROW "
      "EXECUTE FUNCTION no_more()");

  s.db.execute("BEGIN");
  s.order("o1", 1);
  const std::string before = s.rows();
  CHECK(code_thrown_by([&] { s.order("o2", 2); }) == "FER-2104");
  CHECK(s.rows() == before);  // the key of o2 had been inserted
  s.order("o3", 3);
  s.db.execute("COMMIT");

  CHECK(s.orders() == "2");
  CHECK(s.client.list().size() == 2);
}

TEST_CASE("signals are delivered if the transaction is committed, also to runs started in it") {
  shop s;
  const working here(s.journal);
  const auto waiting = s.client.start(add_heard, 1);
  PGconn* db = s.db.handle();

  s.db.execute("BEGIN");
  s.client.signal(db, waiting, heard, 1000);
  s.db.execute("ROLLBACK");
  s.db.execute("BEGIN");
  s.client.signal(db, waiting, heard, 10);
  s.client.signal(db, waiting, go_on);
  const auto started = s.client.start(db, add_heard, 2);
  s.client.signal(db, started, heard, 20);
  s.client.signal(db, started, go_on);
  s.db.execute("COMMIT");

  CHECK(waiting.result(30s) == 11);
  CHECK(started.committed().result(30s) == 22);
  s.db.execute("BEGIN");
  CHECK(code_thrown_by([&] { s.client.signal(db, waiting, heard, 1); }) == "FER-1303");
  CHECK(code_thrown_by([&] {
          const fermata::any_run nobody(s.journal, "run_01HZZZZZZZZZZZZZZZZZZZZZZZ");
          s.client.signal(db, nobody, heard, 1);
        }) == "FER-1302");
}

TEST_CASE("signals of two transactions at once are both heard, in the order of their commits") {
  shop s;
  const working here(s.journal);
  for (int i = 0; i < 10; ++i) {
    const auto run = s.client.start(add_heard, i);
    s.db.execute("BEGIN");
    s.client.signal(s.db.handle(), run, heard, 1);
    std::thread other([&] { run.signal(heard, 1'000); });  // waits for our commit
    std::this_thread::sleep_for(std::chrono::milliseconds(i));
    s.db.execute("COMMIT");
    other.join();
    run.signal(go_on);
    CHECK(run.result(30s) == i + 1);
  }
}

TEST_CASE("a connection that can't be right is refused, with nothing written") {
  shop s;
  const shop elsewhere;
  const std::string before = s.rows();
  const auto start_on = [&](PGconn* on) {
    return code_thrown_by([&] { (void)s.client.start(on, double_it, 1); });
  };
  connection other(elsewhere.database.address());

  CHECK(start_on(nullptr) == "FER-3001");
  CHECK(start_on(s.db.handle()) == "FER-3001");  // no transaction
  other.execute("BEGIN");
  CHECK(start_on(other.handle()) == "FER-3001");
  s.db.execute("BEGIN");
  CHECK(s.said_to("SELECT 1/0") != "fine");
  CHECK(start_on(s.db.handle()) == "FER-3001");  // it has failed
  s.db.execute("ROLLBACK");
  CHECK(s.rows() == before);
  fermata::client in_memory(fermata::open("memory:"));
  s.db.execute("BEGIN");
  CHECK(code_thrown_by([&] { (void)in_memory.start(s.db.handle(), double_it, 1); }) == "FER-3001");
  CHECK(start_on(s.db.handle()) == "nothing thrown");
  // One that is gone, and its transaction with it.
  connection(s.database.address())
      .execute("SELECT pg_terminate_backend(" + s.db.text("SELECT pg_backend_pid()") + ")");
  CHECK(start_on(s.db.handle()) == "FER-2105");
}

TEST_CASE("what a session says of durability and isolation doesn't weaken a start") {
  for (const char* isolation : {"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"}) {
    CAPTURE(isolation);
    shop s;
    const working here(s.journal);
    const auto waiting = s.client.start(add_heard, 1);
    s.db.execute("SET synchronous_commit = off");
    std::optional<fermata::uncommitted_run<int>> started;
    std::string how;
    int tries = 0;
    do {
      s.db.execute(std::string("BEGIN ISOLATION LEVEL ") + isolation);
      started = s.order("o1", 4);
      CHECK(s.db.text("SHOW synchronous_commit") == "on");
      // Beside our snapshot: another's message comes before ours.
      if (++tries == 1) waiting.signal(heard, 5);
      how = code_thrown_by([&] { s.client.signal(s.db.handle(), waiting, go_on); });
      // A serializable transaction may be refused as late as this.
      if (how == "nothing thrown" && s.said_to("COMMIT") != "fine") how = "FER-2106";
      if (how != "nothing thrown") s.db.execute("ROLLBACK");
    } while (how == "FER-2106" && tries < 100);  // as the error says: all of it once more
    CHECK(how == "nothing thrown");
    if (std::string(isolation) == "READ COMMITTED") CHECK(tries == 1);
    CHECK(started->committed().result(30s) == 8);
    CHECK(waiting.result(30s) == 6);
    CHECK(s.db.text("SHOW synchronous_commit") == "off");
  }
}

TEST_CASE("of many transactions that start the same key one has begun it, and all know it") {
  shop s;
  constexpr int callers = 12;
  std::vector<std::string> ids(callers);
  std::atomic<int> news = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < callers; ++i)
    threads.emplace_back([&, i] {
      connection db(s.database.address());
      db.execute("BEGIN");
      const auto started = s.client.start(db.handle(), double_it, 1, {.key = "o1"});
      // Every third gives up: whoever waited for it takes the key.
      db.execute(i % 3 == 0 ? "ROLLBACK" : "COMMIT");
      if (i % 3 == 0) return;
      if (started.is_new()) ++news;
      ids[i] = started.id();
    });
  for (std::thread& one : threads) one.join();

  CHECK(news == 1);
  CHECK(s.client.list().size() == 1);
  for (std::size_t i = 0; i < callers; ++i)
    if (i % 3 != 0) CHECK(ids[i] == s.client.attach(double_it, "o1").id());
}

TEST_CASE("who keeps others waiting by an open transaction is named, and nothing is lost by it") {
  ::setenv("FERMATA_BOUND", "lock_warning_ms=300", 1);
  shop s;
  std::mutex mutex;
  std::string said;
  const fermata::journal watched =
      fermata::open(s.address, {.warn = [&](std::string_view sentence) {
                      const std::lock_guard guard(mutex);
                      said += sentence;
                    }});
  const working here(watched);
  const auto run = fermata::client(watched).start(add_heard, 1);
  const std::string process = s.db.text("SELECT pg_backend_pid()");

  s.db.execute("SET application_name = 'forgotten'");
  s.db.execute("BEGIN");
  s.client.signal(s.db.handle(), run, heard, 2);
  std::thread waits([&] { run.signal(go_on); });
  const auto named = [&] {
    const std::lock_guard guard(mutex);
    return said.find("process " + process + " (forgotten of fermata, idle in transaction") !=
           std::string::npos;
  };
  for (int i = 0; i < 1'500 && !named(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_MESSAGE(named(), said);
  s.db.execute("COMMIT");
  waits.join();

  CHECK(run.result(30s) == 3);
}

// ---- transactional steps on tables beside the journal's ----

namespace {

constexpr fermata::database<PGconn> orders_db{"orders"};
constexpr fermata::database<sqlite3> of_another_kind{"orders"};
constexpr fermata::step<int(int)> book{"book"};
constexpr fermata::step<std::string()> asked{"asked"};
constexpr fermata::workflow<std::string(int)> booking{"booking"};

int rows_of(PGconn& db) {
  PGresult* answer = PQexec(&db, "SELECT count(*) FROM orders");
  const int count = std::atoi(PQgetvalue(answer, 0, 0));
  PQclear(answer);
  return count;
}

std::string isolation_of(PGconn& db) {
  PGresult* answer = PQexec(&db, "SHOW transaction_isolation");
  std::string said = PQgetvalue(answer, 0, 0);
  PQclear(answer);
  return said;
}

fermata::task<std::string> book_all(fermata::context& ctx, int n) {
  int one = co_await ctx.call(book, n);
  auto body = [](PGconn& db) {
    run(db, "INSERT INTO orders VALUES ('inline', '')");
    return rows_of(db);
  };
  int two = co_await ctx.transaction("inline", orders_db, body);
  auto bad = [](PGconn& db) -> int {
    run(db, "INSERT INTO orders VALUES ('never', '')");
    run(db, "SELECT 1/0");
    return 0;
  };
  fermata::outcome<int> three =
      co_await ctx.settle(ctx.transaction("bad", orders_db, bad, {.retry = {.max_attempts = 2}}));
  auto start = [](PGconn& db) {
    run(db, "SELECT orders_journal.start('double_it', '21', 'by-step')");
    return rows_of(db);
  };
  int four = co_await ctx.transaction("start", orders_db, start);
  std::string isolation = co_await ctx.call(asked);
  co_return std::to_string(one) + std::to_string(two) + (three ? "?" : "-") + std::to_string(four) +
      isolation;
}

}  // namespace

TEST_CASE("a step on tables in the journal's database has its effect exactly once") {
  shop s;
  // As a careful administrator may have it: the journal's own transactions mind their isolation.
  s.db.execute("ALTER DATABASE " + s.database.name() +
               " SET default_transaction_isolation = 'serializable'");
  fermata::journal journal = fermata::open(s.address);
  fermata::worker worker(journal);
  // [step]
  worker.connect(orders_db, fermata::journal_tables());
  worker.serve(book, orders_db, [](PGconn& db, int) {
    run(db, "INSERT INTO orders VALUES ('step', '')");
    return rows_of(db);
  });
  // [step] end
  worker.serve(asked, orders_db, [](PGconn& db) { return isolation_of(db); });
  worker.serve(booking, book_all);
  worker.serve(double_it, doubled);
  std::thread thread([&] { worker.run(); });

  fermata::client client(journal);
  CHECK(client.start(booking, 1).result(30s) == "12-2read committed");
  CHECK(client.attach(double_it, "by-step").result(30s) == 42);
  worker.stop();
  thread.join();

  CHECK(s.orders() == "2");
}

TEST_CASE("a database in the journal has the handle of its journal, or its worker doesn't run") {
  const shop s;
  fermata::worker worker(s.journal);
  worker.connect(of_another_kind, fermata::journal_tables());
  CHECK(code_thrown_by([&] { worker.run(); }) == "FER-3003");
  fermata::worker in_memory(fermata::open("memory:"));
  in_memory.connect(orders_db, fermata::journal_tables());
  CHECK(code_thrown_by([&] { in_memory.run(); }) == "FER-3003");
}
