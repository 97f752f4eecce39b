// SPDX-License-Identifier: Apache-2.0
// Connections, servers and processes that go away at the worst moment.
#include "tests/unit/sdk/cut_cable.hpp"
#include "tests/unit/sdk/postgres_server.hpp"

#include <doctest/doctest.h>

#include <fermata/fermata.hpp>
#include <fermata/postgres.hpp>

#include <libpq-events.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

using namespace fermata::postgres_tests;
using namespace std::chrono_literals;

namespace {

std::string backend_of(PGconn& on) {
  PGresult* found = PQexec(&on, "SELECT pg_backend_pid()");
  std::string pid = PQgetvalue(found, 0, 0);
  PQclear(found);
  return pid;
}

void end_backend(const fresh_database& of, const std::string& pid) {
  connection look(of.address());
  look.execute("SELECT pg_terminate_backend(" + pid + ")");
  look.wait_for("SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid, "0");
}

/// Dies as soon as the server has said that the transaction is committed.
int die_at_commit(PGEventId id, void* info, void*) {
  if (id != PGEVT_RESULTCREATE) return 1;
  const auto* made = static_cast<const PGEventResultCreate*>(info);
  if (std::string_view(PQcmdStatus(made->result)) == "COMMIT") ::kill(::getpid(), SIGKILL);
  return 1;
}

}  // namespace

TEST_CASE("a connection lost within the body is another try, even if the body says it's for good") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  int bodies = 0;

  const std::string outcome = films->commit("run_1", "1", [&](PGconn& on) {
    count_up(on);
    if (++bodies == 1) end_backend(db, backend_of(on));
    try {
      count_up(on);
    } catch (const std::runtime_error&) {
      throw fermata::failure("can't count", {.retryable = false});
    }
    return std::to_string(bodies);
  });

  CHECK(outcome == "2");
  CHECK(db.counted() == "2");
  CHECK(db.receipts() == "1");
}

TEST_CASE("a body whose every try loses its connection fails its attempt, and may be tried again") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  int bodies = 0;

  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [&](PGconn& on) -> std::string {
            ++bodies;
            end_backend(db, backend_of(on));
            PQclear(PQexec(&on, "SELECT 1"));
            throw fermata::failure("can't count", {.retryable = false});
          });
        }) == "FER-2104");

  CHECK(bodies == 4);
  CHECK(films->commit("run_1", "1", [](PGconn&) { return std::string("now"); }) == "now");
}

TEST_CASE("what a body throws for reasons of its own stays, though the connection is lost, too") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  int bodies = 0;

  CHECK_THROWS_AS(films->commit("run_1", "1",
                                [&](PGconn& on) -> std::string {
                                  ++bodies;
                                  end_backend(db, backend_of(on));
                                  throw std::domain_error("no such film");
                                }),
                  std::domain_error);

  CHECK(bodies == 1);
}

TEST_CASE("idle connections that were closed are made anew, and no body runs twice for it") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  std::string pid;
  films->commit("run_1", "1", [&](PGconn& on) {
    pid = backend_of(on);
    return std::string();
  });
  end_backend(db, pid);
  int bodies = 0;

  films->commit("run_1", "2", [&](PGconn& on) {
    ++bodies;
    CHECK(backend_of(on) != pid);
    return std::string();
  });

  CHECK(bodies == 1);
}

TEST_CASE("a backend that dies in the commit, before it is one, is another try") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  films->commit("run_0", "1", [](PGconn&) { return std::string(); });
  connection look(db.address());
  look.execute("CREATE SEQUENCE tries");
  look.execute(
      "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
      "$$BEGIN IF nextval('tries') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); "
      "PERFORM pg_sleep(60); END IF; RETURN NULL; END$$");
  look.execute(
      "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON fermata_receipts "
      "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()");
  int bodies = 0;

  films->commit("run_1", "1", [&](PGconn& on) {
    ++bodies;
    count_up(on);
    return std::string();
  });

  CHECK(bodies == 2);
  CHECK(db.counted() == "1");
}

