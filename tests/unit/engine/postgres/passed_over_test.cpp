// SPDX-License-Identifier: Apache-2.0
// What a claim passes over, since another transaction has its lock just now.
#include "tests/conformance/remote.hpp"
#include "tests/unit/engine/postgres/wired.hpp"

#include <doctest/doctest.h>

namespace fermata::postgres_tests {

TEST_CASE("a claim takes no run that another transaction holds: it may be claimed there") {
  wired_scene at;
  const conformance::worker_row first = at.join();
  const conformance::worker_row me = at.join();
  const engine::run_id run = at.begin(first).run.run;
  REQUIRE(at.journal->release(first.row, {run}).ok());
  connection other(server_address());
  other.execute(
      "SET idle_in_transaction_session_timeout = '5s'");  // who waits for it would do so for ever
  other.execute("BEGIN");
  other.execute("SELECT 1 FROM " + at.made.schema + ".runs FOR NO KEY UPDATE");

  const engine::batch_result passed = at.claim(me, at.wants());

  CHECK(passed.claimed.empty());
  CHECK(passed.next_not_before > at.now());  // nobody tells it when the run is free
  CHECK(passed.next_not_before <= at.now() + conformance::second);
  other.execute("COMMIT");
  CHECK(at.claim(me, at.wants()).claimed.size() == 1);
}

TEST_CASE("a worker that passed over a start looks again soon: it is signalled just now") {
  wired_scene at;
  const conformance::worker_row me = at.join();
  (void)at.start(at.request());
  connection signals(server_address());
  signals.execute("BEGIN");
  signals.execute("SELECT 1 FROM " + at.made.schema + ".start_requests FOR NO KEY UPDATE");

  const engine::batch_result passed = at.claim(me, at.wants());

  CHECK(passed.claimed.empty());
  CHECK(passed.next_not_before > at.now());
  CHECK(passed.next_not_before <= at.now() + conformance::second);
  CHECK(at.claim(me, at.wants()).next_not_before > passed.next_not_before);  // it takes long
  signals.execute("COMMIT");
  const engine::batch_result taken = at.claim(me, at.wants());
  CHECK(taken.claimed.size() == 1);
  CHECK(taken.next_not_before == 0);
}

TEST_CASE("a worker that passed over a start beside its writes looks again soon") {
  wired_scene at;
  const conformance::worker_row me = at.join();
  conformance::writer run(at, at.begin(me));
  (void)at.start(at.request());
  connection signals(server_address());
  signals.execute("BEGIN");
  signals.execute("SELECT 1 FROM " + at.made.schema + ".start_requests FOR NO KEY UPDATE");
  const auto step_and_claim = [&](const std::string& operation) {
    engine::batch both;
    both.worker = me.row;
    both.appends = {run.next({conformance::step_completed(operation)})};
    both.claim = at.wants();
    engine::batch_result done = at.journal->commit(std::move(both)).value();
    REQUIRE(done.appends.at(0).how == engine::landing::landed);
    run = conformance::writer(at, at.row(run.run));
    return done;
  };

  const engine::batch_result passed = step_and_claim("1");

  CHECK(passed.claimed.empty());
  CHECK(passed.next_not_before > at.now());
  CHECK(passed.next_not_before <= at.now() + conformance::second);
  signals.execute("COMMIT");
  CHECK(step_and_claim("2").claimed.size() == 1);
}

TEST_CASE("a worker that passed over a task looks again soon: nobody tells it when it is free") {
  conformance::remote at;
  const engine::worker_row gpu = at.scene.join();
  at.put(at.task());
  connection owner(server_address());
  owner.execute("BEGIN");
  owner.execute("SELECT 1 FROM " + static_cast<wired_factory&>(*at.scene.factory).schema +
                ".runs FOR NO KEY UPDATE");

  const engine::batch_result passed = at.scene.claim(gpu, at.wants());

  CHECK(passed.tasks.empty());
  CHECK(passed.next_not_before > at.scene.now());
  CHECK(passed.next_not_before <= at.scene.now() + conformance::second);
  owner.execute("COMMIT");
  const engine::batch_result taken = at.scene.claim(gpu, at.wants());
  CHECK(taken.tasks.size() == 1);
  CHECK(taken.next_not_before == 0);
}

}  // namespace fermata::postgres_tests
