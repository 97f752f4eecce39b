// SPDX-License-Identifier: Apache-2.0
// Runs that are retried by an operator, and transactions in the journal's own database.
#include "engine/operate/operate.hpp"
#include "semantics.hpp"
#include "src/journal_impl.hpp"

#include <sqlite3.h>

#include <cstdlib>
#include <map>

using namespace semantics;

namespace {

constexpr fermata::step<int(int)> first{"first"}, second{"second"};
constexpr fermata::step<void(int)> undo{"undo"};
constexpr fermata::signal<int> number{"number"};
constexpr fermata::workflow<int(int)> child_flow{"child_flow"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

std::string retry(kit& t, const fermata::any_run& run, bool from_start = false) {
  fermata::engine::store& store = fermata::detail::inside(t.journal).store();
  const auto id = fermata::engine::run_id::parse(run.id());
  const auto anew =
      fermata::engine::retry(store, *id, {.who = "test", .why = "repaired"}, from_start);
  return anew.ok() ? anew->text() : std::string(anew.status().message());
}

fermata::task<std::string> two_steps(fermata::context& ctx, int n) {
  const std::string drawn = ctx.uuid();
  int a = co_await ctx.call(first, n);
  co_await ctx.sleep(1h);
  int b = co_await ctx.call(second, a, {.retry = {.max_attempts = 1}});
  co_return std::to_string(a) + " " + std::to_string(b) + " " + drawn;
}

constexpr fermata::database<sqlite3> ledger{"ledger"};
constexpr fermata::step<int(int)> book{"book"};

int rows_of(sqlite3& db) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(&db, "SELECT count(*), sum(n) FROM bookings", -1, &statement, nullptr);
  sqlite3_step(statement);
  const int rows = sqlite3_column_int(statement, 0);
  sqlite3_finalize(statement);
  return rows;
}

void insert(sqlite3& db, int n) {
  const std::string sql =
      "CREATE TABLE IF NOT EXISTS bookings(n INTEGER); INSERT INTO bookings "
      "VALUES (" +
      std::to_string(n) + ")";
  if (sqlite3_exec(&db, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    throw fermata::failure(sqlite3_errmsg(&db));
}

bool on_sqlite() {
  const char* store = std::getenv("FERMATA_KIT_STORE");
  return store != nullptr && std::string(store) == "sqlite";
}

}  // namespace

TEST_CASE("a retried run goes on before the step that failed, under the same keys") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    std::map<std::string, int> entered;
    auto count = [&](fermata::step_context& s) { ++entered[std::string(s.idempotency_key())]; };
    t.worker.serve(first, [&](int n, fermata::step_context& s) {
      count(s);
      return 2 * n;
    });
    bool down = true;
    t.worker.serve(second, [&](int n, fermata::step_context& s) {
      count(s);
      if (down) throw fermata::failure("down");
      return 3 * n;
    });
    t.worker.serve(flow, two_steps);

    auto run = t.client.start(flow, 5, {.key = "k"});
    CHECK(problem_of([&] { (void)run.result(); }) == "down");
    down = false;
    const std::string anew = retry(t, run);
    REQUIRE(anew.starts_with("run_"));
    CHECK(anew != run.id());

    CHECK(run.result().starts_with("10 30 "));
    CHECK(t.client.attach(flow, "k").id() == anew);
    CHECK(entered ==
          std::map<std::string, int>{{run.id() + "/1/first", 1}, {run.id() + "/3/second", 2}});
    CHECK(run.describe().id == anew);
    CHECK(run.describe().chain == run.id());
    t.replay_all();
  }
}

TEST_CASE("a healthy run isn't retried, nor one that has compensated, but from its start") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    bool down = true;
    t.worker.serve(first, [&](int n) {
      if (down) throw fermata::failure("down", {.retryable = false});
      return n;
    });
    t.worker.serve(undo, [](int) {});
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      ctx.on_failure(undo, n);
      co_await ctx.sleep(1h);
      int a = co_await ctx.call(first, n);
      co_return std::to_string(a);
    });

    auto run = t.client.start(flow, 5);
    t.work();
    CHECK(contains(retry(t, run), "is open and healthy"));
    CHECK(problem_of([&] { (void)run.result(); }) == "down");
    CHECK(contains(retry(t, run), "has compensated"));
    down = false;

    CHECK(retry(t, run, true).starts_with("run_"));
    CHECK(run.result() == "5");
    t.replay_all();
  }
}

