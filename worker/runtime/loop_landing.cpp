// SPDX-License-Identifier: Apache-2.0
// What became of a batch: what landed is delivered, what was refused is let go or made anew.
#include "engine/planted.hpp"
#include "engine/store/status.hpp"
#include "src/convert.hpp"
#include "worker/runtime/loop.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::runtime {

namespace {
constexpr std::size_t at_a_time = 32;          // runs that go on before their steps are handed over
constexpr std::size_t beginning_at_most = 64;  // events; a longer history is read by itself
}  // namespace

/// The next batch first: while it is written, what has been written is worked off. Unless that brings
/// claimed runs, which count for how many more are claimed.
void run_loop::take_written(commit_answer&& what) {
  --batches_under_way_;
  if (what.answer.ok() && !what.claims && worth_a_batch(1)) {
    if (commit_answer next = collect(); !next.batch.empty()) submit(std::move(next));
  }
  take_answer(std::move(what));
}

void run_loop::take_answer(commit_answer&& what) {
  now_ = std::max(now_, store_.now());  // what a claim brings may have come while it was under way
  const std::int64_t steady = journal_.time().steady_now_us();
  if (!what.answer.ok()) {
    if (trouble_since_ == 0) {
      trouble_since_ = steady;
      outside_.log(level::error, fmt::format("the journal can't be written, work waits: {} [{}]",
                                             std::string(what.answer.status().message()),
                                             engine::fer_code_of(what.answer.status())));
    }
    again_at_ = steady + options_.retry_us;
    unsure_ = true;
    if (what.claims) outside_.leased(what.sent);
    claim_failed_ = claim_failed_ || (what.claims && !engine::planted("lost_claim_is_forgotten"));
    if (!engine::planted("failed_batch_is_dropped")) again_.push_back(std::move(what));
    return;
  }
  if (what.claims) claim_under_way_ = false;
  if (again_.empty() && std::exchange(trouble_since_, 0) != 0)
    outside_.log(level::info, "the journal can be written again, work goes on");
  for (std::size_t i = 0; i < what.runs.size(); ++i) {
    if (i % at_a_time == at_a_time - 1 && !options_.inline_commits) advance_dirty();
    auto found = runs_.find(what.runs[i].run);
    if (found == runs_.end()) continue;
    active& run = *found->second;
    if (!run.sent || run.sent->number != what.runs[i].number) continue;  // it was let go since
    engine::append_result& how = what.answer->appends[i];
    run.appending = false;
    if (engine::planted("refused_append_counts_as_landed")) how.how = engine::landing::landed;
    switch (how.how) {
      case engine::landing::landed:
        landed(run, how);
        break;
      case engine::landing::body_failed:
        body_failed(run, how);
        break;
      case engine::landing::inbox_not_empty:
        refused_end(run);
        break;
      default:
        // After a promotion the journal may have less of it; then that is said.
        if (!must_compare()) {
          outside_.log(level::warning,
                       fmt::format("run {}: another owner has gone on ({}), this one lets go",
                                   run.row.run.text(), engine::text_of(how.how)));
          let_go(run.row.run);
        } else {
          run.refused = true;
        }
        break;
    }
  }
  adopt_early(what);
  take_finished(what);
  if (what.claims) take_claimed(*what.answer, what.sent);
  what.batch.appends.clear();
  if (spare_appends_.capacity() < what.batch.appends.capacity())
    spare_appends_ = std::move(what.batch.appends);
}

void run_loop::take_claimed(engine::batch_result& from, std::int64_t sent) {
  const std::int64_t steady = journal_.time().steady_now_us();
  auto look_at = [&](engine::time_us wall) {
    if (wall != 0)
      next_look_ = std::min(next_look_, steady + std::max<std::int64_t>(0, wall - now_));
  };
  look_at(from.next_timer);
  look_at(from.next_not_before);
  more_ready_ = from.more_ready;
  // Its own come first.
  own_left_ = from.claimed.size() >= claim_at_most_ && from.claimed.back().mine_before;
  more_tasks_ = from.more_tasks;
  for (const engine::task_name& name : from.stopped) stop_task(name);
  take_tasks(std::move(from.tasks), sent);
  if (std::exchange(claim_failed_, false)) {
    find_lost_tasks();
    lost_runs_ = true;
  }
  for (std::size_t i = 0; i < from.claimed.size(); ++i) {
    if (i % at_a_time == 0) read_beginnings(from.claimed, i, at_a_time);
    adopt(std::move(from.claimed[i]));
    if (i % at_a_time != at_a_time - 1 || options_.inline_commits) continue;
    outside_.leased(sent);
    advance_dirty();
  }
  // Not before: while nothing is known to be owned here, the guard takes the lease for the one of before,
  // and back.
  if (!from.claimed.empty() || !from.tasks.empty()) outside_.leased(sent);
}

/// Of those from `at` on whose history isn't here: one way to the database for all of them. What can't be
/// had is asked for again by itself, which tells why.
void run_loop::read_beginnings(std::vector<engine::claimed>& of, std::size_t at,
                               std::size_t count) const {
  std::vector<engine::run_id> runs;
  std::vector<engine::claimed*> wanted;
  for (std::size_t i = at; i < std::min(of.size(), at + count); ++i) {
    engine::claimed& one = of[i];
    const auto known = runs_.find(one.run.run);
    const bool live = known != runs_.end() && known->second->live;
    if (live || !one.beginning.empty() || one.head.position > beginning_at_most) continue;
    runs.push_back(one.run.run);
    wanted.push_back(&one);
  }
  if (runs.size() < 2) return;
  auto found = store_.read_beginnings(runs, beginning_at_most);
  if (!found.ok()) return;
  for (std::size_t i = 0; i < found->size(); ++i) wanted[i]->beginning = std::move((*found)[i]);
}

