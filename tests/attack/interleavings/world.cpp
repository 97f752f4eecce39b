// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/interleavings/world.hpp"

#include "engine/event/encode.hpp"
#include "engine/operate/operate.hpp"
#include "engine/operate/verify.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/tasks.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace fermata::interleavings {

using namespace engine;
using conformance::plain;
using conformance::second;
using conformance::writer;

namespace {

constexpr std::int64_t lease_is_over = 20 * second;
constexpr int close_policy_abandon = 2;

event of(event_kind kind, std::string operation, std::string name) {
  event made = plain(kind);
  made.operation = std::move(operation);
  made.name = std::move(name);
  return made;
}

}  // namespace

world::world(conformance::scene& scene, std::string space, bool told)
    : scene(scene),
      on(static_cast<ground&>(*scene.factory)),
      plain(*scene.journal),
      space(std::move(space)),
      one(scene.join(*on.stores[0])),
      two(scene.join(*on.stores[1])),
      idle(scene.join(*on.stores[0])) {
  begin_runs();
  go_on(told);
}

start_request world::request(std::string workflow, std::string key) {
  start_request made = scene.request(std::move(workflow));
  made.space = space;
  made.key = std::move(key);
  return made;
}

claim_request world::wants(time_us now) const {
  claim_request made;
  made.at_most = 100;
  made.space = space;
  made.workflows = {"pay", "ship"};
  made.build = "build-1";
  made.now = now;
  return made;
}

message world::message_to(const chain_id& to) { return scene.signal(to); }

append world::next(const writer& of, std::vector<event> events) const {
  append made;
  made.run = of.run;
  made.chain = of.chain;
  made.row = of.row;
  made.epoch = of.epoch;
  made.after = of.last.position;
  made.after_hash = of.last.hash;
  head at = of.last;
  for (event& what : events) {
    what.position = ++at.position;
    what.epoch = of.epoch;
    what.at = scene.now();
    fold_changes(of.run, what, made.changes);
    made.events.push_back(encode(of.run, at.hash, what, std::string(16, 's')));
    at.hash = made.events.back().chain;
  }
  return made;
}

void world::land(const worker_row& by, std::vector<append> what) {
  batch all;
  all.worker = by.row;
  all.appends = std::move(what);
  const auto done = plain.commit(std::move(all));
  REQUIRE_MESSAGE(done.ok(), done.status().ToString());
  for (const append_result& how : done->appends) REQUIRE(how.how == landing::landed);
}

std::optional<writer> world::pen_of(const run_id& run) { return writer(scene, scene.row(run)); }

/// An append with a child of operation "1", and that child.
std::pair<append, run_row> world::bearing(const writer& parent, int close_policy) {
  start_request child = request("ship");
  child.parent = parent.run;
  child.parent_chain = parent.chain;
  child.parent_operation = "1";
  child.close_policy = close_policy;
  event started = of(event_kind::child_started, "1", "ship");
  started.details.mutable_child()->set_child(std::string(child.run.view()));
  append bear = next(parent, {started});
  bear.children = {child};
  return {bear, {.run = child.run, .chain = child.chain}};
}

