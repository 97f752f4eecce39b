// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/writer.hpp"

#include "engine/event/checks.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/store/projection.hpp"

#include <doctest/doctest.h>

#include <utility>

namespace fermata::conformance {
namespace {

encoded_event seal(random& chance, const run_id& run, const chain_hash& before, const event& what) {
  const auto salt = chance.salt16();
  return encode(run, before, what, {salt.data(), salt.size()});
}

event of(event_kind kind, std::string operation, std::string name = "") {
  event what = plain(kind);
  what.operation = std::move(operation);
  what.name = std::move(name);
  return what;
}

}  // namespace

payload text_payload(std::string_view bytes, std::uint64_t type) {
  return {.bytes = std::string(bytes), .content_type = "text/plain", .type = type};
}

event plain(event_kind kind) {
  event what;
  what.kind = kind;
  return what;
}

event step_completed(std::string operation, int attempts) {
  event what = of(event_kind::step_completed, std::move(operation), "charge");
  what.details.mutable_step()->set_attempts(attempts);
  what.value = text_payload("done");
  return what;
}

event attempt_failed(std::string operation, time_us next_due) {
  event what = of(event_kind::attempt_failed, std::move(operation));
  what.details.mutable_attempt()->set_number(1);
  what.details.mutable_attempt()->set_next_due_us(next_due);
  return what;
}

event timer_set(std::string operation, time_us due) {
  event what = of(event_kind::timer_set, std::move(operation));
  what.details.mutable_timer()->set_due_us(due);
  return what;
}

event timer_fired(std::string operation) {
  return of(event_kind::timer_fired, std::move(operation));
}

event tagged(std::string name, std::string value) {
  event what = of(event_kind::tagged, "1", std::move(name));
  what.value = text_payload(value);
  return what;
}

event published(std::string name, std::string_view value) {
  event what = of(event_kind::published, "1", std::move(name));
  what.value = text_payload(value);
  return what;
}

event signal_received(const message& from) {
  event what = of(event_kind::signal_received, "", from.name);
  what.value = from.value;
  what.details.mutable_signal()->set_message(std::string(from.id.view()));
  return what;
}

// ---- scene ----

scene::scene() : factory(make_factory()), journal(factory->fresh()) {}

run_id scene::new_run() {
  factory->time->advance(1'000);  // so that order of ids is order of making
  return new_run_id(*factory->time, *factory->chance);
}

message_id scene::new_message() { return new_message_id(*factory->time, *factory->chance); }

time_us scene::now() const { return factory->time->wall_now(); }

void scene::pass(std::int64_t us) { factory->time->advance(us); }

worker_row scene::join(std::string build) { return join(*journal, std::move(build)); }

worker_row scene::join(store& through, std::string build) {
  worker_row who;
  who.id = new_worker_id(*factory->time, *factory->chance);
  who.host = "host-1";
  who.pid = 42;
  who.build = std::move(build);
  who.boot_id = "boot-1";
  who.started = now();
  auto joined = through.register_worker(who);
  REQUIRE_MESSAGE(joined.ok(), joined.status().ToString());
  return *joined;
}

start_request scene::request(std::string workflow) {
  start_request what;
  what.run = new_run();
  what.chain = what.run;
  what.origin = what.run;
  what.seed = std::string(16, 's');
  what.workflow = std::move(workflow);
  what.input = text_payload("input");
  what.requested = now();
  return what;
}

start_item scene::item(const start_request& what, on_duplicate how) {
  const auto digest = sha256(what.input.bytes);
  start_item made;
  made.request = what;
  made.input_digest = {digest.begin(), digest.begin() + 16};
  made.on_duplicate = how;
  return made;
}

start_result scene::start(const start_item& what) {
  batch one;
  one.starts.push_back(what);
  auto done = journal->commit(std::move(one));
  REQUIRE_MESSAGE(done.ok(), done.status().ToString());
  REQUIRE(done->starts.size() == 1);
  return done->starts[0];
}

start_result scene::start(const start_request& what) { return start(item(what)); }

message scene::signal(const chain_id& to, std::string name) {
  message what;
  what.id = new_message();
  what.to = to;
  what.name = std::move(name);
  what.value = text_payload("value");
  return what;
}

message_result scene::send(const message& what) {
  batch one;
  one.messages.push_back(what);
  auto done = journal->commit(std::move(one));
  REQUIRE_MESSAGE(done.ok(), done.status().ToString());
  REQUIRE(done->messages.size() == 1);
  return done->messages[0];
}

claim_request scene::wants(int at_most) {
  claim_request what;
  what.at_most = at_most;
  what.workflows = {"pay", "ship"};
  what.build = "build-1";
  what.now = now();
  return what;
}

batch_result scene::claim(const worker_row& worker, const claim_request& what) {
  batch one;
  one.worker = worker.row;
  one.claim = what;
  auto done = journal->commit(std::move(one));
  REQUIRE_MESSAGE(done.ok(), done.status().ToString());
  return *std::move(done);
}

std::vector<claimed> scene::claim(const worker_row& worker, int at_most) {
  return claim(worker, wants(at_most)).claimed;
}

claimed scene::begin(const worker_row& worker) { return begin(worker, request()); }

claimed scene::begin(const worker_row& worker, const start_request& what) {
  CHECK(start(what).how == start_result::outcome::started);
  claim_request wanted = wants();
  wanted.now = std::max(wanted.now, what.not_before);
  for (claimed& one : claim(worker, wanted).claimed) {
    if (one.run.run == what.run) return one;
  }
  REQUIRE_MESSAGE(false, "the run that was started wasn't claimed");
  return {};
}

encoded_event scene::first_event(const start_request& what, std::string build) {
  return seal(*factory->chance, what.run, {}, make_start_event(what, now(), 1, build));
}

run_row scene::row(const run_id& run) {
  auto found = journal->find_run(run);
  REQUIRE_MESSAGE(found.ok(), found.status().ToString());
  return *std::move(found);
}

std::vector<encoded_event> scene::events(const run_id& run) {
  auto found = journal->read_events(run, 1, 1'000'000);
  REQUIRE_MESSAGE(found.ok(), found.status().ToString());
  return *std::move(found);
}

// ---- writer ----

writer::writer(scene& of, const claimed& from)
    : run(from.run.run),
      chain(from.run.chain),
      worker(from.run.owner),
      row(from.run.row),
      epoch(from.run.epoch),
      last(from.head),
      scene_(&of) {}

writer::writer(scene& of, const run_row& from)
    : run(from.run),
      chain(from.chain),
      worker(from.owner),
      row(from.row),
      epoch(from.epoch),
      scene_(&of) {
  auto head = of.journal->read_head(run);
  REQUIRE_MESSAGE(head.ok(), head.status().ToString());
  last = *head;
}

append writer::next(std::vector<event> events) {
  append what;
  what.run = run;
  what.chain = chain;
  what.row = row;
  what.epoch = epoch;
  what.after = last.position;
  what.after_hash = last.hash;
  head at = last;
  for (event& one : events) {
    one.position = ++at.position;
    one.epoch = epoch;
    one.at = scene_->now();
    fold_changes(run, one, what.changes);
    what.events.push_back(seal(*scene_->factory->chance, run, at.hash, one));
    at.hash = what.events.back().chain;
  }
  return what;
}

append writer::by_operator(std::vector<event> events) {
  ++epoch;
  event taken = plain(event_kind::owner_changed);
  taken.details.mutable_owner()->set_epoch(epoch);
  taken.details.mutable_owner()->set_why("operator");
  events.insert(events.begin(), taken);
  append what = next(std::move(events));
  what.by_operator = true;
  return what;
}

append_result writer::result(const append& what) {
  batch one;
  one.worker = what.by_operator ? 0 : worker;
  one.appends.push_back(what);
  auto done = scene_->journal->commit(std::move(one));
  REQUIRE_MESSAGE(done.ok(), done.status().ToString());
  REQUIRE(done->appends.size() == 1);
  append_result answer = std::move(done->appends[0]);
  const auto& landed = answer.body_events.empty() ? what.events : answer.body_events;
  if (answer.how == landing::landed && !landed.empty()) {
    last = {landed.back().position, landed.back().chain};
  }
  return answer;
}

append writer::parking() {
  append what = next();
  what.then = then::park;
  what.looked = true;
  return what;
}

append writer::ending(event_kind how) {
  append what = next({plain(how)});
  what.then = then::end;
  return what;
}

std::vector<run_id> runs_of(const std::vector<claimed>& claimed) {
  std::vector<run_id> runs;
  for (const auto& one : claimed) runs.push_back(one.run.run);
  return runs;
}

std::vector<run_id> runs_of(const std::vector<run_row>& rows) {
  std::vector<run_id> runs;
  for (const auto& one : rows) runs.push_back(one.run);
  return runs;
}

}  // namespace fermata::conformance
