// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

using namespace fermata::conformance;

TEST_CASE("lists are newest first, and a cursor goes on where a page ended") {
  scene scene;
  const worker_row me = scene.join();
  const run_id oldest = scene.begin(me).run.run;
  const run_id middle = scene.begin(me).run.run;
  const start_request newest = scene.request();
  scene.start(newest);

  run_query query;
  CHECK((runs_of(*scene.journal->list(query)) == std::vector<run_id>{newest.run, middle, oldest}));
  query.at_most = 2;
  CHECK((runs_of(*scene.journal->list(query)) == std::vector<run_id>{newest.run, middle}));
  query.before = middle;
  CHECK((runs_of(*scene.journal->list(query)) == std::vector<run_id>{oldest}));
}

TEST_CASE("lists are filtered by what is asked for") {
  scene scene;
  const worker_row me = scene.join();
  writer done(scene, scene.begin(me));
  CHECK(done.end() == landing::landed);
  writer paused(scene, scene.begin(me));
  append pause = paused.parking();
  pause.attention = attention::paused;
  CHECK(paused.land(pause) == landing::landed);
  start_request other = scene.request("ship");
  other.key = "parcel-1";
  other.parent = paused.run;
  other.parent_chain = paused.chain;
  scene.start(other);
  const auto only = [&](const run_query& query) { return runs_of(*scene.journal->list(query)); };
  using ids = std::vector<run_id>;

  CHECK((only({.workflow = "ship"}) == ids{other.run}));
  CHECK((only({.states = {run_state::completed}}) == ids{done.run}));
  CHECK((only({.states = {run_state::waiting_to_start, run_state::running}}) ==
         ids{other.run, paused.run}));
  CHECK((only({.attention = attention::paused}) == ids{paused.run}));
  CHECK((only({.key = "parcel-1"}) == ids{other.run}));
  CHECK((only({.chain = done.chain}) == ids{done.run}));
  CHECK((only({.parent = paused.run}) == ids{other.run}));
  CHECK((only({.since = other.requested}) == ids{other.run}));
  CHECK((only({.until = other.requested}) == ids{paused.run, done.run}));
  CHECK(only({.space = "tests"}).empty());
}

TEST_CASE("runs are found by the tags of their start and those set later") {
  scene scene;
  const worker_row me = scene.join();
  start_request what = scene.request();
  what.tags = {{"customer", "acme"}, {"region", "north"}};
  writer run(scene, scene.begin(me, what));
  start_request waiting = scene.request();
  waiting.tags = {{"customer", "acme"}};
  scene.start(waiting);
  CHECK(run.land(run.next({tagged("region", "south"), tagged("stage", "paid")})) ==
        landing::landed);
  const auto with = [&](std::map<std::string, std::string> tags) {
    run_query query;
    query.tags = std::move(tags);
    return runs_of(*scene.journal->list(query));
  };

  CHECK((with({{"customer", "acme"}}) == std::vector<run_id>{waiting.run, run.run}));
  CHECK((with({{"customer", "acme"}, {"region", "south"}}) == std::vector<run_id>{run.run}));
  CHECK((with({{"stage", "paid"}}) == std::vector<run_id>{run.run}));
  CHECK(with({{"region", "north"}}).empty());
  CHECK(scene.row(run.run).tags.at("region") == "south");
}

TEST_CASE("a key names one run per workflow") {
  scene scene;
  start_request pay = scene.request("pay");
  start_request ship = scene.request("ship");
  pay.key = ship.key = "order-42";
  scene.start(pay);
  scene.start(ship);

  CHECK(scene.journal->find_key("default", "", "order-42")->size() == 2);
  const auto one = scene.journal->find_key("default", "ship", "order-42");
  REQUIRE(one.ok());
  CHECK((runs_of(*one) == std::vector<run_id>{ship.run}));
  CHECK(scene.journal->find_key("default", "ship", "order-43")->empty());
  CHECK(scene.journal->find_key("tests", "", "order-42")->empty());
}