/// What one owns, and what has come of some of it.
void world::begin_runs() {
  batch begin;
  std::vector<run_id> runs;
  for (int i = 0; i < 5; ++i) {
    begin.starts.push_back(scene.item(request("pay", i == 4 ? "failed" : "")));
    runs.push_back(begin.starts.back().request.run);
  }
  REQUIRE(plain.commit(std::move(begin)).ok());
  batch claim;
  claim.worker = one.row;
  claim.claim = wants(scene.now());
  const auto taken = plain.commit(std::move(claim));
  REQUIRE(taken.ok());
  REQUIRE(taken->claimed.size() == runs.size());
  for (const claimed& run : taken->claimed) owns(one.row, run.run.run, run.run.epoch);
  owned = pen_of(runs[0]);
  parked = pen_of(runs[1]);
  remote = pen_of(runs[2]);
  writer parent = *pen_of(runs[3]);
  failed = pen_of(runs[4]);

  append park = next(*parked, {conformance::timer_set("1", scene.now() + second)});
  park.then = then::park;
  event attempt = of(event_kind::attempt_started, "1", "render");
  attempt.details.mutable_attempt()->set_number(1);
  attempt.details.mutable_attempt()->set_queue("gpu");
  append put = next(*remote, {attempt});
  task = {.operation = "1", .queue = "gpu", .step = "render", .key = "key"};
  task.epoch = put.events.back().position;
  put.tasks = {task};
  const auto [bear, child] = bearing(parent, 0);
  const auto [leave, left] = bearing(*failed, close_policy_abandon);
  land(one, {park, put, bear, leave});
  parent = *pen_of(parent.run);
  append end = next(parent, {of(event_kind::run_completed, "", "pay")});
  end.then = then::end;
  append fail = next(*pen_of(failed->run), {of(event_kind::run_failed, "", "pay")});
  fail.then = then::end;
  land(one, {end, fail});
  rests(parked->run);
  failed = pen_of(failed->run);
  closing = writer(scene, claimed{.run = child});
  kept = writer(scene, claimed{.run = left});
}

/// What two owns; then time passes.
void world::go_on(bool told) {
  const start_request kid_request = request("pay");
  batch begin;
  begin.starts = {scene.item(kid_request)};
  REQUIRE(plain.commit(std::move(begin)).ok());
  batch claim;
  claim.worker = two.row;
  claim.claim = wants(scene.now());
  claim.claim->rooms = {{{"gpu"}, 10}};
  claim.claim->steps = {"render"};
  const auto taken = plain.commit(std::move(claim));
  REQUIRE(taken.ok());
  REQUIRE(taken->claimed.size() == 3);
  REQUIRE(taken->tasks.size() == 1);
  for (const claimed& run : taken->claimed) owns(two.row, run.run.run, run.run.epoch);
  task = taken->tasks[0];
  kid = pen_of(kid_request.run);
  closing = pen_of(closing->run);
  kept = pen_of(kept->run);

  late = request("pay");
  late.not_after = scene.now() + second;
  fresh = request("pay");
  batch last;
  last.starts = {scene.item(late), scene.item(fresh)};
  if (told) last.messages = {message_to(owned->chain)};
  REQUIRE(plain.commit(std::move(last)).ok());
  scene.pass(lease_is_over);
  const std::int64_t until = plain.boot_now() + 1'000 * second;
  REQUIRE(on.stores[1]->renew(two.row, until).ok());
  REQUIRE(on.stores[0]->renew(idle.row, until).ok());
  for (auto* pen : {&owned, &remote, &parked}) *pen = pen_of((*pen)->run);
}

void world::not_so(const std::string& what) {
  const std::lock_guard lock(mutex_);
  complaints_.push_back(what);
}

void world::owns(std::int64_t worker, const run_id& run, epoch_t epoch) {
  bool mine = false;
  {
    const std::lock_guard lock(mutex_);
    mine = owners_.emplace(std::pair(run, epoch), worker).first->second == worker;
  }
  if (!mine) not_so(run.text() + " was given to two workers at one epoch");
}

void world::rests(const run_id& run) {
  const std::lock_guard lock(mutex_);
  resting_.insert(run);
}

