// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/replay/command.hpp"
#include "engine/replay/containers.hpp"
#include "engine/replay/mismatch.hpp"
#include "engine/replay/operation.hpp"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fermata::engine {

struct machine_options {
  run_id run;
  chain_id chain;
  interned space = std::string_view("default");
  std::size_t record_input_max = limits_recorded_input();
  std::size_t operations_max = limits_operations();

  static std::size_t limits_recorded_input() noexcept;
  static std::size_t limits_operations() noexcept;
};

/// The replay machine: knows one run. The journal tells it what happened, the code asks it, the
/// world reports to it; it produces events to append and attempts to start, or a mismatch.
/// Synchronous: no thread, clock, socket, database or coroutine. README.md tells it in examples.
///
///   for (const event& e : history) { m.deliver(e); run the code; m.stand(); }
///   m.go_live();
///   loop: set_time · receive the inbox · fire_timers · report attempts
///         take_events → append → landed, then deliver each · take_starts
class machine {
 public:
  explicit machine(machine_options options);
  machine(const machine&) = delete;

  // ---- the journal tells (in position order) ----

  /// The recorded commands, in order, before the first `deliver`.
  void foresee(const event& command);
  /// The history has `failing`, and the code isn't wanted: compensation goes on from the journal
  /// alone. Then only the commands after `failing` are foreseen.
  void fold_only() noexcept { fold_only_ = true; }
  /// The last position that the history had when this owner took the run.
  void history_ends_at(position_t last) noexcept { history_end_ = last; }
  position_t history_end() const noexcept { return history_end_; }
  /// One committed event. Afterwards run the code for `take_settled`, then call `stand`.
  void deliver(event what);
  /// The code has run until it waits everywhere.
  void stand();
  /// All history is delivered: from here on attempts start. What is delivered from now on is what
  /// this machine produced (`take_events`, `outcome_of`).
  void go_live();
  bool live() const noexcept { return live_; }
  /// Events of `take_events` that were appended. Call before delivering them.
  void landed(std::size_t events) noexcept { landed_ += events; }

  // ---- the code asks ----

  slot ask(slot branch, request&& what);
  slot open_branch(slot branch, bool shielded);
  void branch_ended(slot branch, settled how, pb::failure why = {});
  void root_ended(settled how, payload result, pb::failure why = {});
  void cancel(slot op);
  /// A branch's frames were destroyed: it is cancelled without being told.
  void drop(slot op);
  bool patched(slot branch, std::string_view change, interned place);
  std::uint64_t random(slot branch);
  time_us now() const noexcept { return now_; }
  void observe(slot op) { ops_[op].observed = true; }
  /// True when waiting for `op` in `branch` ends in `cancelled` at once.
  /// References of `look` stay valid while the machine lives.
  bool refuses(slot branch, slot op) const;
  const operation& look(slot op) const { return ops_[op]; }
  /// The operation with this id; 0 when there is none.
  slot slot_of(std::string_view id) const { return find(id); }
  std::size_t size() const noexcept { return ops_.size(); }
  /// Something that can't be read: blocks the run.
  void undecodable(std::string_view what, std::string_view place);

  // ---- the world reports ----

  void set_time(time_us now) noexcept { clock_ = now > clock_ ? now : clock_; }
  void receive(const message& what);
  /// One row of the store's timers is due. `fire_timers` is the same for all of this run.
  void timer_due(std::string_view operation, timer_purpose purpose);
  /// Everything due by `set_time`, in (due, operation) order. Call after `receive`.
  void fire_timers();
  void attempt_ended(slot op, attempt_end&& end);
  /// The outcome that an attempt would produce, for a transactional step's append. Its value is
  /// filled in by the writer; report with `attempt_committed` after it landed, then deliver it.
  event outcome_of(slot op, int number, time_us started) const;
  void attempt_committed(slot op);
  /// The operation can't be started here (queue full, not served): it goes back to waiting, until
  /// `attempt_possible` or another owner.
  void attempt_refused(slot op);
  /// It isn't tried before then; the worker keeps a retry timer for it.
  void postpone(slot op, time_us until);
  /// Before `go_live`: an attempt of an operation goes on in this process, begun for a machine that is
  /// gone. It isn't started again, and is told to stop when it has to.
  void attempt_goes_on(slot op);
  void attempt_possible(slot op);
  /// Found in a black box: this operation's attempt took its worker down (or may have), or the
  /// process of its own. Nothing of the operation starts before the note is delivered.
  void crashed(std::string_view operation, int number, int signal, std::string_view backtrace,
               std::string_view worker, bool alone);
  /// The task of a remote step wasn't finished in time: it is taken back.
  void task_late(slot op, attempt_end&& end);
  /// Neither the task nor its outcome is where they should be.
  void task_missing(slot op);
  /// Remote steps whose task is in a queue, or executed: operation and epoch of the task.
  std::vector<std::pair<slot, std::uint64_t>> tasks_away() const;
  /// False when it is known that no task was put.
  bool may_have_tasks() const noexcept { return fold_only_ || task_put_; }
  /// False when it is known that no child was started.
  bool may_have_children() const noexcept { return fold_only_ || child_asked_; }
  /// The grace time, which begins with `stands().finishing`, is over: what is in flight is abandoned.
  void grace_over();

