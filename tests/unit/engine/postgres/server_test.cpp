// SPDX-License-Identifier: Apache-2.0
// What a store does about the server that it finds: whom it waits for, what it sets, what it can't read.
#include "engine/operate/operate.hpp"
#include "engine/store/postgres/address.hpp"
#include "engine/store/postgres/connection.hpp"
#include "engine/store/postgres/state_folder.hpp"
#include "tests/unit/engine/postgres/beside.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;

/// The one value of a query.
std::string answer_of(const store& journal, std::string_view sql) {
  std::string last;
  REQUIRE(journal
              .query(sql, payloads::revealed,
                     [&](const std::vector<sql_value>& row) {
                       last = row.front().text;
                       return true;
                     })
              .ok());
  return last;
}

/// What a store has to say, for another thread to wait for.
class sentences {
 public:
  void say(std::string_view one) {
    const std::lock_guard guard(mutex_);
    all_ += std::string(one) + "\n";
    said_.notify_all();
  }
  std::string wait_for(std::string_view words) {
    std::unique_lock lock(mutex_);
    said_.wait_for(lock, std::chrono::seconds(30), [&] { return all_.find(words) != all_.npos; });
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable said_;
  std::string all_;
};

}  // namespace

TEST_CASE("a message that can't be read blocks its own run, and no other") {
  scene at;
  const worker_row me = at.join();
  conformance::writer bad(at, at.begin(me));
  conformance::writer good(at, at.begin(me));
  at.send(at.signal(bad.chain));
  at.send(at.signal(good.chain));
  beside on(at);
  on.execute("UPDATE inbox SET details = '\\x62031201e9' WHERE chain = '" + hex_of(bad.run) + "'");

  const std::vector<claimed> taken = at.claim(me);

  REQUIRE(taken.size() == 1);
  CHECK(taken[0].run.run == good.run);
  const run_row row = at.row(bad.run);
  CHECK(row.attention == attention::blocked);
  CHECK(row.owner == 0);
  CHECK(row.report.find("[FER-2103]") != std::string::npos);
  CHECK(bad.land(bad.next({step_completed("1")})) == landing::not_owner);
  CHECK(at.claim(me).empty());
  REQUIRE(terminate(*at.journal, bad.run, {.who = "ada", .why = "unreadable"}).ok());
  CHECK(at.journal->inbox(bad.chain)->empty());
}

TEST_CASE(
    "a commit that waits for a transaction of others says whose it is, and lands when that ends") {
  scene at;
  const start_request run = at.request();
  at.start(run);
  sentences said;
  open_options how;
  how.warn = [&](std::string_view one) { said.say(one); };
  const auto opened = open_store(address_of(at), how);
  REQUIRE(opened.ok());
  setenv("FERMATA_BOUND", "lock_warning_ms=20", 1);
  connection other(server_address() + "?application_name=a-report");
  other.execute("SET search_path = " + schema_of(at));
  other.execute("BEGIN");
  other.execute("LOCK TABLE inbox IN EXCLUSIVE MODE");

  absl::StatusOr<batch_result> done = absl::UnknownError("");
  std::thread sends([&] {
    batch one;
    one.messages.push_back(at.signal(run.chain));
    done = (*opened)->commit(std::move(one));
  });
  const std::string told = said.wait_for("waits for transactions of others");
  other.execute("COMMIT");
  sends.join();
  unsetenv("FERMATA_BOUND");

  CHECK(told.find("a-report") != std::string::npos);
  REQUIRE(done.ok());
  CHECK(done->messages[0].how == message_result::outcome::accepted);
}

TEST_CASE("of several servers the one that answers is taken") {
  scene at;
  const std::string port = std::to_string(server_port());

  const auto opened = open_store("postgres://fermata@127.0.0.1:1,127.0.0.1:" + port +
                                 "/fermata?schema=" + schema_of(at));

  REQUIRE(opened.ok());
  CHECK((*opened)->away_since() == 0);
}

TEST_CASE("each session commits durably, whatever the role's default is") {
  scene at;
  beside on(at);
  on.execute("ALTER ROLE fermata SET synchronous_commit = off");

  const auto opened = open_store(address_of(at));
  REQUIRE(opened.ok());
  const std::string now = answer_of(**opened, "SELECT current_setting('synchronous_commit')");

  on.execute("ALTER ROLE fermata RESET synchronous_commit");
  CHECK(now == "on");
}

