// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/utf8.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

using namespace fermata::conformance;
using outcome = message_result::outcome;

TEST_CASE("messages come in the order of their acceptance") {
  scene scene;
  const worker_row me = scene.join();
  const claimed run = scene.begin(me);
  const message second_made = scene.signal(run.run.chain, "b");
  const message third_made = scene.signal(run.run.chain, "c");
  const message result_first = scene.signal(run.run.chain, "a");
  for (const message& one : {third_made, result_first, second_made}) {
    const message_result sent = scene.send(one);
    CHECK(sent.how == outcome::accepted);
    CHECK(sent.run == run.run.run);
    CHECK(sent.owner == me.row);
  }

  const auto inbox = scene.journal->inbox(run.run.chain);
  REQUIRE(inbox.ok());
  REQUIRE(inbox->size() == 3);
  CHECK((*inbox)[0].name == "c");
  CHECK((*inbox)[1].name == "a");
  CHECK((*inbox)[2].name == "b");
  CHECK((*inbox)[0].seq == 1);
  CHECK((*inbox)[2].seq == 3);
  CHECK((*inbox)[0].value.bytes == "value");
  CHECK((*inbox)[0].accepted == scene.now());
  CHECK(scene.claim(me).at(0).inbox.size() == 3);
}

TEST_CASE("a message keeps all that it carries") {
  scene scene;
  const claimed run = scene.begin(scene.join());
  message sent = scene.signal(run.run.chain);
  sent.kind = message_kind::child_ended;
  sent.operation = "3.2";
  sent.sender = scene.new_run();
  sent.value.sensitive = true;
  sent.details.mutable_child_end()->set_state(3);
  CHECK(scene.send(sent).how == outcome::accepted);

  const message kept = scene.journal->inbox(run.run.chain)->at(0);
  CHECK(kept.id == sent.id);
  CHECK(kept.kind == message_kind::child_ended);
  CHECK(kept.operation == "3.2");
  CHECK(kept.sender == sent.sender);
  CHECK(kept.value.sensitive);
  CHECK(kept.value.type == sent.value.type);
  CHECK(kept.details.child_end().state() == 3);
}

TEST_CASE("a message sent again is repeated, pending and moved alike") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  const message once = scene.signal(run.chain);
  CHECK(scene.send(once).how == outcome::accepted);
  CHECK(scene.send(once).how == outcome::repeated);
  CHECK(scene.journal->inbox(run.chain)->size() == 1);

  append moving = run.next({signal_received(once)});
  moving.consumed = {1};
  CHECK(run.land(moving) == landing::landed);
  CHECK(scene.journal->inbox(run.chain)->empty());
  CHECK(scene.send(once).how == outcome::repeated);
  CHECK(scene.journal->inbox(run.chain)->empty());
  CHECK(run.end() == landing::landed);
  CHECK(scene.send(once).how == outcome::repeated);
}

TEST_CASE("numbers go on from the largest that is pending") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  scene.send(scene.signal(run.chain));
  scene.send(scene.signal(run.chain));
  append first = run.next({step_completed("1")});
  first.consumed = {1};
  CHECK(run.land(first) == landing::landed);
  scene.send(scene.signal(run.chain));

  const auto inbox = scene.journal->inbox(run.chain);
  REQUIRE(inbox->size() == 2);
  CHECK((*inbox)[0].seq == 2);
  CHECK((*inbox)[1].seq == 3);
}

TEST_CASE("an append that consumes a message that isn't there leaves nothing") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  const message one = scene.signal(run.chain);
  scene.send(one);
  append moving = run.next({signal_received(one), step_completed("1")});
  moving.consumed = {1, 2};

  CHECK(run.land(moving) == landing::message_gone);
  CHECK(scene.events(run.run).size() == 1);
  CHECK(scene.journal->inbox(run.chain)->size() == 1);
}

