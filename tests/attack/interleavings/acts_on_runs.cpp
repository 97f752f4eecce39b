// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "tests/attack/interleavings/world.hpp"

#include <utility>

namespace fermata::interleavings {

using namespace engine;
using conformance::plain;
using conformance::writer;

namespace {

event completed(const std::string& operation) { return conformance::step_completed(operation); }

event ended_well() {
  event end = plain(event_kind::run_completed);
  end.name = "pay";
  return end;
}

/// It is there exactly if it landed.
void check_landed(world& at, const append& sent, const absl::StatusOr<append_result>& told) {
  if (!told.ok()) return;  // don't know
  if (sent.events.empty()) return;
  const auto stored = at.plain.read_events(sent.run, sent.after + 1, 1);
  const bool there =
      stored.ok() && !stored->empty() && stored->front().chain == sent.events.front().chain;
  if (there != (told->how == landing::landed))
    at.not_so("an append was answered '" + std::string(text_of(told->how)) + "', and it is " +
              (there ? "there" : "not there"));
}

absl::StatusOr<append_result> commit(store& through, std::int64_t worker, const append& what) {
  batch one;
  one.worker = worker;
  one.appends = {what};
  auto done = through.commit(std::move(one));
  if (!done.ok()) return done.status();
  return std::move(done->appends[0]);
}

/// By the worker that has the run.
call appending(std::int64_t worker, append what) {
  return [worker, what = std::move(what)](store& through) -> truth {
    auto told = commit(through, worker, what);
    return [what, told](world& at) {
      if (told.ok() && told->parked) at.rests(what.run);
      check_landed(at, what, told);
      if (!told.ok()) return;
      for (const message& one : what.messages) {
        const bool lost = !told->undeliverable.empty();
        const int wanted = told->how == landing::landed && !lost ? 1 : 0;
        if (at.count(one.to, one.id) != wanted)
          at.not_so("a message that went with an append is there " +
                    std::to_string(at.count(one.to, one.id)) + " times, not " +
                    std::to_string(wanted));
      }
    };
  };
}

call step(world& at) { return appending(at.one.row, at.next(*at.owned, {completed("1")})); }

call step_and_look(world& at) {
  append what = at.next(*at.owned, {completed("2")});
  what.looked = true;
  return appending(at.one.row, what);
}

call park(world& at) {
  append what = at.next(*at.owned, {});
  what.then = then::park;
  what.looked = true;
  what.waits = "signal 'go'";
  return appending(at.one.row, what);
}

call park_with_timer(world& at) {
  append what = at.next(*at.owned, {conformance::timer_set("3", at.scene.now() + 1)});
  what.then = then::park;
  return appending(at.one.row, what);
}

call end(world& at) {
  append what = at.next(*at.owned, {ended_well()});
  what.then = then::end;
  return appending(at.one.row, what);
}

call end_kid(world& at) {
  append what = at.next(*at.kid, {ended_well()});
  what.then = then::end;
  what.messages = {at.message_to(at.owned->chain)};
  return appending(at.two.row, what);
}

call end_child_of_ended(world& at) {
  append what = at.next(*at.closing, {ended_well()});
  what.then = then::end;
  return appending(at.two.row, what);
}

call end_kept(world& at) {
  append what = at.next(*at.kept, {ended_well()});
  what.then = then::end;
  message told = at.message_to(at.failed->chain);
  told.kind = message_kind::child_ended;
  told.operation = "1";
  what.messages = {told};
  return appending(at.two.row, what);
}

call end_with_task(world& at) {
  append what = at.next(*at.remote, {ended_well()});
  what.then = then::end;
  return appending(at.one.row, what);
}

call withdraw(world& at) {
  append what = at.next(*at.remote, {});
  what.tasks_withdrawn = {at.task.operation};
  return appending(at.one.row, what);
}

call bear(world& at) {
  start_request child = at.request("pay", "key");
  child.parent = at.owned->run;
  child.parent_chain = at.owned->chain;
  child.parent_operation = "4";
  event started = plain(event_kind::child_started);
  started.operation = "4";
  started.name = "pay";
  started.details.mutable_child()->set_child(std::string(child.run.view()));
  append what = at.next(*at.owned, {started});
  what.children = {child};
  return appending(at.one.row, what);
}

/// Reads the inbox, then moves what it read into the journal: what comes in between stays unread.
call take_in(world& at) {
  const std::int64_t worker = at.one.row;
  return [&at, worker, pen = *at.owned](store& through) -> truth {
    const auto inbox = through.inbox(pen.chain);
    if (!inbox.ok()) return [](world&) {};
    std::vector<event> events;
    std::vector<std::uint64_t> consumed;
    for (const message& one : *inbox) {
      events.push_back(conformance::signal_received(one));
      consumed.push_back(one.seq);
    }
    append what = at.next(pen, std::move(events));
    what.consumed = consumed;
    what.then = then::park;
    what.waits = "signal 'go'";
    auto told = commit(through, worker, what);
    return [what, told, inbox = *inbox](world& in) {
      if (told.ok() && told->parked) in.rests(what.run);
      check_landed(in, what, told);
      for (const message& one : inbox)
        if (in.count(what.chain, one.id) != 1)
          in.not_so("a message that was taken in is there " +
                    std::to_string(in.count(what.chain, one.id)) + " times");
    };
  };
}

/// The chain goes on with another run, which its worker claims beside that, and lets rest at once.
call continue_and_park(world& at) {
  const std::int64_t worker = at.one.row;
  start_request next = at.request("pay");
  next.chain = at.owned->chain;
  next.previous_run = at.owned->run;
  event continued = plain(event_kind::run_continued);
  continued.name = "pay";
  append what = at.next(*at.owned, {continued});
  what.then = then::end;
  what.children = {next};
  return [&at, worker, what, claim = at.wants(at.scene.now()), next](store& through) -> truth {
    batch one;
    one.worker = worker;
    one.appends = {what};
    one.claim = claim;
    const auto done = through.commit(std::move(one));
    if (!done.ok()) return [](world&) {};
    bool rests = false;
    for (const claimed& taken : done->claimed) {
      if (taken.run.run != next.run) continue;
      append park = at.next(writer(at.scene, taken), {});
      park.then = then::park;
      park.looked = taken.inbox.empty();
      park.waits = "signal 'go'";
      const auto told = commit(through, worker, park);
      rests = told.ok() && told->parked;
    }
    return [worker, what, next, rests, all = *done](world& in) {
      for (const claimed& taken : all.claimed) in.owns(worker, taken.run.run, taken.run.epoch);
      check_landed(in, what, all.appends[0]);
      if (rests) in.rests(next.run);
    };
  };
}

}  // namespace

std::vector<act> acts_on_runs() {
  return {{"a step", caller::one, step},
          {"a step, and a look", caller::one, step_and_look},
          {"park", caller::one, park},
          {"park with a timer", caller::one, park_with_timer},
          {"take in and park", caller::one, take_in},
          {"end", caller::one, end},
          {"continue, and park", caller::one, continue_and_park},
          {"a child with the key", caller::one, bear},
          {"end a child of a failed parent", caller::two, end_kept},
          {"end over a task", caller::one, end_with_task},
          {"withdraw a task", caller::one, withdraw},
          {"end and tell", caller::two, end_kid},
          {"end a child of an ended parent", caller::two, end_child_of_ended}};
}

}  // namespace fermata::interleavings