TEST_CASE("a run is found by the beginning of its id") {
  scene scene;
  const start_request waiting = scene.request();
  scene.start(waiting);
  const claimed run = scene.begin(scene.join(), scene.request("ship"));
  const std::string id = run.run.run.text();

  CHECK((runs_of(*scene.journal->find_prefix(id, 10)) == std::vector<run_id>{run.run.run}));
  CHECK((runs_of(*scene.journal->find_prefix(id.substr(0, 20), 10)) ==
         std::vector<run_id>{run.run.run}));
  CHECK(scene.journal->find_prefix(id.substr(0, 5), 10)->size() == 2);
  CHECK(scene.journal->find_prefix(id.substr(0, 5), 1)->size() == 1);
  CHECK(scene.journal->find_prefix("run_7ZZZ", 10)->empty());
}

TEST_CASE("what isn't there is NOT_FOUND") {
  scene scene;
  const run_id nobody = scene.new_run();

  CHECK(scene.journal->find_run(nobody).status().code() == absl::StatusCode::kNotFound);
  CHECK(scene.journal->find_chain(nobody).status().code() == absl::StatusCode::kNotFound);
  CHECK(scene.journal->read_head(nobody).status().code() == absl::StatusCode::kNotFound);
  CHECK(scene.journal->published(nobody, "draft").status().code() == absl::StatusCode::kNotFound);
  CHECK_FALSE(scene.journal->find_request(nobody)->has_value());
  CHECK(scene.journal->inbox(nobody)->empty());
  CHECK(scene.journal->timers(nobody)->empty());
  CHECK(scene.journal->logs(nobody, 10)->empty());
  CHECK_FALSE(scene.journal->heartbeat(nobody, "1")->has_value());
}

TEST_CASE("the newest published value of a name is read") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.land(run.next({published("draft", "one"), published("total", "9")})) ==
        landing::landed);
  CHECK(run.land(run.next({published("draft", "two")})) == landing::landed);

  const auto draft = scene.journal->published(run.run, "draft");
  REQUIRE(draft.ok());
  CHECK(draft->bytes == "two");
  CHECK(draft->content_type == "text/plain");
  CHECK(scene.journal->published(run.run, "total")->bytes == "9");
  CHECK(scene.journal->published(run.run, "other").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("logs are a ring: the last lines of a run stay, oldest first") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append with_log = run.next();
  log_line line{.run = run.run, .at = scene.now(), .level = 2, .text = "first"};
  line.place = "a.cpp:1";
  with_log.logs = {line};
  CHECK(run.land(with_log) == landing::landed);
  REQUIRE(scene.journal->logs(run.run, 10)->size() == 1);
  const log_line first = scene.journal->logs(run.run, 10)->at(0);
  CHECK(first.text == "first");
  CHECK(first.level == 2);
  CHECK(first.place == "a.cpp:1");

  std::vector<log_line> lines;
  for (std::size_t i = 1; i <= limits::logs_per_run; ++i) {
    lines.push_back({.run = run.run, .at = scene.now(), .text = std::to_string(i)});
  }
  CHECK(scene.journal->put_logs(lines).ok());
  const auto all = scene.journal->logs(run.run, 10 * limits::logs_per_run);
  REQUIRE(all.ok());
  REQUIRE(all->size() == limits::logs_per_run);
  CHECK(all->front().text == "1");
  CHECK(all->back().text == std::to_string(limits::logs_per_run));
  const auto some = scene.journal->logs(run.run, 2);
  REQUIRE(some->size() == 2);
  CHECK(some->back().text == std::to_string(limits::logs_per_run));
}

