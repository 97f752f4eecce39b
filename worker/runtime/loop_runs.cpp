// SPDX-License-Identifier: Apache-2.0
// Runs in memory: taken from the store, replayed, driven until they wait.
#include "engine/event/encode.hpp"
#include "engine/limits.hpp"
#include "engine/replay/mismatch.hpp"
#include "engine/store/projection.hpp"
#include "src/convert.hpp"
#include "worker/runtime/history.hpp"
#include "worker/runtime/loop.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::runtime {

namespace {
/// Says which run's code this thread is in, for the guard and the black box.
class inside_code {
 public:
  inside_code(std::atomic<std::int64_t>& since, std::atomic<int>& slot, black_box* box,
              std::int64_t now, const engine::run_id& run, std::string_view workflow)
      : since_(since), slot_(slot), box_(box) {
    if (box_ != nullptr) slot_.store(box_->enter(run, "", workflow, 0, false));
    since_.store(now);
  }
  ~inside_code() {
    since_.store(0);
    if (box_ != nullptr) box_->leave(slot_.exchange(-1));
  }

 private:
  std::atomic<std::int64_t>& since_;
  std::atomic<int>& slot_;
  black_box* const box_;
};
}  // namespace

void run_loop::run_code(active& run, const std::function<void(detail::live_run&)>& what) {
  {
    const std::lock_guard lock(mutex_);
    code_run_ = run.row.run;
    code_workflow_ = run.row.workflow;
    code_asked_at_ = run.live->asked_at();
  }
  got_on();
  const inside_code here(code_since_, code_slot_, host_->box(), journal_.time().steady_now_us(),
                         run.row.run, run.row.workflow.str());
  what(*run.live);
}

/// However many there are: what is watched is the code that runs for one of them.
void run_loop::deliver_all(detail::live_run& live, std::vector<engine::event>& events) {
  bool first = true;
  for (engine::event& e : events) {
    if (!std::exchange(first, false)) {
      code_since_ = journal_.time().steady_now_us();
      got_on();
    }
    live.deliver(std::move(e));
  }
}

run_loop::active& run_loop::place_for(const engine::run_row& row) {
  auto& place = runs_[row.run];
  if (!place)
    place = std::make_unique<active>();
  else if (!place->owned)
    parked_.erase(place->parked_at);
  place->row = {row.row, row.run, row.chain, row.epoch, row.space, row.workflow};
  if (!std::exchange(place->owned, true)) ++owned_;
  journal_.has_here(row.chain);
  // It may have been let go before: to give it back now would take it from whom it has just been given to.
  std::erase(let_go_, row.run);
  return *place;
}

void run_loop::adopt(engine::claimed&& found) {
  auto known = runs_.find(found.run.run);
  // Plain appends are written beside a claim: a head that has moved meanwhile, or is about to, is the
  // newer one.
  if (known != runs_.end() && known->second->owned &&
      (known->second->appending || known->second->moved_beside == claims_sent_)) {
    active& run = *known->second;
    const bool again = found.run.epoch > run.row.epoch;
    if (!again) feed(run, found);
    if (run.appending && (again || !found.due.empty()))
      early_.insert_or_assign(found.run.run, std::move(found));
    return;
  }
  const bool owned_here = known != runs_.end() && known->second->owned;
  if (known != runs_.end() && known->second->live &&
      found.head.position < known->second->head.position)
    say_what_is_lost(*known->second, found.head.position);
  else if (found.mine_before && !owned_here && must_compare())
    say_had_it(found.run.run, found.head.position);
  active& run = place_for(found.run);
  const bool same =
      run.live && run.head.position == found.head.position && run.head.hash == found.head.hash;
  if (!same) {
    run.live.reset();
    run.out.reset();
    run.head = found.head;
    run.taken.clear();
    if (!load(run, std::move(found.beginning))) return;
  }
  feed(run, found);
  if (!owned_here && run.live) keep_retries(run);
}

void run_loop::feed(active& run, engine::claimed& found) {
  if (!run.live) return;
  run.live->machine().set_time(now_);
  find_missing_tasks(run, found);
  hear(run, found.inbox, found.due);
}

