// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fermata/error.hpp>
#include <fermata/sqlite.hpp>

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

class fresh_database {
 public:
  fresh_database() {
    std::string name = (std::filesystem::temp_directory_path() / "fermata_db_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  ~fresh_database() { std::filesystem::remove_all(folder_); }
  fresh_database(const fresh_database&) = delete;
  fresh_database& operator=(const fresh_database&) = delete;

  std::string path() const { return (folder_ / "films.db").string(); }

 private:
  std::filesystem::path folder_;
};

class connection {
 public:
  explicit connection(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
    sqlite3_busy_timeout(db_, 5'000);
  }
  ~connection() { sqlite3_close(db_); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void execute(const char* sql) {
    REQUIRE(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  std::string text(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) == SQLITE_OK);
    std::string found = "none";
    if (sqlite3_step(statement) == SQLITE_ROW)
      found = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return found;
  }
  sqlite3* handle() { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

void count_up(sqlite3& db) {
  const char* sql = "UPDATE counter SET n = n + 1";
  if (sqlite3_exec(&db, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    throw std::runtime_error(sqlite3_errmsg(&db));
}

std::string counted(const std::string& path) {
  return connection(path).text("SELECT n FROM counter");
}

void make_counter(const std::string& path, const char* mode = "PRAGMA journal_mode = WAL") {
  connection db(path);
  db.execute(mode);
  db.execute("CREATE TABLE counter(n INTEGER)");
  db.execute("INSERT INTO counter VALUES (0)");
}

std::string code_thrown_by(const std::function<void()>& what) {
  try {
    what();
  } catch (const fermata::error& why) {
    return why.code();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("a repeated commit runs nothing and returns the first outcome") {
  const fresh_database db;
  make_counter(db.path());
  const auto films = fermata::sqlite_database(db.path());

  const std::string first = films->commit("run_1", "3.2", [](sqlite3& on) {
    count_up(on);
    return std::string("one\0two", 7);
  });
  const std::string again = films->commit("run_1", "3.2", [](sqlite3& on) {
    count_up(on);
    return std::string("never");
  });
  const std::string other = films->commit("run_1", "3.3", [](sqlite3& on) {
    count_up(on);
    return std::string();
  });

  CHECK(first == std::string("one\0two", 7));
  CHECK(again == first);
  CHECK(other.empty());
  CHECK(counted(db.path()) == "2");
}

TEST_CASE("of overlapping commits one takes effect, and all return its outcome") {
  for (const char* mode : {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode = DELETE"}) {
    CAPTURE(mode);
    const fresh_database db;
    make_counter(db.path(), mode);
    // Two objects, as in two processes: their threads don't know of one another's turns.
    const auto here = fermata::sqlite_database(db.path());
    const auto there = fermata::sqlite_database(db.path());
    constexpr int attempts = 8;
    std::latch all(attempts);
    std::vector<std::string> outcomes(attempts);
    std::vector<std::thread> threads;

    for (std::size_t n = 0; n < attempts; ++n)
      threads.emplace_back([&, n] {
        all.arrive_and_wait();
        outcomes[n] = (n % 2 ? here : there)->commit("run_1", "1", [n](sqlite3& on) {
          count_up(on);
          return std::to_string(n);
        });
      });
    for (std::thread& one : threads) one.join();

    CHECK(counted(db.path()) == "1");
    for (const std::string& outcome : outcomes) CHECK(outcome == outcomes[0]);
  }
}

TEST_CASE("many operations of several threads are each done once") {
  const fresh_database db;
  make_counter(db.path());
  const auto here = fermata::sqlite_database(db.path());
  const auto there = fermata::sqlite_database(db.path());
  std::vector<std::thread> threads;

  for (int n = 0; n < 4; ++n)
    threads.emplace_back([&, n] {
      for (int i = 0; i < 25; ++i)
        (n % 2 ? here : there)->commit("run_1", std::to_string(n * 100 + i), [](sqlite3& on) {
          count_up(on);
          return std::string("done");
        });
    });
  for (std::thread& one : threads) one.join();

  CHECK(counted(db.path()) == "100");
  CHECK(connection(db.path()).text("SELECT count(*) FROM fermata_receipts") == "100");
}

TEST_CASE("a body that throws leaves neither effect nor receipt, and its exception comes out") {
  const fresh_database db;
  make_counter(db.path());
  const auto films = fermata::sqlite_database(db.path());

  CHECK_THROWS_AS(films->commit("run_1", "1",
                                [](sqlite3& on) -> std::string {
                                  count_up(on);
                                  throw std::domain_error("no such film");
                                }),
                  std::domain_error);
  CHECK(counted(db.path()) == "0");

  CHECK(films->commit("run_1", "1", [](sqlite3&) { return std::string("now"); }) == "now");
}

TEST_CASE("a process killed right after the commit leaves the outcome to the next attempt") {
  const fresh_database db;
  make_counter(db.path());

  const pid_t child = fork();
  if (child == 0) {
    fermata::sqlite_database(db.path())->commit("run_1", "1", [](sqlite3& on) {
      sqlite3_wal_hook(
          &on, [](void*, sqlite3*, const char*, int) { return ::kill(::getpid(), SIGKILL); },
          nullptr);
      count_up(on);
      return std::string("charged");
    });
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);

  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(counted(db.path()) == "1");
  const auto again = fermata::sqlite_database(db.path());
  CHECK(again->commit("run_1", "1", [](sqlite3&) { return std::string("again"); }) == "charged");
}

TEST_CASE("a process killed before the commit has done nothing") {
  const fresh_database db;
  make_counter(db.path());

  const pid_t child = fork();
  if (child == 0) {
    fermata::sqlite_database(db.path())->commit("run_1", "1", [](sqlite3& on) -> std::string {
      count_up(on);
      ::kill(::getpid(), SIGKILL);
      return {};
    });
    _exit(0);
  }
  waitpid(child, nullptr, 0);

  CHECK(counted(db.path()) == "0");
  const auto again = fermata::sqlite_database(db.path());
  CHECK(again->commit("run_1", "1", [](sqlite3&) { return std::string("again"); }) == "again");
}

TEST_CASE("the mode of the file stays its owner's, a new file gets WAL") {
  const fresh_database old;
  make_counter(old.path(), "PRAGMA journal_mode = DELETE");
  const fresh_database made;
  const auto nothing = [](sqlite3&) { return std::string("done"); };

  fermata::sqlite_database(old.path())->commit("run_1", "1", nothing);
  fermata::sqlite_database(made.path())->commit("run_1", "1", nothing);

  CHECK(connection(old.path()).text("PRAGMA journal_mode") == "delete");
  CHECK(connection(made.path()).text("PRAGMA journal_mode") == "wal");
}

TEST_CASE("what can't work is refused with its code") {
  const fresh_database db;
  const auto films = fermata::sqlite_database(db.path());
  const auto nothing = [](sqlite3&) { return std::string(); };

  CHECK(code_thrown_by([] { fermata::sqlite_database(":memory:"); }) == "FER-3001");
  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [&](sqlite3&) { return films->commit("r", "2", nothing); });
        }) == "FER-3001");
  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [&](sqlite3& on) {
            sqlite3_exec(&on, "COMMIT", nullptr, nullptr, nullptr);
            return std::string();
          });
        }) == "FER-3001");
  CHECK(code_thrown_by([&] {
          fermata::sqlite_database("/no/such/folder/films.db")->commit("run_1", "1", nothing);
        }) == "FER-2104");
}

TEST_CASE("a lock that is never let go ends in FER-2102" * doctest::timeout(60)) {
  const fresh_database db;
  make_counter(db.path());
  connection holder(db.path());
  holder.execute("BEGIN IMMEDIATE");
  const auto films = fermata::sqlite_database(db.path());

  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [](sqlite3&) { return std::string(); });
        }) == "FER-2102");

  holder.execute("ROLLBACK");
  CHECK(films->commit("run_1", "1", [](sqlite3&) { return std::string("now"); }) == "now");
}