TEST_CASE("a chain that nobody started is unknown, and an ended one refuses") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(scene.send(scene.signal(scene.new_run())).how == outcome::unknown);
  CHECK(run.end() == landing::landed);

  CHECK(scene.send(scene.signal(run.chain)).how == outcome::ended);
  CHECK(scene.journal->inbox(run.chain)->empty());
}

TEST_CASE("a run that hasn't begun takes messages, and has them when it begins") {
  scene scene;
  const start_request what = scene.request();
  scene.start(what);
  CHECK(scene.send(scene.signal(what.chain)).how == outcome::accepted);

  const worker_row me = scene.join();
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].fresh);
  CHECK(taken[0].inbox.size() == 1);
}

TEST_CASE("an inbox has a bound, beyond which a cancel still gets through") {
  scene scene;
  const start_request what = scene.request();
  scene.start(what);
  batch many;
  for (std::size_t i = 0; i < limits::inbox_per_chain; ++i) {
    many.messages.push_back(scene.signal(what.chain));
  }
  const message known = many.messages[7];
  const auto done = scene.journal->commit(std::move(many));
  REQUIRE(done.ok());
  CHECK(done->messages.back().how == outcome::accepted);

  CHECK(scene.send(scene.signal(what.chain)).how == outcome::full);
  CHECK(scene.send(known).how == outcome::repeated);
  CHECK(scene.journal->inbox(what.chain)->size() == limits::inbox_per_chain);

  const auto cancel = [&] {
    message stop = scene.signal(what.chain);
    stop.kind = message_kind::cancel;
    return scene.send(stop).how;
  };
  CHECK(cancel() == outcome::accepted);
  CHECK(scene.send(scene.signal(what.chain)).how == outcome::full);
  for (std::size_t i = 1; i < limits::inbox_per_chain / 100; ++i) (void)cancel();
  CHECK(cancel() == outcome::full);
}

TEST_CASE("a run with nothing unread parks, and nobody owns it") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  append parking = run.parking();
  parking.waits = "signal 'go'";
  const append_result result = run.result(parking);

  CHECK(result.how == landing::landed);
  CHECK(result.parked);
  const run_row row = scene.row(run.run);
  CHECK(row.owner == 0);
  CHECK(row.epoch == run.epoch);
  CHECK(row.waits == "signal 'go'");
  CHECK(scene.claim(me).empty());
  CHECK(run.land(run.next({step_completed("1")})) == landing::not_owner);
}

TEST_CASE("a message that arrives before the park keeps the run owned, and is handed out") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  const append parking = run.parking();
  CHECK(scene.send(scene.signal(run.chain)).how == outcome::accepted);

  const append_result result = run.result(parking);
  CHECK(result.how == landing::landed);
  CHECK_FALSE(result.parked);
  CHECK(scene.row(run.run).owner == me.row);
  const auto taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  CHECK(taken[0].mine_before);
  CHECK(taken[0].inbox.size() == 1);
}

TEST_CASE("what arrives between the look and the append that looked isn't forgotten") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  const message first = scene.signal(run.chain);
  scene.send(first);
  CHECK(scene.claim(me).size() == 1);
  scene.send(scene.signal(run.chain, "late"));

  append moving = run.next({signal_received(first)});
  moving.consumed = {1};
  moving.looked = true;
  CHECK(run.land(moving) == landing::landed);
  const auto again = scene.claim(me);
  REQUIRE(again.size() == 1);
  REQUIRE(again[0].inbox.size() == 1);
  CHECK(again[0].inbox[0].name == "late");
}

TEST_CASE("who has moved everything isn't called again") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  const message only = scene.signal(run.chain);
  scene.send(only);
  append moving = run.next({signal_received(only)});
  moving.consumed = {1};
  moving.looked = true;
  CHECK(run.land(moving) == landing::landed);

  CHECK(scene.claim(me).empty());
}

TEST_CASE("a message makes a parked run ready for anybody") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  CHECK(run.park() == landing::landed);
  const message_result sent = scene.send(scene.signal(run.chain));
  CHECK(sent.how == outcome::accepted);
  CHECK(sent.run == run.run);
  CHECK(sent.owner == 0);

  const auto taken = scene.claim(scene.join());
  REQUIRE(taken.size() == 1);
  CHECK_FALSE(taken[0].mine_before);
  CHECK(taken[0].inbox.size() == 1);
  CHECK(taken[0].head.position == 1);
}