void run_loop::hear(active& run, const std::vector<engine::message>& inbox,
                    const std::vector<engine::timer_row>& due) {
  for (const engine::message& m : inbox) {
    auto [known, fresh] = run.taken.try_emplace(m.seq, m.id);
    if (!fresh && known->second == m.id) continue;
    known->second = m.id;
    run.live->machine().receive(m);
  }
  tell_due(run, due);
}

void run_loop::tell_due(active& run, const std::vector<engine::timer_row>& due) {
  for (const engine::timer_row& t : due)
    t.purpose == engine::timer_purpose::give_up
        ? look_after(run, t)
        : run.live->machine().timer_due(t.operation, t.purpose);
  mark(run);
}

/// Claims that were answered before an append of their run, which is of the same commit and was written
/// before them: one that has let it rest, so that it was claimed again, or has set a timer that is due.
void run_loop::adopt_early(const commit_answer& what) {
  for (const auto& appended : what.runs) {
    if (early_.empty()) return;
    auto early = early_.extract(appended.run);
    if (!early) continue;
    engine::claimed& found = early.mapped();
    const auto known = runs_.find(appended.run);
    const bool owned = known != runs_.end() && known->second->owned;
    if (owned && known->second->row.epoch == found.run.epoch) {
      if (known->second->live) tell_due(*known->second, found.due);
    } else if (!found.mine_before) {
      adopt(std::move(found));
    }
  }
}

void run_loop::take_admission(admission&& what) {
  --reserved_;
  if (runs_.contains(what.item.request.run))  // a message came first, and brought it in
    return outside_.leased(what.asked);
  auto first = engine::decode(what.item.request.run, *what.item.admit);
  if (!first.ok()) return outside_.log(level::error, std::string(first.status().message()));
  engine::run_row row = engine::row_of_start(what.item.request, *first);
  row.row = what.how.row;
  row.owner = worker_;
  row.epoch = first->epoch;
  active& run = place_for(row);
  outside_.leased(what.asked);
  run.head = {1, what.item.admit->chain};
  if (make_live(run)) (void)replay(run, {std::move(*first)});
}

bool run_loop::make_live(active& run) {
  const detail::workflow_entry* entry = serves_.workflow(run.row.workflow.str());
  if (entry == nullptr) {
    forget(run.row.run);
    return false;
  }
  engine::machine_options options;
  options.run = run.row.run;
  options.chain = run.row.chain;
  options.space = run.row.space;
  options.record_input_max = options_.record_input_max;
  run.unserved = 0;
  run.live =
      std::make_unique<detail::live_run>(std::move(options), entry->function, options_.defaults);
  run.live->tell_asked_at(code_asked_at_);
  return true;
}

/// Its journal can't be replayed; the runs beside it go on.
bool run_loop::damaged(active& run, std::string_view how) {
  if (make_live(run))
    block(run, engine::attention::blocked,
          fmt::format("{}; `fermata verify` names all damage, a backup has the run as it was "
                      "[FER-2103]",
                      how));
  return false;
}

/// Its history, of which the beginning may be known: mostly that is all, and not worth a way of its own
/// to the database.
bool run_loop::load(active& run, std::vector<engine::encoded_event>&& beginning) {
  history found = read_history(store_, run.row.run, run.head.position, std::move(beginning),
                               [this] { got_on(); });
  switch (found.why) {
    case history::problem::none:
      break;
    case history::problem::unavailable:
      outside_.log(level::error,
                   fmt::format("run {} can't be read: {}", run.row.run.text(), found.text));
      let_go(run.row.run);
      return false;
    case history::problem::damaged:
      return damaged(run, found.text);
    case history::problem::newer:
      if (make_live(run)) block(run, engine::attention::blocked, std::move(found.text));
      return false;
  }
  return make_live(run) && replay(run, std::move(found.events));
}

/// Delivers the history, then lets the run go on from where it stood.
bool run_loop::replay(active& run, std::vector<engine::event>&& history) {
  engine::machine& machine = run.live->machine();
  engine::position_t failing = 0;
  for (const engine::event& e : history)
    if (e.kind == engine::event_kind::failing) failing = e.position;
  if (failing != 0) machine.fold_only();
  for (const engine::event& e : history)
    if (engine::class_of(e.kind) == engine::event_class::command && e.position > failing)
      machine.foresee(e);
  machine.history_ends_at(history.back().position);
  if (failing == 0 && engine::code_is_dangerous(history)) {
    quarantine(run, "the workflow's own code");
    return false;
  }
  run_code(run, [&](detail::live_run& live) {
    deliver_all(live, history);
    machine.set_time(now_);
    for (auto& [operation, a] : run.attempts) {
      a->slot = machine.slot_of(operation);
      if (a->running && a->slot != 0) machine.attempt_goes_on(a->slot);
    }
    if (machine.difference().empty()) live.go_live();
  });
  if (!machine.difference().empty()) {
    block(run, engine::attention::blocked, report_of(run));
    return false;
  }
  if (quarantined(run)) return false;
  mark(run);
  return true;
}