TEST_CASE("a retried parent finds the results of children that have ended") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    int children = 0;
    t.worker.serve(first, [&](int n) {
      ++children;
      return n;
    });
    bool down = true;
    t.worker.serve(second, [&](int n) {
      if (down) throw fermata::failure("down", {.retryable = false});
      return n;
    });
    t.worker.serve(child_flow, [](fermata::context& ctx, int n) -> fermata::task<int> {
      int a = co_await ctx.call(first, n);
      co_return a * 10;
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int a = co_await ctx.call(child_flow, n);
      int b = co_await ctx.call(second, a);
      int c = co_await ctx.call(child_flow, b + 1);
      co_return std::to_string(a) + " " + std::to_string(c);
    });

    auto run = t.client.start(flow, 5);
    CHECK(problem_of([&] { (void)run.result(); }) == "down");
    down = false;
    CHECK(retry(t, run).starts_with("run_"));

    CHECK(run.result() == "50 510");
    CHECK(children == 2);
    t.replay_all();
  }
}

TEST_CASE("a signal reaches the newest run of a chain, one that came before is kept") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    bool down = true;
    t.worker.serve(first, [&](int n) {
      if (down) throw fermata::failure("down", {.retryable = false});
      return n;
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int early = co_await ctx.receive(number);
      int a = co_await ctx.call(first, n);
      int late = co_await ctx.receive(number);
      co_return std::to_string(early) + std::to_string(a) + std::to_string(late);
    });

    auto run = t.client.start(flow, 5);
    run.signal(number, 1);
    CHECK(problem_of([&] { (void)run.result(); }) == "down");
    CHECK(code_of([&] { run.signal(number, 9); }) == "FER-1303");
    down = false;
    CHECK(retry(t, run).starts_with("run_"));
    run.signal(number, 2);

    CHECK(run.result() == "152");
    t.replay_all();
  }
}

TEST_CASE("a transactional step on the journal's tables has its effect exactly once") {
  if (!on_sqlite()) return;  // memory has no tables
  every_way([](kit& t) {
    t.worker.connect(ledger, fermata::journal_tables());
    t.worker.serve(book, ledger, [](sqlite3& db, int n) {
      insert(db, n);
      return rows_of(db);
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int one = co_await ctx.call(book, n);
      auto body = [n](sqlite3& db) {
        insert(db, n + 1);
        return rows_of(db);
      };
      int two = co_await ctx.transaction("inline", ledger, body);
      fermata::future<int> three = ctx.call(book, n);
      fermata::future<int> four = ctx.transaction("inline_again", ledger, body);
      auto [a, b] = co_await ctx.all(three, four);
      co_await ctx.sleep(1min);
      co_return std::to_string(one) + std::to_string(two) + std::to_string(a + b);
    });

    CHECK(t.client.start(flow, 5).result() == "127");
  });
}

TEST_CASE("a transaction that throws leaves nothing behind, and is tried again") {
  if (!on_sqlite()) return;
  every_way([](kit& t) {
    t.worker.connect(ledger, fermata::journal_tables());
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto body = [n](sqlite3& db) {
        insert(db, n);
        if (rows_of(db) < 1) return 0;
        throw fermata::failure("rolled back");
        return 0;
      };
      auto look = [](sqlite3& db) {
        insert(db, 0);
        return rows_of(db);
      };
      fermata::outcome<int> how =
          co_await ctx.settle(ctx.transaction("bad", ledger, body, {.retry = {.max_attempts = 3}}));
      int rows = co_await ctx.transaction("look", ledger, look);
      co_return std::string(how.error().what()) + " " + std::to_string(rows);
    });

    CHECK(t.client.start(flow, 5).result() == "rolled back 1");
  });
}