TEST_CASE("a server that may not be written to is waited for, and read by who only looks") {
  scene at;
  beside on(at);
  on.execute("ALTER ROLE fermata SET default_transaction_read_only = on");
  open_options how;
  how.patience_ms = 50;
  how.warn = [](std::string_view) {};

  const auto writes = open_store(address_of(at), how);
  how.read_only = true;
  const auto looks = open_store(address_of(at), how);

  on.execute("ALTER ROLE fermata RESET default_transaction_read_only");
  CHECK(writes.status().code() == absl::StatusCode::kUnavailable);
  CHECK(fer_code_of(writes.status()) == "FER-2105");
  CHECK(looks.ok());
}

TEST_CASE("a server of a timeline before the one that this host has seen is only looked at") {
  scene at;
  const std::string address = address_of(at) + "&poll=900";  // known by its text
  const auto where = engine::postgres::parse_address(address);
  beside on(at);
  engine::postgres::identity later;
  later.system = on.text("SELECT system_identifier FROM pg_control_system()");
  later.timeline = "000000FF";
  engine::postgres::remember_timeline(where, later);
  CHECK(engine::postgres::timeline_seen(where, later).timeline == "000000FF");
  sentences said;
  open_options how;
  how.patience_ms = 50;
  how.warn = [&](std::string_view one) { said.say(one); };

  const auto writes = open_store(address, how);
  how.read_only = true;
  const auto looks = open_store(address, how);

  CHECK(fer_code_of(writes.status()) == "FER-2105");
  CHECK(looks.ok());
  CHECK(said.wait_for("was the primary before another was promoted").find("000000FF") !=
        std::string::npos);
}

TEST_CASE(
    "a body that loses its connection is done again; one that ends the transaction is refused") {
  scene at;
  conformance::writer run(at, at.begin(at.join()));
  const append made = run.next({step_completed("1")});
  const auto commit = [&](const char* sql, int times) {
    append one = run.next();
    int called = 0;
    one.body = [&, sql](void* handle) -> absl::StatusOr<std::vector<encoded_event>> {
      if (++called <= times) PQclear(PQexec(static_cast<PGconn*>(handle), sql));
      return made.events;
    };
    batch all;
    all.worker = run.worker;
    all.appends.push_back(one);
    const auto done = at.journal->commit(std::move(all));
    return std::pair(done, called);
  };

  const auto [refused, once] = commit("COMMIT", 1'000);
  CHECK(refused.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(once == 1);
  CHECK(at.events(run.run).size() == 1);

  const auto [done, twice] = commit("SELECT pg_terminate_backend(pg_backend_pid())", 1);
  REQUIRE(done.ok());
  CHECK(done->appends[0].how == landing::landed);
  CHECK(twice == 2);
  CHECK(at.events(run.run).size() == 2);
}

TEST_CASE("a cursor that isn't this journal's is refused, and its own goes on") {
  scene at;
  at.begin(at.join());
  const auto all = at.journal->changes("", 10);
  REQUIRE(all.ok());
  REQUIRE(all->size() == 1);
  CHECK(at.journal->changes(all->front().cursor, 10)->empty());

  for (const char* wrong : {"7", "x", "1:2", "nonsense:run_1:3"}) {
    CAPTURE(wrong);
    CHECK(at.journal->changes(wrong, 10).status().code() == absl::StatusCode::kInvalidArgument);
  }
  const std::string of_another = "0000FFFF" + all->front().cursor.substr(8);
  CHECK(at.journal->changes(of_another, 10).status().code() == absl::StatusCode::kAborted);
}

TEST_CASE("an appender that has seen a name forgotten tells its caller to send it again") {
  scene at;
  const worker_row me = at.join();
  conformance::writer run(at, at.begin(me));
  beside on(at);
  on.execute(
      "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$");
  on.execute(
      "CREATE TRIGGER forgets BEFORE INSERT ON names FOR EACH ROW EXECUTE FUNCTION forget()");

  append tags = run.next({tagged("customer", "acme")});
  batch one;
  one.worker = me.row;
  one.appends.push_back(tags);
  const auto refused = at.journal->commit(std::move(one));

  CHECK(refused.status().code() == absl::StatusCode::kUnavailable);
  on.execute("DROP TRIGGER forgets ON names");
  CHECK(run.land(tags) == landing::landed);
}

}  // namespace fermata::postgres_tests