TEST_CASE("a line that a replay says again is left out") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  log_line line{.run = run.run, .position = 1, .ordinal = 1, .at = scene.now(), .text = "one"};
  log_line next = line;
  next.ordinal = 2;
  next.text = "two";
  CHECK(scene.journal->put_logs({line, next}).ok());
  line.at += second;
  append again = run.next();
  again.logs = {line, next};
  CHECK(run.land(again) == landing::landed);

  const auto lines = scene.journal->logs(run.run, 10);
  REQUIRE(lines->size() == 2);
  CHECK((*lines)[0].text == "one");
  CHECK((*lines)[0].position == 1);
  CHECK((*lines)[0].ordinal == 1);
  CHECK((*lines)[1].text == "two");
}

TEST_CASE("the newest heartbeat of an operation is kept") {
  scene scene;
  const claimed run = scene.begin(scene.join());
  heartbeat_row beat{.run = run.run.run, .operation = "1", .attempt = 1, .at = scene.now()};
  beat.details = text_payload("10 %");
  CHECK(scene.journal->put_heartbeat(beat).ok());
  beat.attempt = 2;
  beat.details = text_payload("20 %");
  CHECK(scene.journal->put_heartbeat(beat).ok());

  const auto last = scene.journal->heartbeat(run.run.run, "1");
  REQUIRE(last.ok());
  REQUIRE(last->has_value());
  CHECK((*last)->attempt == 2);
  CHECK((*last)->details.bytes == "20 %");
  CHECK_FALSE(scene.journal->heartbeat(run.run.run, "2")->has_value());
}

TEST_CASE("what was served is known after its worker has left") {
  scene scene;
  const worker_row me = scene.join();
  serving_row row{.kind = "workflow", .name = "pay", .input_type = 7, .input_shape = "{}"};
  row.build = "build-1";
  CHECK(scene.journal->put_serving(me.row, {row}).ok());
  REQUIRE(scene.journal->serving()->size() == 1);
  CHECK(scene.journal->serving()->at(0).alive);
  CHECK(scene.journal->leave(me.row).ok());

  const auto serving = scene.journal->serving();
  REQUIRE(serving->size() == 1);
  CHECK(serving->at(0).name == "pay");
  CHECK(serving->at(0).input_type == 7);
  CHECK(serving->at(0).worker == me.id);
  CHECK_FALSE(serving->at(0).alive);

  const worker_row next = scene.join("build-2");
  row.input_type = 8;
  row.build = "build-2";
  CHECK(scene.journal->put_serving(next.row, {row}).ok());
  REQUIRE(scene.journal->serving()->size() == 1);
  CHECK(scene.journal->serving()->at(0).input_type == 8);
  CHECK(scene.journal->serving()->at(0).alive);
}

TEST_CASE("of two workers that serve one name, either may leave") {
  scene scene;
  const worker_row one = scene.join("build-1");
  const worker_row two = scene.join("build-2");
  CHECK(scene.journal->put_serving(one.row, {{.kind = "step", .name = "charge"}}).ok());
  CHECK(scene.journal->put_serving(two.row, {{.kind = "step", .name = "charge"}}).ok());
  REQUIRE(scene.journal->serving()->size() == 2);
  CHECK(scene.journal->serving()->at(0).worker == one.id);
  CHECK(scene.journal->serving()->at(1).worker == two.id);

  CHECK(scene.journal->leave(two.row).ok());
  REQUIRE(scene.journal->serving()->size() == 1);
  CHECK(scene.journal->serving()->at(0).alive);
  CHECK(scene.journal->serving()->at(0).worker == one.id);
  CHECK(scene.journal->serving()->at(0).build == "build-1");

  CHECK(scene.journal->leave(one.row).ok());
  REQUIRE(scene.journal->serving()->size() == 1);
  CHECK_FALSE(scene.journal->serving()->at(0).alive);
  CHECK(scene.journal->serving()->at(0).worker == two.id);
}