  /// Steps that wait for their next attempt, the soonest due first: time and slot. What was taken by
  /// `take_starts` isn't among them.
  const absl::btree_set<std::pair<time_us, slot>>& retries() const noexcept { return retrying_; }

  // ---- the worker takes ----

  std::vector<slot> take_settled();
  std::vector<produced> take_events();
  bool has_events() const noexcept { return !events_.empty() || !seen().to_put.empty(); }
  std::vector<attempt_start> take_starts();
  std::vector<slot> take_stops();
  std::vector<std::string> take_removed_timers();
  /// Operations whose tasks are removed; whose executing workers are told to stop.
  std::vector<std::string> take_tasks_gone();
  std::vector<std::string> take_tasks_withdrawn();
  /// Messages that mean nothing to this run (seq): consumed without an event.
  std::vector<std::uint64_t> take_dropped();
  standing stands() const;
  /// Three crashes, or five unattributed deaths while alone: the operation's id; empty otherwise.
  std::string quarantined() const;
  const mismatch& difference() const noexcept;
  bool over() const noexcept { return mismatch_ || ended_ || failing_; }
  bool code_runs() const noexcept { return !failing_ && !ended_ && !fold_only_; }
  const std::string& workflow() const noexcept { return ops_[0].name; }
  /// The input of the run, once: for the code to begin with.
  payload take_input() { return std::move(ops_[0].input); }
  run_state state() const noexcept;
  epoch_t epoch() const noexcept { return epoch_; }
  std::string key_of(const operation& op) const;
  const run_id& origin() const noexcept { return origin_; }

 private:
  struct compensation {
    undo_plan undo;
    payload input;
    std::string undoes;
    interned place;
  };
  static compensation registered_by(const event& what);
  struct foreseen {
    position_t position;
    event_kind kind;
    std::string operation, name;
    interned place;
    std::uint64_t input_hash, input_type;
    time_us due;
    run_id child;
    int close_policy = 0;
    rare<compensation> registered = {};
  };
  struct change {
    bool answer;
    bool compared;  // its command was asked for
  };
  struct ending {
    settled how;
    pb::failure why;
  };
  /// What is known of how it ends; most runs in memory are far from it.
  struct last_things {
    payload result;  // of the code
    pb::failure root_why;
    pb::failure failing_why;
    std::string cancel_why;
    std::vector<std::string> abandoned;
  };
  /// What most runs in memory have none of, most of the time.
  struct extras {
    absl::btree_map<std::string, change, std::less<>> markers;
    absl::btree_map<std::string, queue<std::pair<payload, std::string>>, std::less<>> mail;
    absl::btree_map<std::string, int, std::less<>> mail_under_way;  // produced, not delivered
    std::vector<compensation> compensations;                        // not yet undone
    std::vector<slot> undone;                                       // c.1, c.2 …
    std::vector<slot> held;      // timers that wait for a message under way
    std::vector<slot> suspects;  // steps that may be quarantined
    std::vector<slot> to_put;    // remote steps to start
    std::vector<slot> stops;
    absl::btree_set<slot> unbegun;  // told to stop before an attempt began
    std::vector<std::string> removed_timers;
    std::vector<std::uint64_t> dropped;
    std::vector<std::string> tasks_gone;
    std::vector<std::string> tasks_withdrawn;
    std::vector<message>
        postponed;  // outcomes that came while a note about their operation was written
  };
  /// Whom its end is told.
  struct parent_place {
    chain_id chain;
    std::string operation;
  };

  // machine.cpp
  void deliver_start(const event& what);
  void deliver_command(const event& what);
  void deliver_outcome(event& what);
  void deliver_note(const event& what);
  void deliver_end(const event& what);
  slot add(operation&& op);
  std::string next_id(slot branch);
  slot find(std::string_view id) const;
  slot expect(const event& what);
  void settle(slot op, settled how);
  void fail(slot op, const pb::failure& why);
  event make(event_kind kind, const operation& op) const;
  void produce(event&& what);
  void produce(produced&& what);
  /// True when the command is new and has to be produced; else it was recorded, as `was` tells.
  bool ask_command(event_kind kind, const operation& op, foreseen* was = nullptr);
  bool within_shield(slot branch) const;
  bool branch_cancelled(slot branch) const { return ops_[branch].inner->cancelled; }
  std::uint64_t hash_of(const payload& input) const;
  void differ(mismatch&& what);
  void end_branch(slot branch);
  static time_us later(time_us from, std::int64_t ms) noexcept;