TEST_CASE("an end that leaves a message unread is refused as a whole") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append end = run.ending();
  scene.send(scene.signal(run.chain));

  CHECK(run.land(end) == landing::inbox_not_empty);
  CHECK(scene.row(run.run).state == run_state::running);
  CHECK(scene.row(run.run).owner == run.worker);
  CHECK(scene.events(run.run).size() == 1);
  end.consumed = {1};
  CHECK(run.land(end) == landing::landed);
  CHECK(scene.row(run.run).state == run_state::completed);
}

TEST_CASE("a message to another chain goes with the append, or not at all") {
  scene scene;
  const worker_row me = scene.join();
  writer sender(scene, scene.begin(me));
  writer receiver(scene, scene.begin(me));
  append sending = sender.next({plain(event_kind::signal_sent)});
  sending.messages = {scene.signal(receiver.chain)};
  append refused = sending;
  refused.epoch += 1;
  CHECK(sender.land(refused) == landing::not_owner);
  CHECK(scene.journal->inbox(receiver.chain)->empty());

  CHECK(sender.result(sending).undeliverable.empty());
  CHECK(scene.journal->inbox(receiver.chain)->size() == 1);
  CHECK(sender.result(sending).undeliverable.empty());
  CHECK(scene.journal->inbox(receiver.chain)->size() == 1);
}

TEST_CASE("messages that can't be delivered are named, and the append lands") {
  scene scene;
  const worker_row me = scene.join();
  writer sender(scene, scene.begin(me));
  writer gone(scene, scene.begin(me));
  CHECK(gone.end() == landing::landed);
  append sending = sender.next({plain(event_kind::signal_sent)});
  sending.messages = {scene.signal(gone.chain), scene.signal(scene.new_run())};

  const append_result result = sender.result(sending);
  CHECK(result.how == landing::landed);
  REQUIRE(result.undeliverable.size() == 2);
  CHECK(result.undeliverable[0] == sending.messages[0].id);
  CHECK(result.undeliverable[1] == sending.messages[1].id);
}

TEST_CASE("a message of an earlier append in the batch reaches a run that parks later in it") {
  scene scene;
  const worker_row me = scene.join();
  writer sender(scene, scene.begin(me));
  writer receiver(scene, scene.begin(me));
  append sending = sender.next({plain(event_kind::signal_sent)});
  sending.messages = {scene.signal(receiver.chain)};
  batch both;
  both.worker = me.row;
  both.appends = {sending, receiver.parking()};

  const auto done = scene.journal->commit(std::move(both));
  REQUIRE(done.ok());
  CHECK_FALSE(done->appends[1].parked);
  CHECK(scene.row(receiver.run).owner == me.row);
}

TEST_CASE("a text that isn't UTF-8 never makes a message that can't be read") {
  scene scene;
  const worker_row me = scene.join();
  writer run(scene, scene.begin(me));
  message cancel = scene.signal(run.chain);
  cancel.kind = message_kind::cancel;
  cancel.details.mutable_cancel()->set_why("d\xe9lai");
  message end = scene.signal(run.chain);
  end.kind = message_kind::child_ended;
  end.details.mutable_child_end()->mutable_why()->set_message("\xff");
  CHECK(scene.send(cancel).how == outcome::accepted);
  CHECK(scene.send(end).how == outcome::accepted);

  const std::vector<claimed> taken = scene.claim(me);
  REQUIRE(taken.size() == 1);
  REQUIRE(taken[0].inbox.size() == 2);
  CHECK(taken[0].inbox[0].details.cancel().why() == "d\xef\xbf\xbdlai");
  CHECK(is_utf8(taken[0].inbox[1].details.child_end().why().message()));
  CHECK(taken[0].inbox[0].damage.empty());
}
