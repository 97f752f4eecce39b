// SPDX-License-Identifier: Apache-2.0
// Connections and servers that are lost in a commit: nothing is doubled, nothing is lost, and the answer
// is true.
#include "tests/unit/engine/postgres/wired.hpp"

#include <doctest/doctest.h>

#include <absl/strings/str_cat.h>

#include <string>

namespace fermata::postgres_tests {
namespace {

using namespace fermata::conformance;
using loses = wire::loses;

constexpr loses everything[] = {loses::question, loses::answer, loses::order};

const char* name_of(loses what) {
  return what == loses::question ? "the question" : what == loses::answer ? "the answer" : "order";
}

/// A question that never arrived is asked again; what was done isn't.
int commits_of(loses what) { return what == loses::question ? 2 : 1; }

batch only(std::int64_t worker, const append& what) {
  batch made;
  made.worker = worker;
  made.appends.push_back(what);
  return made;
}

}  // namespace

TEST_CASE("an append that changes more than the journal lands once, whatever its commit loses") {
  wired_scene at;
  const worker_row worker = at.join();
  for (const loses what : everything) {
    CAPTURE(name_of(what));
    conformance::writer run(at, at.begin(worker));
    append end = run.ending();

    at.line.break_at("COMMIT", what);
    CHECK(run.land(end) == landing::landed);

    CHECK(at.line.broke());
    CHECK(at.line.asked("COMMIT") == commits_of(what));
    CHECK(at.events(run.run).size() == 2);
    CHECK(at.row(run.run).state == run_state::completed);
  }
}

TEST_CASE("a step's event lands once, whatever its only round trip loses") {
  wired_scene at;
  const worker_row worker = at.join();
  for (const loses what : everything) {
    CAPTURE(name_of(what));
    conformance::writer run(at, at.begin(worker));
    const append step = run.next({step_completed("1")});

    at.line.break_at(".events(run, position", what);
    CHECK(run.land(step) == landing::landed);

    CHECK(at.line.broke());
    CHECK(at.events(run.run).size() == 2);
    CHECK(run.land(run.next({step_completed("2")})) == landing::landed);
  }
}

TEST_CASE("of a step's event that landed unheard, its worker's death since takes nothing back") {
  wired_scene at;
  const worker_row worker = at.join();
  conformance::writer run(at, at.begin(worker));
  const append step = run.next({step_completed("1")});

  at.line.break_at(".events(run, position", loses::answer, [&] {
    connection(server_address())
        .execute(absl::StrCat("UPDATE ", at.made.schema, ".workers SET dead = true"));
  });
  CHECK(run.land(step) == landing::landed);

  CHECK(at.events(run.run).size() == 2);
}

TEST_CASE("of a step's event that never arrived, its worker's death since is told") {
  wired_scene at;
  const worker_row worker = at.join();
  conformance::writer run(at, at.begin(worker));
  const append step = run.next({step_completed("1")});

  at.line.break_at(".events(run, position", loses::question, [&] {
    connection(server_address())
        .execute(absl::StrCat("UPDATE ", at.made.schema, ".workers SET dead = true"));
  });
  CHECK(run.land(step) == landing::not_owner);

  CHECK(at.events(run.run).size() == 1);
}

TEST_CASE("a start is there once, and its key is bound to it, whatever its commit loses") {
  wired_scene at;
  for (const loses what : everything) {
    CAPTURE(name_of(what));
    start_request wanted = at.request();
    wanted.key = absl::StrCat("order-", static_cast<int>(what));

    at.line.break_at("COMMIT", what);
    const start_result started = at.start(wanted);

    CHECK(at.line.broke());
    CHECK(at.line.asked("COMMIT") == commits_of(what));
    CHECK(started.how == start_result::outcome::started);
    CHECK(started.run == wanted.run);
    CHECK(at.start(at.item(at.request(), on_duplicate::fail)).how ==
          start_result::outcome::started);
    CHECK(at.count(absl::StrCat("keys WHERE key = '", wanted.key, "'")) == 1);
  }
  CHECK(at.count("start_requests") == 6);
}

TEST_CASE("a run that its starter takes at once has one first event, whatever its commit loses") {
  wired_scene at;
  const worker_row worker = at.join();
  for (const loses what : everything) {
    CAPTURE(name_of(what));
    start_item wanted = at.item(at.request());
    wanted.admit = at.first_event(wanted.request);
    wanted.build = worker.build;
    batch one;
    one.worker = worker.row;
    one.starts.push_back(wanted);

    at.line.break_at("COMMIT", what);
    const auto done = at.journal->commit(std::move(one));

    REQUIRE(done.ok());
    CHECK(at.line.asked("COMMIT") == commits_of(what));
    CHECK(done->starts[0].admitted);
    CHECK(at.row(wanted.request.run).owner == worker.row);
    CHECK(at.events(wanted.request.run).size() == 1);
  }
}

TEST_CASE("a message arrives once, whatever its commit loses") {
  wired_scene at;
  const start_request run = at.request();
  at.start(run);
  for (const loses what : everything) {
    CAPTURE(name_of(what));
    const message sent = at.signal(run.chain);

    at.line.break_at("COMMIT", what);
    CHECK(at.send(sent).how == message_result::outcome::accepted);

    CHECK(at.line.asked("COMMIT") == commits_of(what));
    CHECK(at.send(sent).how == message_result::outcome::repeated);
  }
  CHECK(at.count("inbox") == 3);
}

TEST_CASE("a message whose run took it while its answer was lost counts as arrived") {
  wired_scene at;
  const worker_row worker = at.join();
  const claimed began = at.begin(worker);
  const message sent = at.signal(began.run.chain);
  const auto other = at.made.beside();

  at.line.break_at("COMMIT", loses::answer, [&] {
    const auto inbox = other->inbox(began.run.chain);
    REQUIRE(inbox->size() == 1);
    conformance::writer run(at, began);
    append takes = run.next({signal_received(inbox->front())});
    takes.consumed.push_back(inbox->front().seq);
    const auto took = other->commit(only(worker.row, takes));
    REQUIRE(took.ok());
    CHECK(took->appends[0].how == landing::landed);
  });
  CHECK(at.send(sent).how == message_result::outcome::accepted);

  CHECK(at.line.asked("COMMIT") == 1);
  CHECK(at.count("inbox") == 0);
  CHECK(at.events(began.run.run).size() == 2);
}

TEST_CASE("a run is claimed once, whatever the claim's commit loses") {
  wired_scene at;
  const worker_row worker = at.join();
  for (const loses what : everything) {
    CAPTURE(name_of(what));
    const start_request wanted = at.request();
    at.start(wanted);
    conformance::writer released(at, at.claim(worker).at(0));
    REQUIRE(at.journal->release(worker.row, {wanted.run}).ok());

    at.line.break_at("COMMIT", what);
    const auto got = at.claim(worker);

    CHECK(at.line.broke());
    REQUIRE(got.size() == 1);
    CHECK(got[0].run.run == wanted.run);
    CHECK(got[0].run.epoch == released.epoch + 2);
    CHECK(at.row(wanted.run).epoch == got[0].run.epoch);
    CHECK(at.row(wanted.run).owner == worker.row);
  }
}

// What a claim took isn't offered again: if it isn't told, and says that all is well, nobody looks at it.
TEST_CASE(
    "a claim that can't be proved any more is told as an error, not as another claim's answer") {
  wired_scene at;
  const worker_row worker = at.join();
  const start_request first = at.request(), second = at.request();
  for (const start_request& one : {first, second}) at.start(one);
  at.claim(worker);
  REQUIRE(at.journal->release(worker.row, {}).ok());
  const auto other = at.made.beside();

  at.line.break_at("COMMIT", loses::answer, [&] {
    // An operator pauses the first: that was the proof.
    for (const start_request& one : {first, second}) {
      const auto row = other->find_run(one.run);
      REQUIRE(row->owner == worker.row);
      if (one.run == second.run) continue;
      conformance::writer act(at, *row);
      REQUIRE(other->commit(only(0, act.by_operator()))->appends[0].how == landing::landed);
    }
  });
  batch one;
  one.worker = worker.row;
  one.claim = at.wants();
  const auto done = at.journal->commit(std::move(one));

  CHECK(absl::IsUnavailable(done.status()));
  CHECK(at.row(second.run).owner == worker.row);
}

TEST_CASE("what leaves no proof is told as unknown, and may be done again") {
  wired_scene at;
  const worker_row worker = at.join();
  const claimed began = at.begin(worker);
  for (const loses what : {loses::answer, loses::order}) {
    CAPTURE(name_of(what));
    at.line.break_at("COMMIT", what);
    const absl::Status released = at.journal->release(worker.row, {began.run.run});

    CHECK(at.line.broke());
    CHECK(absl::IsUnavailable(released));
    CHECK(at.journal->release(worker.row, {began.run.run}).ok());
    CHECK(at.row(began.run.run).owner == 0);
    REQUIRE(at.claim(worker).size() == 1);
  }

  at.line.break_at("COMMIT", loses::question);
  CHECK(at.journal->release(worker.row, {began.run.run}).ok());
  CHECK(at.row(began.run.run).owner == 0);
}

TEST_CASE("a worker whose number is another's isn't told where that one's runs are") {
  wired_scene at;
  const worker_row worker = at.join();
  const claimed run = at.begin(worker);
  REQUIRE(at.journal->whereabouts(worker.row, {})->size() == 1);

  connection(server_address())
      .execute(absl::StrCat("UPDATE ", at.made.schema, ".workers SET worker = gen_random_uuid()"));

  const auto places = at.journal->whereabouts(worker.row, {run.run.run});
  CHECK_MESSAGE(absl::IsNotFound(places.status()), places.status().ToString());
}

// ---- the server dies, too ----

TEST_CASE("a server that dies after it had committed, and says so to nobody, has committed") {
  wired_scene at(60'000);
  const worker_row worker = at.join();
  conformance::writer run(at, at.begin(worker));
  const append end = run.ending();

  at.line.break_at("COMMIT", loses::answer, restart_server);
  CHECK(run.land(end) == landing::landed);

  CHECK(at.line.asked("COMMIT") == 1);
  CHECK(at.events(run.run).size() == 2);
}

TEST_CASE("a server that dies with a step's event does or doesn't have it, and that is found") {
  wired_scene at(60'000);
  const worker_row worker = at.join();
  for (const loses what : {loses::answer, loses::question}) {
    CAPTURE(name_of(what));
    conformance::writer run(at, at.begin(worker));
    const append step = run.next({step_completed("1")});

    at.line.break_at(".events(run, position", what, restart_server);
    CHECK(run.land(step) == landing::landed);

    CHECK(at.events(run.run).size() == 2);
  }
}

// Its number is in no record that reached the disk: after the crash it is given to the next that comes.
TEST_CASE("a transaction whose number went to another after a crash isn't taken for committed") {
  connection admin(server_address());
  admin.execute("ALTER SYSTEM SET wal_writer_delay = '10s'");
  admin.execute("SELECT pg_reload_conf()");
  wired_scene at(60'000);
  const worker_row worker = at.join();
  std::string said;

  for (int tries = 0; tries < 5 && said != "committed"; ++tries) {
    conformance::writer run(at, at.begin(worker));
    const append end = run.ending();
    connection(server_address()).execute("CHECKPOINT");
    at.line.break_at("COMMIT", loses::question, [&] {
      const std::string number = connection(server_address())
                                     .text(
                                         "SELECT backend_xid FROM pg_stat_activity WHERE "
                                         "backend_xid IS NOT NULL");
      restart_server();
      connection other(server_address());
      while (std::stoll(other.text("SELECT pg_current_xact_id()")) < std::stoll(number)) {
      }
      said = other.text(absl::StrCat("SELECT pg_xact_status('", number, "'::xid8)"));
    });
    CHECK(run.land(end) == landing::landed);

    CHECK(at.line.asked("COMMIT") == 2);
    CHECK(at.events(run.run).size() == 2);
    CHECK(at.row(run.run).state == run_state::completed);
  }

  CHECK(said == "committed");
  connection(server_address()).execute("ALTER SYSTEM RESET wal_writer_delay");
}

}  // namespace fermata::postgres_tests
