// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::engine {

/// Numbers the operations of one machine; never recorded (the durable name is the id, `3.2`).
/// Slot 0 is the root branch.
using slot = std::uint32_t;

enum class settled : std::uint8_t { pending, value, failed, cancelled, elapsed };

/// How a step is carried out, resolved: the call's options, the step's, the worker's.
/// Milliseconds; 0: none.
struct step_plan {
  std::int64_t timeout_ms = 0;
  std::int64_t give_up_after_ms = 0;
  std::int64_t heartbeat_timeout_ms = 0;
  int max_attempts = 5;
  std::int64_t first_delay_ms = 1'000;
  double backoff = 2.0;
  std::int64_t max_delay_ms = 300'000;
  std::string queue;
  int priority = 0;
  int on_crash = 0;   // 0 retry, 1 fail, 2 ask
  int isolation = 0;  // 0 in_process, 1 own_process
};
pb::step_options to_details(const step_plan& plan);
step_plan from_details(const pb::step_options& options);

/// How a child is started.
struct child_plan {
  std::string key;
  std::int64_t deadline_ms = 0;
  std::string queue;            // empty: the parent's
  std::optional<int> priority;  // empty: the parent's
  int close_policy = 0;         // 0 terminate, 1 cancel, 2 abandon
};

/// The compensation that `.undo` or `on_failure` registers.
struct undo_plan {
  std::string name;
  operation_kind kind = operation_kind::step;  // or child
  step_plan plan;
};

/// What the code asks for.
struct request {
  operation_kind kind = operation_kind::step;
  std::string name;
  interned place;
  payload input;
  step_plan plan = {};
  child_plan child = {};
  std::optional<std::int64_t> patience_ms = {};  // sleep, receive
  std::optional<time_us> until = {};             // sleep_until
  std::optional<undo_plan> undo = {};            // with a step
  chain_id to = {};                              // send
};

/// What is known of a step under way.
struct step_state {
  step_plan plan;
  int attempts = 0;            // that ended
  bool queued = false;         // among those to start
  bool running = false;        // this owner has an attempt going
  bool noting = false;         // how its attempt ended is being written
  bool refused = false;        // this worker can't carry it out now
  bool started_noted = false;  // an attempt_started note has no end yet
  bool inherited = false;    // it stood in the replayed history: an owner before may have tried it
  int crashes = 0;           // attributed to this operation
  int suspicions = 0;        // deaths without attribution, in a row
  int suspicions_alone = 0;  // … while it was executed alone
  time_us next_due = 0;      // of the next attempt
  time_us first_started = 0;
  pb::failure last_failure;
  bool putting = false;    // its task is being put into its queue
  bool withdrawn = false;  // who has its task was told to stop
  std::uint64_t task = 0;  // that is in its queue, or executed there; 0: none
  interned task_queue;     // which may be another than the plan's, when the code has changed
  std::string undoes;      // key of the call it undoes
  std::uint64_t gate = 0;  // starts when so many of the machine's events have landed
};

inline bool is_away(const step_state& step) noexcept { return step.putting || step.task != 0; }

/// What is known of a branch: the root, what spawn opened, a combinator.
struct branch_state {
  std::uint64_t drawn = 0;
  bool cancelled = false;
  bool shielded = false;
  bool ended = false;
  std::vector<slot> members;  // what it issued, in order: the first is operation 1 of it
};

/// One durable request of the code, while its run is in memory.
struct operation {
  operation_kind kind = operation_kind::branch;
  settled how = settled::pending;
  bool observed = false;      // its failure is somebody's business
  bool cancel_asked = false;  // by code, or with its run
  bool answered = false;      // its outcome is under way: it starts no more, and takes no other
  slot branch = 0;            // that issued it
  std::string id;             // "7", "3.2", "c.1"; empty: the root
  std::string name;
  interned place;
  payload input;
  std::uint64_t input_hash = 0;
  time_us issued_at = 0;
  time_us due = 0;  // of its timer; 0: none
  payload value;
  std::unique_ptr<pb::failure> why;
  run_id child;
  int close_policy = 0;  // of the child
  std::unique_ptr<step_state> step;
  std::unique_ptr<branch_state> inner;

  bool is_work() const noexcept { return step != nullptr; }
  /// The world answers it: the end of its run waits for that.
  bool answers() const noexcept {
    return is_work() || (kind == operation_kind::child && !child.empty() && !is_left_alone());
  }
  bool undoes() const noexcept { return id.starts_with("c."); }
  /// A child that goes on whatever becomes of its parent.
  bool is_left_alone() const noexcept { return kind == operation_kind::child && close_policy == 2; }
};

}  // namespace fermata::engine