/// An owner takes a retry's timer back when it is due, and may go away before the attempt has come to
/// anything. Who has the run next isn't told of it: a frame that was here before doesn't know, and by a clock
/// that is behind the other it isn't due yet. Were the timer kept until the outcome is written, then each
/// claim would pass over the timers of all attempts that run.
void run_loop::keep_retries(active& run) {
  engine::machine& machine = run.live->machine();
  for (const auto& [due, op] : machine.retries()) {
    const std::string& operation = machine.look(op).id;
    if (due <= now_)
      machine.timer_due(operation, engine::timer_purpose::retry);
    else
      out_of(run).changes.timers_set.push_back(
          {run.row.run, operation, due, engine::timer_purpose::retry});
  }
}

bool run_loop::quarantined(active& run) {
  const engine::machine& machine = run.live->machine();
  const std::string operation = machine.quarantined();
  if (operation.empty()) return false;
  quarantine(run, operation == "code"
                      ? "the workflow's own code"
                      : fmt::format("step '{}' (operation {})",
                                    machine.look(machine.slot_of(operation)).name, operation));
  return true;
}

void run_loop::quarantine(active& run, std::string_view what) {
  block(
      run, engine::attention::quarantined,
      fmt::format("{} took its worker down {} times; repair it, then `fermata retry {}` [FER-1202]",
                  what, engine::limits::crashes_to_quarantine, run.row.run.text()));
}

/// The difference, and the events around it.
std::string run_loop::report_of(const active& run) const {
  const engine::mismatch& m = run.live->machine().difference();
  std::string text = m.text(run.row.run);
  const engine::position_t from = m.position > 2 ? m.position - 2 : 1;
  auto around = store_.read_events(run.row.run, from, 5);
  if (!around.ok()) return text;
  for (const engine::encoded_event& stored : *around) {
    auto e = engine::decode_envelope(run.row.run, stored);
    if (!e.ok()) continue;
    text += fmt::format("\n{} {:>5}  {} {}{}", e->position == m.position ? '>' : ' ', e->position,
                        engine::text_of(e->kind), e->operation.empty() ? "" : e->operation + " ",
                        engine::describe(*e));
    if (!e->place.empty()) text += " (" + e->place.str() + ")";
  }
  return text;
}

/// Nothing is appended, nothing fails: the run waits for somebody to act.
void run_loop::block(active& run, engine::attention why, std::string report) {
  outside_.log(level::error, report);
  run.attention = why;
  run.report = std::move(report);
  run.out.reset();
  want_append(run);
}

void run_loop::advance(active& run) {
  if (!run.live || !run.owned || run.attention != engine::attention::none) return;
  engine::machine& machine = run.live->machine();
  machine.set_time(now_);
  if (!machine.difference().empty()) return block(run, engine::attention::blocked, report_of(run));
  want_attempts(run);
  const engine::standing stands = machine.stands();
  const bool all_written = !machine.has_events() && !has_to_write(run) && !run.appending;
  if (all_written && quarantined(run)) return;  // its task took a worker down once more
  if (stands.needs_attention && all_written) {
    return block(
        run, engine::attention::needs_attention,
        fmt::format("an operation needs a person: {}; repair what it complains about, then "
                    "`fermata retry {}` [FER-1204]",
                    stands.waits, run.row.run.text()));
  }
  if (!stands.finishing)
    finishing_.erase(run.row.run);
  else if (stands.attempts > 0 && finishing_.insert(run.row.run).second)
    check_by(run.grace_until =
                 journal_.time().steady_now_us() + engine::limits::end_grace_ms * 1000);
  gather(run);
  if (has_to_write(run) || !run.to_commit.empty() || can_park(run)) want_append(run);
}

}  // namespace fermata::runtime