TEST_CASE("a transaction of one's own on the journal's file is kept by commit only") {
  const fresh_database db;
  make_counter(db.path());
  connection mine(db.path());
  const std::string address = "sqlite:" + db.path();

  {
    fermata::sqlite_transaction work(mine.handle(), address);
    count_up(*mine.handle());
    work.commit();
  }
  {
    fermata::sqlite_transaction work(mine.handle(), address);
    count_up(*mine.handle());
  }

  CHECK(counted(db.path()) == "1");
}

TEST_CASE("transactions of one's own wait for one another") {
  const fresh_database db;
  make_counter(db.path());
  std::vector<std::thread> threads;

  for (int n = 0; n < 4; ++n)
    threads.emplace_back([&] {
      connection mine(db.path());
      for (int i = 0; i < 10; ++i) {
        fermata::sqlite_transaction work(mine.handle(), "sqlite:" + db.path());
        count_up(*mine.handle());
        work.commit();
      }
    });
  for (std::thread& one : threads) one.join();

  CHECK(counted(db.path()) == "40");
}

TEST_CASE("a transaction on a file without a log makes none for it") {
  const fresh_database db;
  make_counter(db.path(), "PRAGMA journal_mode = DELETE");
  connection mine(db.path());

  fermata::sqlite_transaction work(mine.handle(), "sqlite:" + db.path());
  count_up(*mine.handle());
  work.commit();

  CHECK(counted(db.path()) == "1");
  CHECK_FALSE(std::filesystem::exists(db.path() + "-shm"));
}

TEST_CASE("a transaction on another file, or inside another one, is refused") {
  const fresh_database db;
  const fresh_database other;
  make_counter(db.path());
  make_counter(other.path());
  connection mine(db.path());
  const std::string address = "sqlite:" + db.path();
  const auto begin = [&](std::string_view where) {
    return code_thrown_by([&] { fermata::sqlite_transaction work(mine.handle(), where); });
  };

  CHECK(begin("sqlite:" + other.path()) == "FER-3001");
  CHECK(begin("memory:") == "FER-2001");
  mine.execute("BEGIN");
  CHECK(begin(address) == "FER-3001");
  mine.execute("COMMIT");
  CHECK(begin(address) == "nothing thrown");
}
