// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/dispatch/writer.hpp"
#include "engine/store/store.hpp"
#include "src/journal_impl.hpp"
#include "src/live_run.hpp"
#include "src/local_worker.hpp"
#include "worker/runtime/attempt_host.hpp"
#include "worker/runtime/loop_options.hpp"
#include "worker/runtime/mailbox.hpp"
#include "worker/runtime/registry.hpp"
#include "worker/runtime/spares.hpp"
#include "worker/runtime/step_pool.hpp"

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace fermata::runtime {

/// What the loop needs of the process around it.
class loop_outside {
 public:
  virtual ~loop_outside() = default;
  virtual void execute(std::vector<step_pool::task>&& tasks) = 0;
  /// The worker was asked to stop: nothing is begun any more, even before the loop is told.
  virtual bool stopping() const noexcept { return false; }
  virtual void log(level how, std::string_view text) = 0;
  virtual void run_line(const engine::log_line& line) = 0;  // what `ctx.log` said
  /// A commit that was sent then (CLOCK_BOOTTIME µs) has given this worker something, or may have.
  virtual void leased(std::int64_t since_boot_us) noexcept = 0;
};

/// The run loop: owns the live runs, does what their machines say. It knows nothing of what a
/// workflow means.
/// Threads: one calls `turn`; `post`, the local_worker's members and counts from any.
class run_loop final : public detail::local_worker {
 public:
  run_loop(detail::journal_impl& journal, std::shared_ptr<attempt_host> host,
           std::int64_t worker_row, loop_options options, loop_outside& outside);
  ~run_loop();

  /// Does all that can be done now. Returns the steady time (µs) of the next thing that is due.
  std::int64_t turn();
  /// No more claims, and no further attempts; those that run go on.
  void stop_claiming() noexcept { claiming_ = false; }
  /// Attempts are told to stop; what they were at is given back, not failed.
  void stop_attempts();
  bool idle() const;  // no attempt runs, no append is under way
  std::size_t owned() const noexcept { return owned_.load(); }
  /// Tasks that it holds.
  std::size_t held() const noexcept { return held_.load(); }
  /// Whether the journal may have anything as this worker's.
  bool may_own() const noexcept { return owned_ > 0 || held_ > 0 || lost_runs_ || unsure_; }
  /// The steady times (µs) at which the first and the last attempt or grace time are over by
  /// themselves; 0: none.
  std::int64_t first_due() const;
  std::int64_t last_due() const;
  std::size_t attempts() const noexcept { return running_.size(); }
  /// Since when the loop's thread runs code without coming back to the loop (steady µs; 0: it
  /// doesn't). The code that is run for an event is over before that of the next.
  std::int64_t code_since() const noexcept { return code_since_.load(); }
  /// Whose code that is.
  struct code_here {
    engine::run_id run;
    engine::interned workflow;
    const std::string* asked_at = nullptr;  // it went on from there; null: from its beginning
    int slot = -1;                          // in the black box
  };
  code_here code() const;
  /// Rises as long as the loop gets on: with each round of a turn, and with each run in it.
  std::uint64_t advanced() const noexcept { return advanced_.load(std::memory_order_relaxed); }
  /// Something waits for the loop's thread.
  bool has_mail() const;

  // local_worker
  bool admit(engine::start_item& item) override;
  void admitted(const engine::start_item& item, const engine::start_result& how) override;
  void admission_failed(const engine::start_item& item,
                        const absl::Status& answer) noexcept override;
  std::int64_t row() const noexcept override { return worker_; }
  void poke() noexcept override;
  void poke_for(std::uint32_t wakes) noexcept override;

 private:
  /// What goes into the run's next append.
  struct outbox {
    std::vector<engine::produced> events;
    std::vector<std::string> removed_timers;
    // Messages that mean nothing, by seq: they go with what is written anyway.
    std::vector<std::uint64_t> dropped;
    std::vector<std::string> tasks_gone;
    std::vector<std::string> tasks_withdrawn;
    std::optional<std::string> status;
    std::vector<engine::log_line> lines;
    engine::run_changes changes;
    bool is_to_be_written() const noexcept {
      return !events.empty() || !removed_timers.empty() || !tasks_gone.empty() ||
             !tasks_withdrawn.empty() || status || !lines.empty() || !changes.timers_set.empty();
    }
    bool empty() const noexcept { return dropped.empty() && !is_to_be_written(); }
    void clear() {
      events.clear();
      removed_timers.clear();
      dropped.clear();
      tasks_gone.clear();
      tasks_withdrawn.clear();
      status.reset();
      lines.clear();
      changes = {};
    }
  };
  struct transaction_state {
    std::shared_ptr<live_attempt> what;
    engine::event outcome;
    std::exception_ptr problem;
  };
  /// The append that is with the writer.
  struct sent_append {
    std::uint64_t number = 0;  // of the append, among this loop's
    std::vector<engine::event> events;
    engine::head then;                              // the run's, once it has landed
    std::vector<std::uint64_t> consumes;            // inbox rows
    std::vector<engine::message> told;              // messages of an end, should it be refused
    std::shared_ptr<transaction_state> committing;  // a transactional step
    bool parks = false;
    void clear() {
      events.clear();
      consumes.clear();
      told.clear();
      committing.reset();
      parks = false;
    }
  };
  /// What the loop needs of a run's row.
  struct identity {
    std::int64_t row = 0;
    engine::run_id run;
    engine::chain_id chain;
    engine::epoch_t epoch = 0;
    engine::interned space;
    engine::interned workflow;
  };
  struct active {
    identity row;
    std::unique_ptr<detail::live_run> live;
    engine::head head;
    bool owned = false;
    bool appending = false;
    std::uint64_t moved_beside = 0;  // its head, last while this claim was under way
    bool refused = false;         // its append was, by a journal that it wasn't compared with yet
    bool dirty = false;           // in dirty_
    bool queued = false;          // in to_append_
    std::unique_ptr<outbox> out;  // none: there is nothing in it
    std::unique_ptr<sent_append> sent;                      // none: no append is under way
    engine::attention attention = engine::attention::none;  // to be written, with `report`
    std::string report;
    engine::slot unserved = 0;  // a step that waits because this worker doesn't serve it
    engine::queue<std::shared_ptr<live_attempt>>
        to_commit;                                      // transactional steps before their append
    std::map<std::uint64_t, engine::message_id> taken;  // inbox rows given to the machine, by seq
    absl::flat_hash_map<std::string, std::shared_ptr<live_attempt>> attempts;  // by operation
    std::int64_t grace_until = 0;                                              // steady
    std::list<active*>::iterator parked_at;  // in parked_, unless it is owned
  };
  struct sent_run {
    engine::run_id run;
    std::uint64_t number = 0;  // of its append: the run may have been let go and taken anew since
  };
  /// A task that this worker took, until its outcome is written: run, operation, epoch.
  using task_key = std::tuple<engine::run_id, std::string, std::uint64_t>;
  static task_key key_of(const engine::task_name& name) {
    return {name.run, name.operation, name.epoch};
  }
  /// Steps that share places: those of the worker's runs and of queues without a number; or those of
  /// one queue.
  struct lane {
    std::vector<std::string> queues;
    int places = 0;
    int running = 0;
  };
  struct commit_answer {
    engine::writer::answer answer;
    engine::batch batch;
    std::vector<sent_run> runs;        // as the batch's appends
    std::vector<task_key> finishes{};  // as the batch's
    std::int64_t sent = 0;             // boot time
    bool claims = false;
  };
  struct admission {
    engine::start_item item;
    engine::start_result how;
    std::int64_t asked = 0;  // boot time
  };
  // Most of it tells of attempts: the others mustn't make every letter as large as they are.
  using mail =
      std::variant<attempt_done, std::unique_ptr<commit_answer>, std::unique_ptr<admission>>;

  // loop.cpp
  void got_on() noexcept { advanced_.fetch_add(1, std::memory_order_relaxed); }
  bool may_begin() const noexcept { return claiming_ && !outside_.stopping(); }
  void post(mail&& what);
  bool read_mail();
  bool advance_dirty();
  std::int64_t next_due() const;
  void check_by(std::int64_t steady_us);
  void check_deadlines();
  void send_again();
  void close_children();
  void evict_some();
  void forget(const engine::run_id& run);
  void let_go(const engine::run_id& run);
  void give_back();
  void mark(active& run);

  // loop_lineage.cpp
  void compare_with_journal();
  bool say_what_is_lost(const active& run, engine::position_t there);
  void say_had_it(const engine::run_id& run, engine::position_t there);
  void find_lost_runs();
  bool hear_again(active& run);
  void compare_tasks();
  bool must_compare() const { return store_.lineage() != lineage_; }

  // loop_runs.cpp
  void adopt(engine::claimed&& found);
  void adopt_early(const commit_answer& what);
  void hear(active& run, const std::vector<engine::message>& inbox,
            const std::vector<engine::timer_row>& due);
  void tell_due(active& run, const std::vector<engine::timer_row>& due);
  void take_admission(admission&& what);
  active& place_for(const engine::run_row& row);
  bool make_live(active& run);
  bool load(active& run, std::vector<engine::encoded_event>&& beginning = {});
  bool damaged(active& run, std::string_view how);
  bool replay(active& run, std::vector<engine::event>&& history);
  void keep_retries(active& run);
  void feed(active& run, engine::claimed& found);
  std::string report_of(const active& run) const;
  bool quarantined(active& run);
  void quarantine(active& run, std::string_view what);
  void run_code(active& run, const std::function<void(detail::live_run&)>& what);
  void deliver_all(detail::live_run& live, std::vector<engine::event>& events);
  void block(active& run, engine::attention why, std::string report);
  void advance(active& run);

  // loop_appends.cpp
  bool flush();
  void keep_writer_busy();
  bool worth_a_batch(std::size_t at_least) const;
  bool may_send() const;
  std::size_t large_batch() const;
  commit_answer collect();
  void submit(commit_answer&& made);
  void hand_over(commit_answer&& made);
  std::optional<commit_answer> plain_of(commit_answer& made) const;
  std::optional<engine::claim_request> claim_request_now();
  void gather(active& run);
  outbox& out_of(active& run);
  void clear_out(active& run);
  static bool has_to_write(const active& run) { return run.out && run.out->is_to_be_written(); }
  void want_append(active& run);
  void address(const active& run, engine::append& to) const;
  sent_append& new_sent(active& run);
  void build_append(active& run, engine::append& to);
  void build_transaction(active& run, engine::append& to);
  bool can_park(active& run) const;

  // loop_landing.cpp
  void take_written(commit_answer&& what);
  void take_answer(commit_answer&& what);
  void landed(active& run, engine::append_result& how);
  void body_failed(active& run, const engine::append_result& how);
  void refused_end(active& run);
  void deliver(active& run);
  void read_beginnings(std::vector<engine::claimed>& of, std::size_t at, std::size_t count) const;
  void take_claimed(engine::batch_result& from, std::int64_t sent);

  // loop_tasks.cpp
  std::vector<engine::task_room> rooms() const;
  std::vector<engine::task_name> holds() const;
  void take_tasks(std::vector<engine::task_row>&& tasks, std::int64_t sent);
  void take_task(engine::task_row&& task, std::int64_t taken);
  void not_begun(live_attempt& what);
  void stop_task(const engine::task_name& name);
  void dispatch_tasks(std::vector<step_pool::task>& to);
  void finish_task(attempt_done&& what);
  void report_task(live_attempt& what, engine::attempt_end&& end);
  void end_task(live_attempt& what, engine::message&& outcome);
  void take_finished(const commit_answer& what);
  void find_lost_tasks();
  void look_after(active& run, const engine::timer_row& due);
  void find_missing_tasks(active& run, const engine::claimed& found);

  // loop_attempts.cpp
  void want_attempts(active& run);
  void dispatch();
  step_pool::task task_of(active& run, std::shared_ptr<live_attempt> what);
  step_pool::task body_of(std::shared_ptr<live_attempt> what);
  void time_from_now(live_attempt& what);
  engine::attempt_end end_of(const live_attempt& what, attempt_done&& done) const;
  void now_running(const std::shared_ptr<live_attempt>& what);
  void no_longer_running(const live_attempt& what);
  void finish(attempt_done&& what);
  void report(active& run, live_attempt& what, engine::attempt_end&& end);
  void time_out(live_attempt& what, std::string_view why);
  static pb::failure timed_out(std::string_view step, std::string_view why);
  bool is_journal_transaction(const live_attempt& what) const;
  void not_served(active& run, const engine::attempt_start& what);

  // Set once.
  detail::journal_impl& journal_;
  engine::store& store_;
  const std::shared_ptr<attempt_host> host_;
  const registry& serves_;
  const std::int64_t worker_;
  const loop_options options_;
  loop_outside& outside_;

  // Touched only on the loop's thread.
  absl::flat_hash_map<engine::run_id, std::unique_ptr<active>, std::hash<engine::run_id>> runs_;
  std::list<active*> parked_;  // frames that nobody owns; the least used first
  std::vector<engine::run_id> dirty_;
  std::vector<engine::run_id> to_append_;
  std::vector<mail> letters_;                  // being read
  std::vector<engine::append> spare_appends_;  // empty: memory for the next batch
  spares<outbox> spare_outboxes_;
  spares<sent_append> spare_sent_;
  std::set<engine::run_id> finishing_;
  std::deque<std::shared_ptr<live_attempt>> backlog_;
  std::vector<std::shared_ptr<live_attempt>> running_;
  bool alone_ = false;       // an attempt that must be alone is running
  std::vector<lane> lanes_;  // the first is shared
  std::map<task_key, std::shared_ptr<live_attempt>> tasks_;
  std::vector<std::shared_ptr<live_attempt>> tasks_to_begin_;
  std::vector<engine::task_finish> to_finish_;
  bool more_tasks_ = false;
  bool claim_failed_ = false;  // what it took may not be known here
  std::uint64_t appends_sent_ = 0;
  int batches_under_way_ = 0;  // with the writer
  bool claim_under_way_ = false;
  // What waits for the answer to an append of its run.
  absl::flat_hash_map<engine::run_id, engine::claimed, std::hash<engine::run_id>> early_;
  std::uint64_t claims_sent_ = 0;
  std::vector<commit_answer> again_;  // batches that couldn't be written
  std::int64_t again_at_ = 0;
  std::int64_t trouble_since_ = 0;
  std::vector<engine::run_id> let_go_;  // to be given back to the store
  std::int64_t give_back_at_ = 0;
  bool more_ready_ = false;
  bool own_left_ = false;  // the last claim may not have brought all of its own runs
  std::size_t claim_at_most_ = 0;
  bool children_to_close_ = false;
  std::uint32_t lineage_ = 0;  // of the journal, as far as the runs here were compared with it
  std::int64_t check_at_ = INT64_MAX;  // steady: the first deadline of an attempt, or grace time
  std::int64_t next_look_ = 0;         // steady: timers, delayed starts, the slow poll
  engine::time_us now_ = 0;

  const std::shared_ptr<mailbox<mail>> mail_;

  // Read by others.
  std::atomic<bool> claiming_ = true;
  std::atomic<bool> poked_ = true;
  std::atomic<std::uint32_t> looked_for_;  // wakes of the store, when the last claim was made
  std::atomic<bool> lost_runs_ = false;  // the journal may have runs as ours that aren't known here
  std::atomic<bool> unsure_ = false;     // … or what is to be given back
  std::atomic<std::size_t> owned_ = 0;
  std::atomic<std::size_t> held_ = 0;
  std::atomic<int> reserved_ = 0;
  std::atomic<std::int64_t> code_since_ = 0;
  std::atomic<int> code_slot_ = -1;
  std::atomic<const std::string*> code_asked_at_ = nullptr;
  std::atomic<std::uint64_t> advanced_ = 0;

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  engine::run_id code_run_;
  engine::interned code_workflow_;
  std::unordered_map<engine::run_id, std::int64_t> asked_;  // admissions under way, since boot
};

}  // namespace fermata::runtime
