// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <optional>

using namespace fermata::conformance;

TEST_CASE("an append behind the last event lands, and is read back as it was written") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));

  const append first = run.next({step_completed("1"), step_completed("2")});
  CHECK(run.land(first) == landing::landed);
  CHECK(run.land(run.next({step_completed("3")})) == landing::landed);

  const auto events = scene.events(run.run);
  REQUIRE(events.size() == 4);
  CHECK(events[0].kind == event_kind::run_started);
  CHECK(events[1].chain == first.events[0].chain);
  CHECK(events[1].crc == first.events[0].crc);
  CHECK(events[2].operation == "2");
  CHECK(events[3].position == 4);
  CHECK(scene.journal->read_head(run.run)->hash == run.last.hash);
}

TEST_CASE("every stored event decodes and its chain holds") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.land(run.next({step_completed("1"), tagged("customer", "acme")})) == landing::landed);

  chain_hash before{};
  for (const encoded_event& event : scene.events(run.run)) {
    const auto decoded = decode(run.run, event);
    CHECK_MESSAGE(decoded.ok(), decoded.status().ToString());
    const auto chain = check_chain(run.run, before, event);
    CHECK_MESSAGE(chain.ok(), chain.ToString());
    before = event.chain;
  }
}

TEST_CASE("events are read from a position on, as many as asked for") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.land(run.next({step_completed("1"), step_completed("2"), step_completed("3")})) ==
        landing::landed);

  const auto some = scene.journal->read_events(run.run, 2, 2);
  REQUIRE(some.ok());
  REQUIRE(some->size() == 2);
  CHECK((*some)[0].position == 2);
  CHECK((*some)[1].position == 3);
  CHECK(scene.journal->read_events(run.run, 5, 10)->empty());
}

TEST_CASE("the very same bytes again have landed, and are there once") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  const append once = run.next({step_completed("1")});
  CHECK(run.land(once) == landing::landed);

  CHECK(run.land(once) == landing::landed);
  CHECK(scene.events(run.run).size() == 2);

  CHECK(run.land(run.next({step_completed("2")})) == landing::landed);
  const head last = run.last;
  CHECK(run.land(once) == landing::landed);
  CHECK(scene.events(run.run).size() == 3);
  CHECK(scene.journal->read_head(run.run)->hash == last.hash);
}

TEST_CASE("the same bytes again don't ask who owns the run now") {
  scene scene;
  const worker_row worker = scene.join();
  writer run(scene, scene.begin(worker));
  const append once = run.next({step_completed("1")});
  CHECK(run.land(once) == landing::landed);
  CHECK(scene.journal->release(worker.row, {run.run}).ok());

  CHECK(run.land(once) == landing::landed);
}

TEST_CASE("an end sent again has landed") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  const append end = run.ending();
  CHECK(run.land(end) == landing::landed);

  CHECK(run.land(end) == landing::landed);
  CHECK(scene.events(run.run).size() == 2);
}

TEST_CASE("a parking append sent again says that it parked") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append parking = run.next({timer_set("1", scene.now() + second)});
  parking.then = then::park;
  CHECK(run.result(parking).parked);

  const append_result again = run.result(parking);
  CHECK(again.how == landing::landed);
  CHECK(again.parked);
}

TEST_CASE("other bytes at a position that is taken are stale") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  const append one = run.next({step_completed("1")});
  const append other = run.next({step_completed("2")});
  CHECK(run.land(one) == landing::landed);

  CHECK(run.land(other) == landing::stale);
  CHECK(scene.events(run.run).size() == 2);
}

TEST_CASE("an append whose second event alone differs is stale as a whole") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append both = run.next({step_completed("1"), step_completed("2")});
  append first = both;
  first.events.resize(1);
  CHECK(run.land(first) == landing::landed);

  CHECK(run.land(both) == landing::stale);
  CHECK(scene.events(run.run).size() == 2);
}

TEST_CASE("a gap is impossible: the predecessor must be the last event") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append ahead = run.next({step_completed("1")});
  ahead.after = 2;
  ahead.events[0].position = 3;

  CHECK(run.land(ahead) == landing::stale);
  CHECK(scene.events(run.run).size() == 1);
}