  // machines/
  void ask_step(slot op, request& what);
  void ask_timer(slot op, const request& what);
  void ask_receive(slot op, const request& what);
  std::pair<std::vector<slot>::iterator, std::vector<slot>::iterator> waiting_for(
      std::string_view name);
  void ask_child(slot op, request& what);
  void ask_send(slot op, request& what);
  void ask_written(slot op);
  void ask_compensation(slot op, const undo_plan& undo, payload input, std::string undoes);
  event outcome_with(const operation& op, payload&& input, int number, time_us started) const;
  void deliver_step(event& what);
  void deliver_timer(const event& what);
  void deliver_signal(const event& what);
  void deliver_child(event& what);
  void deliver_cancel(const event& what);
  void deliver_attempt(const event& what);
  void deliver_compensation(const event& what);
  void deliver_failing(const event& what);
  void deliver_act(const event& what);
  void want_start(slot op);
  void cancel_inside(slot branch, bool by_code);
  void cancel_branch(slot branch, bool by_code);
  void cancel_one(slot op, bool journal);
  void stop(slot op);
  void end_unbegun();
  bool must_stop(const operation& op) const;
  bool takes_outcome(const operation& op) const;
  bool vanished(const operation& op) const;
  void deliver_crash(slot op, const event& what);
  bool dangerous(const operation& op) const;
  void take_child_end(const message& what);
  void put_tasks();
  void put_task(slot op);
  void take_task_end(const message& what);
  void task_ended(slot op, const message& what);
  void note_lost(slot op, const pb::task_ended& end, bool in_doubt);
  void withdraw_task(slot op);
  void task_is_put(slot op, const event& what);
  void task_is_gone(slot op);
  void take_postponed();
  std::int64_t retry_delay_ms(const operation& op, const attempt_end& end) const;
  void step_failed(slot op, const attempt_end& end);
  void go_on_ending();
  void next_compensation();
  void produce_failing(settled how, const pb::failure& why);
  void produce_end(run_state how, const pb::failure& why);
  const operation* unseen_failure() const;
  ending how_it_ends();
  last_things& last() { return last_.made(); }
  extras& extra() { return extras_.made(); }
  const extras& seen() const {
    static const extras none;
    return extras_ ? *extras_ : none;
  }
  template <class T>
  T taken(T extras::* what) {
    return extras_ ? std::exchange((*extras_).*what, {}) : T{};
  }
  int in_flight() const;
  bool finishing() const noexcept;
  std::string waits() const;

  // Set once.
  machine_options options_;
  bytes16 seed_;
  run_id origin_;
  rare<parent_place> parent_;
  interned queue_;
  int priority_ = 0;
  time_us deadline_ = 0;  // 0: none

  // What the journal told.
  position_t delivered_ = 0;
  position_t history_end_ = 0;
  time_us now_ = 0;  // of the last delivered start or outcome
  epoch_t epoch_ = 0;
  queue<foreseen> recorded_;     // commands of the history not yet asked
  std::uint64_t asked_ = 0;      // commands
  std::uint64_t confirmed_ = 0;  // commands delivered
  bool fold_only_ = false;
  bool failing_ = false;
  bool ended_ = false;
  bool failing_cancelled_ = false;
  run_state end_state_ = run_state::running;
  bool cancelled_ = false;
  int code_crashes_ = 0;

  // What the code asked.
  numbered<operation> ops_;
  std::vector<slot> waiting_;  // receives, by name, the oldest first; settled ones among them
  slot undoing_ = 0;           // the newest c.n, until it is settled
  bool root_over_ = false;
  settled root_how_ = settled::pending;
  bool end_produced_ = false;  // `failing` or an end is under way
  bool closed_ = false;        // an end is: nothing follows it
  bool exhausted_ = false;     // a compensation is
  rare<last_things> last_;
  slot asks_people_ = 0;  // a step with on_crash = ask that vanished
  bool deadline_told_ = false;

  // Counted, so that ten thousand operations in flight cost no walk.
  int pending_ = 0;           // operations not settled, branches apart
  int work_pending_ = 0;      // … steps
  int children_pending_ = 0;  // … children, but for those left alone
  int away_ = 0;              // … steps whose task is in a queue, or executed elsewhere
  int refused_ = 0;           // … steps that this worker can't carry out
  int open_branches_ = 0;
  int open_shields_ = 0;                                // of them
  slot first_pending_ = 1;                              // none before it
  absl::btree_set<std::pair<time_us, slot>> sleeping_;  // timers
  absl::btree_set<std::pair<time_us, slot>> retrying_;  // steps between attempts

  // What the worker is to do.
  time_us clock_ = 0;
  time_us latest_ = 0;  // of all events, delivered or taken: none is older than one before it
  bool live_ = false;
  bool grace_over_ = false;
  bool child_asked_ = false;
  bool task_put_ = false;
  std::uint64_t consuming_ = 0;  // the inbox message that the next event moves
  std::uint64_t produced_count_ = 0;
  std::uint64_t landed_ = 0;
  std::uint64_t gate_ = 0;
  int outcomes_under_way_ = 0;  // produced, not delivered
  std::vector<produced> events_;
  std::vector<slot> settled_;
  std::vector<slot> starts_;
  rare<extras> extras_;
  rare<mismatch> mismatch_;
};

/// Whether the workflow's own code took its worker down so often in a row that the run belongs into
/// quarantine. To be asked before the code is run: a machine can't tell, it would have to run it.
bool code_is_dangerous(std::span<const event> history);

}  // namespace fermata::engine
