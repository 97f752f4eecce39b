// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"

#include "engine/event/encode.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/store/projection.hpp"

#include <fmt/format.h>

#include <doctest/doctest.h>
#include <cstdlib>
#include <utility>

namespace fermata::engine::testing {
namespace {

const std::string salt(16, 's');

#ifdef FERMATA_OPERATE_ON_SQLITE
constexpr bool on_sqlite = true;
#else
constexpr bool on_sqlite = false;
#endif

event make(event_kind kind, std::string_view operation, std::string_view name) {
  event made;
  made.kind = kind;
  made.operation = operation;
  made.name = name;
  return made;
}

event step(event_kind kind, std::string_view operation, std::string_view name, int attempts) {
  event made = make(kind, operation, name);
  made.details.mutable_step()->set_operation_kind(static_cast<int>(operation_kind::step));
  made.details.mutable_step()->set_attempts(attempts);
  return made;
}

event child_end(event_kind kind, std::string_view operation, std::string_view name,
                const run_id& child, run_state state) {
  event made = make(kind, operation, name);
  made.details.mutable_child_end()->set_child(std::string(child.view()));
  made.details.mutable_child_end()->set_state(static_cast<int>(state));
  return made;
}

}  // namespace

bench::bench() {
  open_options options;
  options.time = time;
  options.chance = std::make_shared<seeded_random>(7);
  std::string address = "memory:";
  if (on_sqlite) {
    std::string name = (std::filesystem::temp_directory_path() / "fermata-operate-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
    address = "sqlite:" + (folder / "journal.db").string();
  }
  store = open_store(address, options).value();
  worker_row who;
  who.host = "here";
  who.build = "b1";
  worker = store->register_worker(who).value().row;
}

bench::~bench() {
  store.reset();
  if (!folder.empty()) std::filesystem::remove_all(folder);
}

run_id bench::make_id() {
  static seeded_random chance(11);
  return new_run_id(*time, chance);
}

start_request bench::request(std::string_view workflow) {
  start_request made;
  made.run = made.chain = made.origin = make_id();
  made.seed = std::string(16, 'k');
  made.workflow = workflow;
  made.input = text("in");
  made.requested = store->now();
  return made;
}

run_id bench::ask(const start_request& request) {
  batch one;
  one.starts.push_back({.request = request});
  REQUIRE(store->commit(std::move(one)).ok());
  return request.run;
}

void bench::claim() {
  batch one;
  one.worker = worker;
  one.claim = claim_request{
      .at_most = 100, .workflows = {"order", "bill"}, .build = "b1", .now = store->now()};
  REQUIRE(store->commit(std::move(one)).ok());
}

run_id bench::begin(const start_request& request) {
  ask(request);
  claim();
  REQUIRE(row(request.run).owner == worker);
  return request.run;
}

landing bench::write(const run_id& run, std::vector<event> events, then then, append more) {
  time->advance(1'000'000);
  const run_row now = row(run);
  const head last = store->read_head(run).value();
  append one = std::move(more);
  one.run = run;
  one.chain = now.chain;
  one.row = now.row;
  one.epoch = now.epoch;
  one.after = last.position;
  one.after_hash = last.hash;
  one.then = then;
  chain_hash hash = last.hash;
  for (event& what : events) {
    what.position = one.after + one.events.size() + 1;
    what.epoch = now.epoch;
    if (what.at == 0) what.at = store->now();
    if (what.details.has_step() && what.details.step().started_us() == 0) {
      what.details.mutable_step()->set_started_us(what.at - 500'000);
    }
    one.events.push_back(encode(run, hash, what, salt));
    hash = one.events.back().chain;
    fold_changes(run, what, one.changes);
  }
  batch all;
  all.worker = worker;
  all.appends.push_back(std::move(one));
  return store->commit(std::move(all)).value().appends.front().how;
}

void bench::signal(const chain_id& to, std::string_view name) {
  batch one;
  message told;
  told.id = message_id::of(make_id());
  told.to = to;
  told.name = name;
  one.messages.push_back(told);
  REQUIRE(store->commit(std::move(one)).ok());
}

std::vector<event> bench::history(const run_id& run) const {
  std::vector<event> events;
  const std::vector<encoded_event> all = store->read_events(run, 1, 100'000).value();
  for (const encoded_event& stored : all) {
    events.push_back(decode(run, stored).value());
  }
  return events;
}

std::string bench::told(const run_id& run) const {
  std::string story;
  for (const event& what : history(run)) {
    if (!story.empty()) story += ", ";
    story += text_of(what.kind);
    if (!what.operation.empty()) story += " " + what.operation;
    const std::string& act = what.details.act().act();
    if (!act.empty()) story += " " + act;
  }
  return story;
}

std::vector<std::string> bench::findings(const engine::store& where) const {
  std::vector<std::string> all;
  verify_options options;
  options.found = [&](const finding& one) {
    const std::string run = one.run.empty() ? "store" : one.run.text();
    all.push_back(fmt::format("{}@{}: {}", run, one.position, one.what));
  };
  REQUIRE(verify(where, options).ok());
  return all;
}

payload text(std::string_view bytes) {
  payload made;
  made.bytes = bytes;
  made.content_type = "text/plain";
  return made;
}

pb::failure failure(std::string_view type, std::string_view message) {
  pb::failure why;
  why.set_type(std::string(type));
  why.set_message(std::string(message));
  return why;
}

event step_done(std::string_view operation, std::string_view name, int attempts,
                std::string_view value) {
  event made = step(event_kind::step_completed, operation, name, attempts);
  if (!value.empty()) made.value = text(value);
  return made;
}

event step_failed(std::string_view operation, std::string_view name, const pb::failure& why,
                  int attempts) {
  event made = step(event_kind::step_failed, operation, name, attempts);
  *made.details.mutable_step()->mutable_why() = why;
  return made;
}

event step_cancelled(std::string_view operation, std::string_view name) {
  return step(event_kind::step_cancelled, operation, name, 0);
}

event attempt_failed(std::string_view operation, std::string_view name, int number,
                     time_us next_due) {
  event made = make(event_kind::attempt_failed, operation, name);
  made.details.mutable_attempt()->set_number(number);
  made.details.mutable_attempt()->set_next_due_us(next_due);
  return made;
}

event timer_set(std::string_view operation, time_us due) {
  event made = make(event_kind::timer_set, operation, "sleep");
  made.details.mutable_timer()->set_due_us(due);
  return made;
}

event timer_fired(std::string_view operation) {
  return make(event_kind::timer_fired, operation, "sleep");
}

event child_started(std::string_view operation, std::string_view name, const run_id& child) {
  event made = make(event_kind::child_started, operation, name);
  made.details.mutable_child()->set_child(std::string(child.view()));
  return made;
}

event child_done(std::string_view operation, std::string_view name, const run_id& child) {
  return child_end(event_kind::child_completed, operation, name, child, run_state::completed);
}

event child_failed(std::string_view operation, std::string_view name, const run_id& child,
                   const pb::failure& why) {
  event made = child_end(event_kind::child_failed, operation, name, child, run_state::failed);
  *made.details.mutable_child_end()->mutable_why() = why;
  return made;
}

event compensation(std::string_view operation, std::string_view name, int max_attempts) {
  event made = make(event_kind::compensation_registered, operation, name);
  pb::compensation& details = *made.details.mutable_compensation();
  details.set_operation_kind(static_cast<int>(operation_kind::step));
  details.mutable_options()->set_max_attempts(max_attempts);
  return made;
}

event signal_received(std::string_view name, const message_id& id) {
  event made = make(event_kind::signal_received, "", name);
  made.details.mutable_signal()->set_message(std::string(id.view()));
  made.value = text("ok");
  return made;
}

event cancel_received() {
  event made = make(event_kind::cancel_received, "", "");
  made.details.mutable_cancel()->set_by("client");
  return made;
}

event failing(const pb::failure& why, bool cancelled) {
  event made = make(event_kind::failing, "", "");
  *made.details.mutable_failing()->mutable_why() = why;
  made.details.mutable_failing()->set_cancelled(cancelled);
  return made;
}

event marker(std::string_view name) { return make(event_kind::marker, "", name); }

event published(std::string_view operation, std::string_view name, std::string_view value) {
  event made = make(event_kind::published, operation, name);
  made.value = text(value);
  made.details.mutable_written();
  return made;
}

event tagged(std::string_view operation, std::string_view name, std::string_view value) {
  event made = published(operation, name, value);
  made.kind = event_kind::tagged;
  return made;
}

event completed() {
  event made = make(event_kind::run_completed, "", "order");
  made.value = text("done");
  made.details.mutable_ended();
  return made;
}

event failed(const pb::failure& why) {
  event made = make(event_kind::run_failed, "", "order");
  *made.details.mutable_ended()->mutable_why() = why;
  return made;
}

event cancelled() {
  event made = failed(failure("cancelled", "cancelled"));
  made.kind = event_kind::run_cancelled;
  return made;
}

}  // namespace fermata::engine::testing