TEST_CASE("a predecessor of another hash is stale") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append other = run.next({step_completed("1")});
  other.after_hash[0] ^= 1;

  CHECK(run.land(other) == landing::stale);
}

TEST_CASE("positions with a hole between them are refused") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append torn = run.next({step_completed("1"), step_completed("2")});
  torn.events[1].position = 9;

  CHECK(run.land(torn) == landing::stale);
  CHECK(scene.events(run.run).size() == 1);
}

TEST_CASE("a run that nobody started is unknown") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append elsewhere = run.next({step_completed("1")});
  elsewhere.run = scene.new_run();

  CHECK(run.land(elsewhere) == landing::unknown_run);
}

TEST_CASE("one refused append fails neither its batch nor its neighbours") {
  scene scene;
  const worker_row worker = scene.join();
  writer left(scene, scene.begin(worker));
  writer right(scene, scene.begin(worker));
  append stale = left.next({step_completed("1")});
  stale.after_hash[3] ^= 1;

  batch both;
  both.worker = worker.row;
  both.appends = {stale, right.next({step_completed("1")})};
  const auto done = scene.journal->commit(std::move(both));

  REQUIRE(done.ok());
  REQUIRE(done->appends.size() == 2);
  CHECK(done->appends[0].how == landing::stale);
  CHECK(done->appends[1].how == landing::landed);
  CHECK(scene.events(left.run).size() == 1);
  CHECK(scene.events(right.run).size() == 2);
}

TEST_CASE("of a batch that is sent again, what hadn't landed lands beside what had") {
  scene scene;
  const worker_row worker = scene.join();
  writer left(scene, scene.begin(worker));
  writer right(scene, scene.begin(worker));
  const append once = left.next({step_completed("1")});
  CHECK(left.land(once) == landing::landed);

  batch both;
  both.worker = worker.row;
  both.appends = {once, right.next({step_completed("1")})};
  const auto done = scene.journal->commit(std::move(both));

  REQUIRE(done.ok());
  CHECK(done->appends[0].how == landing::landed);
  CHECK(done->appends[1].how == landing::landed);
  CHECK(scene.events(left.run).size() == 2);
  CHECK(scene.events(right.run).size() == 2);
}

TEST_CASE("two appends of one run may share a batch") {
  scene scene;
  const worker_row worker = scene.join();
  writer run(scene, scene.begin(worker));
  const append first = run.next({step_completed("1")});
  run.last = {first.events.back().position, first.events.back().chain};
  const append second_append = run.next({step_completed("2")});

  batch both;
  both.worker = worker.row;
  both.appends = {first, second_append};
  const auto done = scene.journal->commit(std::move(both));

  REQUIRE(done.ok());
  CHECK(done->appends[0].how == landing::landed);
  CHECK(done->appends[1].how == landing::landed);
  CHECK(scene.events(run.run).size() == 3);
}

TEST_CASE("an append with another epoch isn't the owner's") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append older = run.next({step_completed("1")});
  older.epoch = run.epoch + 1;

  CHECK(run.land(older) == landing::not_owner);
}

TEST_CASE("a worker that doesn't own the run writes nothing") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  const worker_row other = scene.join();
  run.worker = other.row;

  CHECK(run.land(run.next({step_completed("1")})) == landing::not_owner);
  run.worker = 0;
  CHECK(run.land(run.next({step_completed("1")})) == landing::not_owner);
  CHECK(scene.events(run.run).size() == 1);
}

TEST_CASE("an append without events does the rest under the same fence") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append words = run.next();
  words.status = "half way";
  words.waits = "for the bank";
  CHECK(run.land(words) == landing::landed);
  CHECK(scene.row(run.run).status == "half way");
  CHECK(scene.row(run.run).waits == "for the bank");

  words.epoch += 1;
  CHECK(run.land(words) == landing::not_owner);
  words.epoch -= 1;
  words.after += 1;
  CHECK(run.land(words) == landing::stale);
}

TEST_CASE("an ended run never changes") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.end() == landing::landed);

  CHECK(run.land(run.next({step_completed("1")})) != landing::landed);
  CHECK(run.land(run.by_operator()) != landing::landed);
  const run_row row = scene.row(run.run);
  CHECK(row.state == run_state::completed);
  CHECK(row.owner == 0);
  CHECK(row.ended == scene.now());
  CHECK(scene.events(run.run).size() == 2);
}

