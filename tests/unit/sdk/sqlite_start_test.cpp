// SPDX-License-Identifier: Apache-2.0
// Runs that are started, and signals that are sent, within a transaction of the caller's own.
#include "tests/unit/engine/sqlite/place.hpp"

#include <doctest/doctest.h>

#include <fermata/fermata.hpp>
#include <fermata/sqlite.hpp>

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using fermata::conformance::await;
using fermata::conformance::baton;
using fermata::conformance::foreign;
using fermata::conformance::in_child;
using fermata::conformance::place;

namespace {

constexpr fermata::workflow<int(int)> double_it{"double_it"};
constexpr fermata::workflow<int(int)> add_heard{"add_heard"};
constexpr fermata::workflow<int()> no_input{"no_input"};
constexpr fermata::signal<int> heard{"heard"};
constexpr fermata::signal<> go_on{"go_on"};

fermata::task<int> doubled(fermata::context&, int n) { co_return 2 * n; }
fermata::task<int> plus_heard(fermata::context& ctx, int n) {
  int more = co_await ctx.receive(heard);
  co_await ctx.receive(go_on);
  co_return n + more;
}
fermata::task<int> seven(fermata::context&) { co_return 7; }

void serve(fermata::worker& worker) {
  worker.serve(double_it, doubled);
  worker.serve(add_heard, plus_heard);
  worker.serve(no_input, seven);
}

/// A worker on a thread of this process.
class working {
 public:
  explicit working(const fermata::journal& where) : worker_(where) {
    serve(worker_);
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

/// A journal, and a table of the user's in the same file.
struct shop {
  place folder;
  std::string address = folder.address();
  fermata::journal journal = fermata::open(address);
  fermata::client client{journal};
  foreign db{folder.file()};

  shop() { REQUIRE(db.run("CREATE TABLE orders(id TEXT, run TEXT)").empty()); }

  fermata::uncommitted_run<int> order(const std::string& id, int n) {
    auto started = client.start(db.handle(), double_it, n, {.key = id});
    REQUIRE(db.run("INSERT INTO orders VALUES ('" + id + "', '" + started.id() + "')").empty());
    return started;
  }
  std::string orders() { return db.one("SELECT count(*) FROM orders"); }
  /// Everything that a start or a signal may leave behind.
  std::string rows() {
    return db.one(
        "SELECT (SELECT count(*) FROM start_requests) || ' ' || (SELECT count(*) FROM runs) || ' ' "
        "|| (SELECT count(*) FROM keys) || ' ' || (SELECT count(*) FROM inbox) || ' ' || "
        "(SELECT count(*) FROM ready) || ' ' || (SELECT count(*) FROM names)");
  }
};

std::string code_thrown_by(const std::function<void()>& what) {
  try {
    what();
  } catch (const fermata::error& why) {
    return why.code();
  }
  return "nothing thrown";
}

/// A worker in a process of its own, until it is killed. To be called before this process has threads.
class other_process {
 public:
  explicit other_process(const std::string& address) {
    const baton ready;
    child_ = in_child([&] {
      fermata::worker worker(fermata::open(address));
      serve(worker);
      ready.pass();
      worker.run();
      return 0;
    });
    ready.take();
  }
  ~other_process() {
    ::kill(child_, SIGKILL);
    await(child_);
  }

 private:
  pid_t child_ = 0;
};

}  // namespace

TEST_CASE("a start that is rolled back never was") {
  shop s;
  const std::string before = s.rows();
  std::optional<fermata::uncommitted_run<int>> started;

  {
    const fermata::sqlite_transaction both(s.db.handle(), s.address);
    started = s.order("o1", 21);
    CHECK(s.rows() != before);
    CHECK(code_thrown_by([&] { (void)started->committed(); }) == "FER-1302");
  }

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

  fermata::sqlite_transaction both(s.db.handle(), s.address);
  const auto started = s.order("o1", 21);
  const auto second = s.client.start(s.db.handle(), no_input);
  both.commit();

  CHECK(started.is_new());
  CHECK(started.committed().result(30s) == 42);
  CHECK(second.committed().result(30s) == 7);
  CHECK(s.client.list({.workflow = "double_it"}).size() == 1);
  CHECK(s.client.attach(double_it, "o1").id() == started.id());
  CHECK(s.db.one("SELECT run FROM orders") == started.id());
}

TEST_CASE("options are those of any start") {
  shop s;

  fermata::sqlite_transaction both(s.db.handle(), s.address);
  const auto started = s.client.start(s.db.handle(), double_it, 1,
                                      {.delay = 1h, .queue = "slow", .tags = {{"tenant", "a"}}});
  CHECK(code_thrown_by([&] {
          (void)s.client.start(s.db.handle(), double_it, 1, {.key = "run_mine"});
        }) == "FER-1307");
  both.commit();

  const fermata::run_info info = started.committed().describe();
  CHECK(info.queue == "slow");
  CHECK(info.tags.at("tenant") == "a");
  CHECK(info.state == fermata::run_state::waiting_to_start);
  CHECK(s.db.one("SELECT not_before - requested FROM start_requests") == "3600000000");
}

TEST_CASE("a key that comes twice within one transaction is one run, or a conflict") {
  shop s;
  using fermata::on_duplicate;
  sqlite3* db = s.db.handle();

  fermata::sqlite_transaction both(db, s.address);
  const auto first = s.client.start(db, double_it, 1, {.key = "o1"});
  const auto again = s.client.start(db, double_it, 1, {.key = "o1"});
  CHECK(code_thrown_by([&] { (void)s.client.start(db, double_it, 2, {.key = "o1"}); }) ==
        "FER-1301");
  CHECK(code_thrown_by([&] {
          (void)s.client.start(db, double_it, 1, {.key = "o1", .on_duplicate = on_duplicate::fail});
        }) == "FER-1301");
  const auto other = s.client.start(db, add_heard, 1, {.key = "o1"});
  both.commit();

  CHECK(first.is_new());
  CHECK_FALSE(again.is_new());
  CHECK(again.id() == first.id());
  CHECK(other.id() != first.id());
  CHECK(s.client.list().size() == 2);
}

TEST_CASE("a key that is bound already attaches, conflicts or starts anew, as any start") {
  shop s;
  using fermata::on_duplicate;
  const working here(s.journal);
  const auto before = s.client.start(double_it, 1, {.key = "o1"});
  CHECK(before.result(30s) == 2);
  sqlite3* db = s.db.handle();

  fermata::sqlite_transaction both(db, s.address);
  const auto attached = s.client.start(db, double_it, 1, {.key = "o1"});
  CHECK(code_thrown_by([&] { (void)s.client.start(db, double_it, 2, {.key = "o1"}); }) ==
        "FER-1301");
  CHECK(attached.id() == before.id());
  CHECK(attached.committed().id() == before.id());
  const auto anew = s.client.start(db, double_it, 2,
                                   {.key = "o1", .on_duplicate = on_duplicate::restart_if_ended});
  both.commit();

  CHECK(anew.is_new());
  CHECK(anew.committed().result(30s) == 4);
  CHECK(s.client.attach(double_it, "o1").id() == anew.id());
}

TEST_CASE("a start that fails halfway leaves the caller's transaction as it was") {
  shop s;
  REQUIRE(s.db.run("CREATE TEMP TRIGGER full BEFORE INSERT ON start_requests WHEN NEW.key = 'o2' "
                   "BEGIN SELECT RAISE(FAIL, 'no more'); END")
              .empty());

  fermata::sqlite_transaction both(s.db.handle(), s.address);
  s.order("o1", 1);
  const std::string before = s.rows();
  CHECK(code_thrown_by([&] { s.order("o2", 2); }) == "FER-2104");
  CHECK(s.rows() == before);  // the key of o2 had been inserted
  s.order("o3", 3);
  both.commit();

  CHECK(s.orders() == "2");
  CHECK(s.client.list().size() == 2);
}

TEST_CASE("signals are delivered if the transaction is committed, also to runs started in it") {
  shop s;
  const working here(s.journal);
  const auto waiting = s.client.start(add_heard, 1);
  sqlite3* db = s.db.handle();

  {
    const fermata::sqlite_transaction never(db, s.address);
    s.client.signal(db, waiting, heard, 1000);
  }
  fermata::sqlite_transaction both(db, s.address);
  s.client.signal(db, waiting, heard, 10);
  s.client.signal(db, waiting, go_on);
  const auto started = s.client.start(db, add_heard, 2);
  s.client.signal(db, started, heard, 20);
  s.client.signal(db, started, go_on);
  both.commit();

  CHECK(waiting.result(30s) == 11);
  CHECK(started.committed().result(30s) == 22);
  fermata::sqlite_transaction late(db, s.address);
  CHECK(code_thrown_by([&] { s.client.signal(db, waiting, heard, 1); }) == "FER-1303");
  CHECK(code_thrown_by([&] {
          const fermata::any_run nobody(s.journal, "run_01HZZZZZZZZZZZZZZZZZZZZZZZ");
          s.client.signal(db, nobody, heard, 1);
        }) == "FER-1302");
}

TEST_CASE("a connection that can't be right is refused, with nothing written") {
  shop s;
  const shop elsewhere;
  const std::string before = s.rows();
  const auto start_on = [&](sqlite3* on) {
    return code_thrown_by([&] { (void)s.client.start(on, double_it, 1); });
  };
  foreign other(elsewhere.folder.file());
  foreign memory(":memory:");

  CHECK(start_on(nullptr) == "FER-3001");
  CHECK(start_on(s.db.handle()) == "FER-3001");  // no transaction
  other.run("BEGIN IMMEDIATE");
  CHECK(start_on(other.handle()) == "FER-3001");
  memory.run("BEGIN IMMEDIATE");
  CHECK(start_on(memory.handle()) == "FER-3001");
  s.db.run("PRAGMA synchronous = NORMAL");
  s.db.run("BEGIN IMMEDIATE");
  CHECK(start_on(s.db.handle()) == "FER-3001");
  s.db.run("COMMIT");
  CHECK(s.rows() == before);
  fermata::client in_memory(fermata::open("memory:"));
  CHECK(code_thrown_by([&] { (void)in_memory.start(memory.handle(), double_it, 1); }) ==
        "FER-3001");

  // A sqlite_transaction makes it right.
  fermata::sqlite_transaction both(s.db.handle(), s.address);
  CHECK(start_on(s.db.handle()) == "nothing thrown");
  // As a later version leaves it, which this one mayn't write to.
  s.db.run(
      "INSERT INTO schema_version(version, written_by_min, readable_by_min, written_by, at) "
      "VALUES (99, 99, 1, '9.9.9', 0)");
  CHECK(start_on(s.db.handle()) == "FER-2003");
}

TEST_CASE("a reader's snapshot that is too old is refused, and can be tried again") {
  shop s;
  REQUIRE(s.db.run("BEGIN").empty());
  s.orders();
  (void)s.client.start(double_it, 1);

  CHECK(code_thrown_by([&] { (void)s.client.start(s.db.handle(), double_it, 2); }) == "FER-2102");
  CHECK(s.db.run("ROLLBACK").empty());
  CHECK(s.client.list().size() == 1);
}

TEST_CASE("two processes that start the same keys start each once") {
  place folder;
  const std::string address = folder.address();
  constexpr int orders = 25;
  const auto order_all = [&] {
    fermata::client client(fermata::open(address));
    foreign db(folder.file());
    int news = 0;
    for (int i = 0; i < orders; ++i) {
      fermata::sqlite_transaction both(db.handle(), address);
      const auto started =
          client.start(db.handle(), double_it, i, {.key = "o" + std::to_string(i)});
      if (started.is_new()) {
        ++news;
        if (!db.run("INSERT INTO orders VALUES ('" + std::to_string(i) + "')").empty()) return 99;
      }
      both.commit();
    }
    return news;
  };
  (void)fermata::open(address);
  foreign(folder.file()).run("CREATE TABLE orders(id TEXT)");

  const pid_t one = in_child(order_all);
  const pid_t two = in_child(order_all);

  CHECK(await(one) + await(two) == orders);
  const fermata::client client(fermata::open(address));
  CHECK(client.list().size() == orders);
  CHECK(foreign(folder.file()).one("SELECT count(DISTINCT id) || ' ' || count(*) FROM orders") ==
        "25 25");
}

TEST_CASE("a process that is killed before the commit has started nothing, and holds nothing up") {
  shop s;
  const std::string before = s.rows();

  const pid_t child = in_child([&] {
    fermata::client client(fermata::open(s.address));
    foreign db(s.folder.file());
    const fermata::sqlite_transaction both(db.handle(), s.address);
    (void)client.start(db.handle(), double_it, 1, {.key = "o1"});
    db.run("INSERT INTO orders VALUES ('o1', '')");
    ::kill(::getpid(), SIGKILL);
    return 0;
  });
  CHECK(await(child) == -1);

  CHECK(s.rows() == before);
  CHECK(s.orders() == "0");
  fermata::sqlite_transaction both(s.db.handle(), s.address);
  CHECK(s.order("o1", 2).is_new());
  both.commit();
  CHECK(s.client.list().size() == 1);
}

TEST_CASE("a process that is killed right after the commit has started the run") {
  shop s;

  const pid_t child = in_child([&] {
    fermata::client client(fermata::open(s.address));
    foreign db(s.folder.file());
    sqlite3_wal_hook(
        db.handle(), [](void*, sqlite3*, const char*, int) { return ::kill(::getpid(), SIGKILL); },
        nullptr);
    fermata::sqlite_transaction both(db.handle(), s.address);
    (void)client.start(db.handle(), double_it, 21, {.key = "o1"});
    both.commit();
    return 0;
  });
  CHECK(await(child) == -1);

  const working here(s.journal);
  CHECK(s.client.attach(double_it, "o1").result(30s) == 42);
}

TEST_CASE("a worker in another process is woken by the commit, a plain one too") {
  const place folder;
  const std::string address = folder.address();
  (void)fermata::open(address);
  const other_process worker(address);
  fermata::client client(fermata::open(address));
  foreign db(folder.file());
  REQUIRE(db.run("PRAGMA busy_timeout = 10000").empty());  // the worker's guard commits, too
  const auto idle = client.start(double_it, 0);
  CHECK(idle.result(30s) == 0);

  // Well within the 30 s after which an idle worker looks by itself.
  for (int n = 1; n <= 5; ++n) {
    fermata::sqlite_transaction both(db.handle(), address);
    const auto started = client.start(db.handle(), double_it, n);
    both.commit();
    CHECK(started.committed().result(10s) == 2 * n);
  }
  for (int n = 1; n <= 5; ++n) {
    REQUIRE(db.run("BEGIN IMMEDIATE").empty());
    const auto started = client.start(db.handle(), double_it, n);
    REQUIRE(db.run("COMMIT").empty());
    CHECK(started.committed().result(10s) == 2 * n);
  }
}