TEST_CASE("a backend that dies in the commit, after it was one, has done it") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address());
  films->commit("run_0", "1", [](PGconn&) { return std::string(); });
  connection look(db.address());
  // The commit is done, and then waits for a standby that there isn't.
  look.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  look.execute("SELECT pg_reload_conf()");
  look.wait_for("SELECT current_setting('synchronous_standby_names')", "nobody");
  std::atomic<bool> seen = false;
  std::thread killer([&] {
    connection here(db.address());
    here.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
    seen = true;
    here.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  });

  // A commit waits only once the checkpointer has read the setting, which may be later than here.
  int commits = 0;
  int bodies = 0;
  std::string outcome;
  while (!seen) {
    ++commits;
    outcome = films->commit("run_1", std::to_string(commits), [&](PGconn& on) {
      ++bodies;
      count_up(on);
      return std::to_string(bodies);
    });
  }
  killer.join();
  look.execute("ALTER SYSTEM RESET synchronous_standby_names");
  look.execute("SELECT pg_reload_conf()");
  look.wait_for("SELECT current_setting('synchronous_standby_names')", "");

  CHECK(bodies == commits);
  CHECK(outcome == std::to_string(commits));
  CHECK(db.counted() == std::to_string(commits));
}

TEST_CASE("a commit whose answer is lost isn't repeated") {
  const fresh_database db;
  cut_cable cable(server_port(), cut_cable::loses::the_answer);
  const auto films = fermata::postgres_database(db.address("fermata", cable.port()));
  int bodies = 0;

  const std::string outcome = films->commit("run_1", "1", [&](PGconn& on) {
    ++bodies;
    count_up(on);
    return std::string("charged");
  });

  CHECK(cable.was_cut());
  CHECK(bodies == 1);
  CHECK(outcome == "charged");
  CHECK(db.counted() == "1");
}

TEST_CASE(
    "a commit that never arrived is done again, when its transaction surely can't be any more") {
  const fresh_database db;
  cut_cable cable(server_port(), cut_cable::loses::the_question);
  const auto films = fermata::postgres_database(db.address("fermata", cable.port()));
  connection look(db.address());
  int bodies = 0;
  std::string open_before;

  films->commit("run_1", "1", [&](PGconn& on) {
    ++bodies;
    // The first transaction is open still, with its receipt's key, unless somebody ended it.
    open_before = look.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
        "state = 'idle in transaction' AND pid <> " +
        backend_of(on));
    count_up(on);
    return std::string();
  });

  CHECK(cable.was_cut());
  CHECK(bodies == 2);
  CHECK(open_before == "0");
  CHECK(db.counted() == "1");
}

TEST_CASE("a server that restarts at once costs a try, no more") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address(), {.patience = 60s});
  films->commit("run_0", "1", [](PGconn&) { return std::string(); });
  int bodies = 0;

  films->commit("run_1", "1", [&](PGconn& on) {
    count_up(on);
    if (++bodies == 1) restart_server();
    count_up(on);
    return std::string();
  });

  CHECK(bodies == 2);
  CHECK(db.counted() == "2");
  CHECK(db.receipts() == "2");
}

TEST_CASE("what was committed is there after an immediate restart, and isn't done again") {
  const fresh_database db;
  const auto films = fermata::postgres_database(db.address(), {.patience = 60s});
  connection(db.address()).execute("ALTER DATABASE " + db.name() + " SET synchronous_commit = off");
  films->commit("run_1", "1", [](PGconn& on) {
    count_up(on);
    return std::string("first");
  });

  restart_server();

  CHECK(films->commit("run_1", "1", [](PGconn&) { return std::string("again"); }) == "first");
  CHECK(db.counted() == "1");
}

TEST_CASE("a server that stays away fails the attempt once the patience is over") {
  const auto films =
      fermata::postgres_database("postgres://nobody@127.0.0.1:1/nowhere", {.patience = 100ms});
  CHECK(code_thrown_by([&] {
          films->commit("run_1", "1", [](PGconn&) { return std::string(); });
        }) == "FER-2104");
}