int world::count(const chain_id& chain, const message_id& id) const {
  const std::string wanted(id.view());
  int found = 0;
  const auto inbox = plain.inbox(chain);
  if (inbox.ok()) found += static_cast<int>(std::ranges::count(*inbox, id, &engine::message::id));
  const auto events = plain.read_events(chain, 1, 1'000);
  if (!events.ok()) return found;
  for (const encoded_event& stored : *events) {
    const auto what = decode(chain, stored);
    if (!what.ok()) continue;
    if (what->details.has_signal() && what->details.signal().message() == wanted) ++found;
    if (what->details.has_ended())
      for (const std::string& unread : what->details.ended().unread())
        if (unread == wanted) ++found;
  }
  return found;
}

/// What anybody can do can be had by a third worker now, and the rest has a reason to wait.
void world::claim_the_rest() {
  const worker_row third = scene.join();
  batch claim;
  claim.worker = third.row;
  claim.claim = wants(scene.now());
  const auto taken = plain.commit(std::move(claim));
  REQUIRE_MESSAGE(taken.ok(), taken.status().ToString());
  for (const claimed& run : taken->claimed) {
    owns(third.row, run.run.run, run.run.epoch);
    const auto inbox = plain.inbox(run.run.chain);
    if (!inbox.ok() || inbox->size() != run.inbox.size())
      not_so(run.run.run.text() + " was claimed with another inbox than it has");
  }
}

/// A parent that goes on hears of the end of its child, or knows it.
void world::check_kept() {
  const auto child = plain.find_run(kept->run);
  const auto parent = plain.find_chain(failed->chain);
  if (!child.ok() || !parent.ok()) return not_so("a failed run or its child is gone");
  if (!ended(child->state) || ended(parent->state)) return;
  const auto inbox = plain.inbox(failed->chain);
  bool hears = inbox.ok() && !inbox->empty();
  const auto history = plain.read_events(parent->run, 1, 1'000);
  for (const encoded_event& stored : history.value())
    hears = hears || stored.kind == event_kind::child_completed;
  if (!hears) not_so("a retried run waits for a child that has ended");
}

void world::check_run(const run_row& run, const std::set<std::int64_t>& alive) {
  const std::string name = run.run.text();
  if (ended(run.state)) return;
  if (run.owner != 0 && !alive.contains(run.owner))
    return not_so(name + " belongs to a worker that is gone");
  if (run.owner != 0 || run.attention != attention::none) return;
  if (run.state == run_state::waiting_to_start) {
    if (run.run != late.run) not_so(name + " wasn't begun by who claimed everything");
    return;
  }
  const auto inbox = plain.inbox(run.chain);
  if (!inbox.ok() || !inbox->empty()) not_so(name + " rests over an unread message");
  const std::lock_guard lock(mutex_);
  if (!resting_.contains(run.run)) complaints_.push_back(name + " is nobody's, and never parked");
}

void world::check() {
  for (int i = 0; i < 20; ++i) {
    const auto more = close_children(plain, 100);
    REQUIRE_MESSAGE(more.ok(), more.status().ToString());
    if (!*more) break;
  }
  claim_the_rest();
  std::set<std::int64_t> alive;
  const auto workers = plain.workers();
  REQUIRE(workers.ok());
  for (const worker_row& worker : *workers) {
    if (worker.dead || worker.gone) continue;
    alive.insert(worker.row);
    if (worker.owned + worker.tasks != 0 && worker.lease_until == 0)
      not_so("a worker without a lease owns something: it would never be taken for dead");
  }
  const auto runs = plain.list({.space = space, .at_most = 1'000});
  REQUIRE_MESSAGE(runs.ok(), runs.status().ToString());
  std::map<std::string, int> open_by_key;
  for (const run_row& run : *runs) {
    check_run(run, alive);
    if (!run.key.empty() && !ended(run.state)) ++open_by_key[run.workflow + "/" + run.key];
    if (run.state == run_state::waiting_to_start) continue;
    verify_options how;
    how.only = run.run;
    how.pages = false;
    how.found = [&](const finding& what) {
      not_so("verify: " + run.run.text() + " " + std::to_string(what.position) + ": " + what.what);
    };
    const auto verified = verify(plain, how);
    REQUIRE_MESSAGE(verified.ok(), verified.status().ToString());
  }
  for (const auto& [key, runs_of_it] : open_by_key)
    if (runs_of_it != 1) not_so("there are " + std::to_string(runs_of_it) + " open runs of " + key);
  if (const auto row = plain.find_run(closing->run); row.ok() && !ended(row->state))
    not_so("a child whose parent has ended is open");

  check_kept();

  // Nothing of it concerns the next one.
  REQUIRE(expire_requests(plain, 100).ok());
  for (const worker_row& worker : *workers) {
    if (!alive.contains(worker.row)) continue;
    const bool of_first = worker.row == one.row || worker.row == idle.row;
    store& its = of_first ? *on.stores[0] : worker.row == two.row ? *on.stores[1] : plain;
    REQUIRE(its.leave(worker.row).ok());
  }
}

}  // namespace fermata::interleavings