void run_loop::landed(active& run, engine::append_result& how) {
  const bool attended = run.attention != engine::attention::none;
  sent_append& sent = *run.sent;
  if (sent.committing) {
    auto state = std::exchange(sent.committing, nullptr);
    no_longer_running(*state->what);
    state->what->leave_frame();
    state->what->answered = true;
    run.attempts.erase(state->what->start().operation);
    run.head = {state->outcome.position, how.body_events.at(0).chain};
    sent.events.push_back(std::move(state->outcome));
    if (run.live) run.live->machine().attempt_committed(state->what->slot);
  } else {
    run.head = sent.then;
    if (run.live) run.live->machine().landed(sent.events.size());
  }
  if (claim_under_way_) run.moved_beside = claims_sent_;
  for (const std::uint64_t seq : sent.consumes) run.taken.erase(seq);
  for (const engine::message_id& id : how.undeliverable)
    outside_.log(level::warning, fmt::format("run {}: message {} found no open run",
                                             run.row.run.text(), id.text()));
  const bool ended =
      !sent.events.empty() && engine::class_of(sent.events.back().kind) == engine::event_class::end;
  if (ended || attended) {
    const engine::run_id id = run.row.run;
    children_to_close_ = children_to_close_ || (ended && how.left_children);
    if (ended) journal_.run_ended(run.row.chain, id, std::move(sent.events.back()));
    forget(id);
    if (attended && !how.parked) (void)store_.release(worker_, {id});
    return;
  }
  if (how.parked && std::exchange(run.owned, false)) {
    --owned_;
    run.parked_at = parked_.insert(parked_.end(), &run);
    journal_.leaves_here(run.row.chain);
  }
  if (sent.parks && !how.parked) {
    // A message came meanwhile: the next claim brings it. A worker that stops makes none, and would
    // try to let the run rest again and again.
    const bool stops = !may_begin() && !engine::planted("refused_park_is_tried_for_ever");
    if (stops && !claim_under_way_) return let_go(run.row.run);
    poked_ = true;
  }
  for (const engine::event& e : sent.events)
    if (e.kind == engine::event_kind::timer_set || e.kind == engine::event_kind::attempt_failed) {
      const engine::time_us due = e.kind == engine::event_kind::timer_set
                                      ? e.details.timer().due_us()
                                      : e.details.attempt().next_due_us();
      if (due != 0)
        next_look_ = std::min(
            next_look_, journal_.time().steady_now_us() + std::max<std::int64_t>(0, due - now_));
    } else if (e.kind == engine::event_kind::child_started ||
               (e.kind == engine::event_kind::attempt_started &&
                !e.details.attempt().queue().empty())) {
      poked_ = true;  // it may be for this worker
    }
  deliver(run);
}

void run_loop::deliver(active& run) {
  std::unique_ptr<sent_append> sent = std::move(run.sent);
  const bool went_on = !sent->events.empty() || !run.owned;
  // What came about while this was being written is only in the frame's machine.
  const bool all_written = !run.live->machine().has_events() && !has_to_write(run);
  if (options_.evict_always && went_on && all_written && !run.live->pinned()) {
    run.live.reset();
    run.out.reset();    // what meant nothing still lies in the inbox
    run.taken.clear();  // what its machine had put off is told to the next one by the next claim
    if (run.owned)
      (void)load(run);  // it may be forgotten
    else
      forget(run.row.run);
    return;
  }
  run_code(run, [&](detail::live_run& live) { deliver_all(live, sent->events); });
  spare_sent_.give(std::move(sent));
  if (run.owned) mark(run);
}

void run_loop::body_failed(active& run, const engine::append_result& how) {
  auto state = std::move(run.sent->committing);
  spare_sent_.give(std::move(run.sent));
  attempt_done done;
  done.what = state->what;
  done.problem =
      state->problem
          ? state->problem
          : std::make_exception_ptr(error(codes::input_output, std::string(how.body.message())));
  state->what->leave_frame();
  finish(std::move(done));
}

/// Messages came while the run ended: they are listed as unread in its last event.
void run_loop::refused_end(active& run) {
  auto inbox = store_.inbox(run.row.chain);
  if (!inbox.ok()) return let_go(run.row.run);
  const std::unique_ptr<sent_append> sent = std::move(run.sent);
  outbox& out = out_of(run);
  for (engine::event& e : sent->events) {
    engine::produced again;
    again.what = std::move(e);
    out.events.push_back(std::move(again));
  }
  engine::produced& end = out.events.back();
  for (const engine::message& m : *inbox) {
    const bool known =
        std::find(sent->consumes.begin(), sent->consumes.end(), m.seq) != sent->consumes.end();
    if (!known) end.what.details.mutable_ended()->add_unread(std::string(m.id.view()));
    out.dropped.push_back(m.seq);
  }
  for (std::size_t i = 0; i < sent->told.size() && i < out.events.size(); ++i)
    out.events[out.events.size() - 1 - i].send = std::move(sent->told[sent->told.size() - 1 - i]);
  want_append(run);
}

}  // namespace fermata::runtime