TEST_CASE("a process killed right after the commit leaves the outcome to the next attempt") {
  const fresh_database db;

  const pid_t child = fork();
  if (child == 0) {
    fermata::postgres_database(db.address())->commit("run_1", "1", [](PGconn& on) {
      PQregisterEventProc(&on, die_at_commit, "test", nullptr);
      count_up(on);
      return std::string("charged");
    });
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);

  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(db.counted() == "1");
  const auto again = fermata::postgres_database(db.address());
  CHECK(again->commit("run_1", "1", [](PGconn&) { return std::string("again"); }) == "charged");
}

TEST_CASE("a process killed before the commit has done nothing") {
  const fresh_database db;

  const pid_t child = fork();
  if (child == 0) {
    fermata::postgres_database(db.address())->commit("run_1", "1", [](PGconn& on) -> std::string {
      count_up(on);
      ::kill(::getpid(), SIGKILL);
      return {};
    });
    _exit(0);
  }
  waitpid(child, nullptr, 0);

  CHECK(db.counted() == "0");
  const auto again = fermata::postgres_database(db.address());
  CHECK(again->commit("run_1", "1", [](PGconn&) { return std::string("again"); }) == "again");
}

// ---- with a worker ----

constexpr fermata::database<PGconn> films_db{"films"};
constexpr fermata::step<int(int)> charge_once{"charge_once", {.retry = {.max_attempts = 1}}};
constexpr fermata::workflow<int(int)> charge_twice{"charge_twice"};

static fermata::task<int> charge(fermata::context& ctx, int by) {
  const int first = co_await ctx.call(charge_once, by);
  const int second = co_await ctx.transaction("again", films_db, [by](PGconn& on) {
    for (int i = 0; i < by; ++i) count_up(on);
    return by;
  });
  co_return first + second;
}

TEST_CASE(
    "a step with one attempt survives a restart of its database, with its effects done once") {
  const fresh_database db;
  fermata::journal journal = fermata::open("memory:");
  fermata::worker worker(journal);
  int bodies = 0;
  worker.connect(films_db, fermata::postgres_database(db.address(), {.patience = 60s}));
  worker.serve(charge_once, films_db, [&](PGconn& on, int by) {
    for (int i = 0; i < by; ++i) count_up(on);
    if (++bodies == 1) restart_server();
    count_up(on);
    return by;
  });
  worker.serve(charge_twice, charge);
  fermata::client client(journal);
  std::thread working([&] { worker.run(); });

  CHECK(client.start(charge_twice, 3).result(60s) == 6);

  worker.stop();
  working.join();
  CHECK(bodies == 2);
  CHECK(db.counted() == "7");
  CHECK(db.receipts() == "2");
}

TEST_CASE("a worker killed between a step's commit and its event leaves the outcome to the next") {
  const fresh_database db;
  std::string folder = (std::filesystem::temp_directory_path() / "fermata_pg_XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const std::string address = "sqlite:" + folder + "/journal.db";
  const std::string run = fermata::client(fermata::open(address)).start(charge_twice, 3).id();
  int bodies = 0;
  const auto work = [&](bool dies) {
    fermata::journal journal = fermata::open(address);
    fermata::worker worker(journal);
    worker.connect(films_db, fermata::postgres_database(db.address()));
    worker.serve(charge_once, films_db, [&](PGconn& on, int by) {
      ++bodies;
      if (dies) PQregisterEventProc(&on, die_at_commit, "test", nullptr);
      for (int i = 0; i < by; ++i) count_up(on);
      return by;
    });
    worker.serve(charge_twice, charge);
    std::thread working([&] { worker.run(); });
    const fermata::run<int> waited(journal, run);
    const int result = waited.result(60s);
    worker.stop();
    working.join();
    return result;
  };

  const pid_t child = fork();
  if (child == 0) {
    work(true);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
  CHECK(db.counted() == "3");

  // It had one attempt, and that crashed; but its effects are there, so it is asked again.
  CHECK(work(false) == 6);
  CHECK(bodies == 0);
  CHECK(db.counted() == "6");
  std::filesystem::remove_all(folder);
}