TEST_CASE("counts say what there is") {
  scene scene;
  const worker_row me = scene.join();
  writer done(scene, scene.begin(me));
  CHECK(done.end() == landing::landed);
  writer sleeping(scene, scene.begin(me));
  const time_us due = scene.now() + 5 * second;
  append parking = sleeping.next({timer_set("1", due), timer_set("2", due + second)});
  parking.then = then::park;
  CHECK(sleeping.land(parking) == landing::landed);
  writer paused(scene, scene.begin(me));
  append pause = paused.parking();
  pause.attention = attention::paused;
  CHECK(paused.land(pause) == landing::landed);
  scene.send(scene.signal(paused.chain));
  scene.start(scene.request());

  const auto counts = scene.journal->counts("default");
  REQUIRE(counts.ok());
  CHECK(counts->by_state.at(run_state::completed) == 1);
  CHECK(counts->by_state.at(run_state::running) == 2);
  CHECK(counts->by_state.at(run_state::waiting_to_start) == 1);
  CHECK(counts->by_attention.at(attention::paused) == 1);
  CHECK(counts->ready == 1);
  CHECK(counts->oldest_ready != 0);
  CHECK(counts->timers == 2);
  CHECK(counts->next_timer == due);
  CHECK(counts->inbox == 1);
  CHECK(scene.journal->counts("tests")->by_state.empty());
}

TEST_CASE("who follows changes sees every event once, each run's in order") {
  scene scene;
  const worker_row me = scene.join();
  writer left(scene, scene.begin(me));
  writer right(scene, scene.begin(me));
  CHECK(left.land(left.next({step_completed("1"), step_completed("2")})) == landing::landed);
  CHECK(right.land(right.next({step_completed("1")})) == landing::landed);

  std::map<run_id, position_t> last;
  std::string cursor;
  std::size_t total = 0;
  for (;;) {
    const auto page = scene.journal->changes(cursor, 2);
    REQUIRE(page.ok());
    if (page->empty()) break;
    CHECK(page->size() <= 2);
    for (const stored_event& one : *page) {
      CHECK(one.cursor != cursor);
      CHECK(one.what.position == last[one.run] + 1);
      last[one.run] = one.what.position;
      cursor = one.cursor;
      ++total;
    }
  }
  CHECK(total == 5);

  CHECK(left.end() == landing::landed);
  const auto news = scene.journal->changes(cursor, 10);
  REQUIRE(news->size() == 1);
  CHECK(news->at(0).run == left.run);
  CHECK(news->at(0).what.kind == event_kind::run_completed);
}

TEST_CASE("the beginnings of several runs come in one answer, or each may be asked for by itself") {
  scene scene;
  const worker_row worker = scene.join();
  writer longer(scene, scene.begin(worker));
  CHECK(longer.land(longer.next({step_completed("1"), step_completed("2")})) == landing::landed);
  const writer shorter(scene, scene.begin(worker));
  const run_id unknown = scene.new_run();

  const auto found = scene.journal->read_beginnings({shorter.run, unknown, longer.run}, 2);

  REQUIRE(found.ok());
  if (scene.journal->info()->kind != "postgres") {
    CHECK(found->empty());
    return;
  }
  REQUIRE(found->size() == 3);
  CHECK(found->at(0).size() == 1);
  CHECK(found->at(1).empty());
  REQUIRE(found->at(2).size() == 2);
  const std::vector<encoded_event> stored = scene.events(longer.run);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(found->at(2)[i].position == stored[i].position);
    CHECK(found->at(2)[i].chain == stored[i].chain);
    CHECK(found->at(2)[i].value == stored[i].value);
  }
}

TEST_CASE("now is never before the latest time stored") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.land(run.next({step_completed("1")})) == landing::landed);
  const time_us stored = scene.now();
  scene.factory->time->set(stored - 3'600 * second);

  CHECK(scene.journal->now() >= stored);
}

TEST_CASE("a sound journal has no damaged pages") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.end() == landing::landed);

  const auto damage = scene.journal->check_pages();
  REQUIRE(damage.ok());
  CHECK(damage->empty());
  CHECK_FALSE(scene.journal->info()->kind.empty());
}