TEST_CASE("a failed run says why on one line") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  event failed = plain(event_kind::run_failed);
  failed.details.mutable_ended()->mutable_why()->set_type("card_declined");
  failed.details.mutable_ended()->mutable_why()->set_message("expired\nlast year");
  append end = run.next({failed});
  end.then = then::end;
  CHECK(run.land(end) == landing::landed);

  CHECK(scene.row(run.run).state == run_state::failed);
  CHECK(scene.row(run.run).error == "card_declined: expired last year");
}

TEST_CASE("the body of a transactional step gives the events, on the writer's turn") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  const append made = run.next({step_completed("1")});
  append with_body = run.next();
  with_body.body = [&](void*) -> absl::StatusOr<std::vector<encoded_event>> { return made.events; };

  const append_result result = run.result(with_body);
  CHECK(result.how == landing::landed);
  REQUIRE(result.body_events.size() == 1);
  CHECK(result.body_events[0].chain == made.events[0].chain);
  CHECK(scene.events(run.run).size() == 2);
}

TEST_CASE("a body that fails leaves nothing, and its status is told") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append with_body = run.next();
  with_body.status = "written too";
  with_body.body = [](void*) -> absl::StatusOr<std::vector<encoded_event>> {
    return absl::AbortedError("no such table");
  };

  const append_result result = run.result(with_body);
  CHECK(result.how == landing::body_failed);
  CHECK(result.body.message() == "no such table");
  CHECK(scene.events(run.run).size() == 1);
  CHECK(scene.row(run.run).status.empty());
}

TEST_CASE("the body of a refused append isn't executed") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append with_body = run.next();
  with_body.epoch += 1;
  bool executed = false;
  with_body.body = [&](void*) -> absl::StatusOr<std::vector<encoded_event>> {
    executed = true;
    return std::vector<encoded_event>{};
  };

  CHECK(run.land(with_body) == landing::not_owner);
  CHECK_FALSE(executed);
}

TEST_CASE("large payloads come back whole") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{4'096}, std::size_t{70'000}, std::size_t{3'000'000}}) {
    std::string bytes(size, '\0');
    scene.factory->chance->fill(bytes.data(), bytes.size());
    event large = step_completed("1");
    large.value = text_payload(bytes);
    large.input = text_payload(bytes);
    CHECK(run.land(run.next({large})) == landing::landed);

    const auto decoded = decode(run.run, scene.events(run.run).back());
    REQUIRE_MESSAGE(decoded.ok(), decoded.status().ToString());
    CHECK((decoded->value.bytes == bytes));
    CHECK((decoded->input.bytes == bytes));
    CHECK(decoded->value.content_type == "text/plain");
  }
}

TEST_CASE("what landed is there for another handle on the journal") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.land(run.next({step_completed("1")})) == landing::landed);

  const auto other = scene.factory->reopen();
  const auto events = other->read_events(run.run, 1, 10);
  REQUIRE(events.ok());
  CHECK(events->size() == 2);
  CHECK(other->find_run(run.run)->owner == run.worker);
}

TEST_CASE("a zero byte in what a run says of itself fails no batch") {
  scene scene;
  const worker_row me = scene.join();
  start_request odd = scene.request();
  odd.tags["mark"] = std::string("a\0b", 3);
  writer run(scene, scene.begin(me, odd));
  writer other(scene, scene.begin(me));
  append one = run.next({step_completed("1")});
  one.status = std::string("half\0way", 8);
  one.waits = std::string("for\0ever", 8);
  log_line said;
  said.run = run.run;
  said.text = std::string("said\0so", 7);
  one.logs.push_back(said);
  batch both;
  both.worker = me.row;
  both.appends.push_back(one);
  both.appends.push_back(other.next({step_completed("1")}));
  const auto done = scene.journal->commit(std::move(both));

  REQUIRE(done.ok());
  CHECK(done->appends[0].how == landing::landed);
  CHECK(done->appends[1].how == landing::landed);
  CHECK(scene.row(run.run).status.starts_with("half"));
}
