// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// What stores keep beside events: plain values.
namespace fermata::engine {

/// What the first run of a chain, or a child, is started with. Kept until a worker claims it; the
/// claim turns it into event 1. `make_start_event` says how.
struct start_request {
  run_id run;
  chain_id chain;                 // == run, unless it continues or retries
  run_id origin;                  // what idempotency keys hang on
  std::string seed;               // 16 bytes
  std::string space = "default";  // the namespace
  std::string workflow;
  payload input;
  std::string queue;
  int priority = 0;
  time_us requested = 0;
  time_us not_before = 0;
  time_us not_after = 0;  // 0: for ever
  time_us deadline = 0;   // 0: none
  std::string key;
  std::map<std::string, std::string> tags;
  run_id parent;  // run of the parent; empty: none
  chain_id parent_chain;
  std::string parent_operation;
  int close_policy = 0;  // 0 terminate, 1 cancel, 2 abandon
  std::string traceparent;
  run_id previous_run;
  chain_hash previous_hash{};
};

enum class message_kind : std::uint8_t {
  signal = 1,
  cancel = 2,
  child_ended = 3,
  step_outcome = 4  // of an attempt at a remote step; its task is gone
};

/// Something others tell a chain. Lies in the inbox until the owner of its open run moves it into
/// the journal.
struct message {
  message_id id;
  chain_id to;
  message_kind kind = message_kind::signal;
  std::string name;       // of the signal
  std::string operation;  // child_ended: the operation of the parent; step_outcome: the step's
  payload value;
  pb::details details;    // child_ended: child_end; cancel: cancel; step_outcome: task_end
  run_id sender;          // empty: a client
  time_us accepted = 0;   // set by the store
  std::uint64_t seq = 0;  // set by the store: order of acceptance within the chain
  std::string damage;     // set by the store: why it can't be read; empty: it can
};

enum class timer_purpose : std::uint8_t {
  sleep = 0,
  patience = 1,
  retry = 2,
  deadline = 3,
  give_up = 4  // of a task: see due_of in tasks.hpp
};

struct timer_row {
  run_id run;
  std::string operation;  // deadline: empty
  time_us due = 0;
  timer_purpose purpose = timer_purpose::sleep;
};

/// One attempt at a remote step. The owner of its run puts it; a worker that serves its queue and step
/// claims it, once; it is gone when the attempt has ended, one way or another. At most one for each
/// operation of a run.
struct task_row {
  run_id run;
  chain_id chain;
  std::string operation;
  std::uint64_t epoch = 0;  // position of its attempt_started: rises with every attempt
  int attempt = 1;
  std::string space = "default";
  std::string queue;
  int priority = 0;        // higher goes first
  time_us not_before = 0;  // then by this
  std::string step;
  payload input;
  std::string key;                        // idempotency key
  std::string undoes;                     // key of the call it undoes
  std::int64_t timeout_ms = 0;            // of the attempt, from when it is taken; 0: none
  std::int64_t heartbeat_timeout_ms = 0;  // longest silence; 0: none
  time_us give_up_at = 0;                 // of all attempts together; 0: never
  bool alone = false;                     // no other attempt beside it: it is suspected

  // Set by the store.
  std::int64_t owner = 0;  // worker row; 0: nobody has taken it
  time_us taken = 0;
  time_us beat = 0;        // its last heartbeat
  bool withdrawn = false;  // its worker is to stop it; what it says still counts
};

/// Names one attempt, and no other one of its operation.
struct task_name {
  run_id run;
  std::string operation;
  std::uint64_t epoch = 0;
  bool operator==(const task_name&) const = default;
};

/// How an attempt at a remote step ended.
enum class task_end : std::uint8_t {
  value,
  failed,
  cancelled,  // it was asked to stop, and did, or hadn't begun
  lost,       // its worker is gone
  given_back  // its worker couldn't, or left: it hasn't failed
};

/// What waits in a queue of an open namespace, for `explain`, `status` and `doctor`.
struct queued_step {
  std::string queue;
  std::string step;
  std::int64_t waiting = 0;
  std::int64_t executing = 0;
  time_us oldest = 0;  // not_before of the oldest that waits; 0: none does
};

/// What events mean for the projections; the store applies it in the append's transaction, and
/// `rebuild` applies the very same. Made by `fold_changes`.
struct run_changes {
  std::optional<run_state> state;
  std::optional<time_us> ended;
  std::optional<std::string> error;         // of the end, one line
  std::vector<timer_row> timers_set;        // replaces one of the same operation
  std::vector<std::string> timers_removed;  // by operation
  bool all_timers_removed = false;          // at an end
  std::map<std::string, std::string> tags;
  std::map<std::string, position_t> published;  // name → where its newest value is
};

/// A run's row: the folded part, then the operational part.
struct run_row {
  std::int64_t row = 0;  // the store's own handle of the run; 0: not begun yet
  run_id run;
  chain_id chain;
  std::string space;
  std::string workflow;
  std::string key;
  std::string queue;
  int priority = 0;
  run_id parent;
  chain_id parent_chain;
  std::string parent_operation;
  int close_policy = 0;
  run_id origin;
  std::string build;
  int format_level = 1;
  time_us requested = 0;
  time_us started = 0;
  time_us deadline = 0;
  time_us not_before = 0;
  std::map<std::string, std::string> tags;
  run_state state = run_state::waiting_to_start;
  time_us ended = 0;
  std::string error;

  std::int64_t owner = 0;  // worker row; 0: nobody
  epoch_t epoch = 0;
  fermata::engine::attention attention = fermata::engine::attention::none;
  std::string report;   // of the attention
  std::string waits;    // one line: what it waits for, written when it parks
  std::string status;   // the run's own line
  time_us updated = 0;  // of the row
  run_id next_run;      // of the chain
};

struct worker_row {
  std::int64_t row = 0;
  worker_id id;
  std::string host;
  std::int64_t pid = 0;
  std::string build;
  int slot = 0;  // of the lock and black-box files
  std::string boot_id;
  time_us started = 0;
  time_us last_seen = 0;         // wall clock
  std::int64_t lease_until = 0;  // CLOCK_BOOTTIME µs; 0: owns nothing
  bool dead = false;
  bool gone = false;                // left in an orderly way
  std::vector<std::string> queues;  // that it serves
  std::int64_t owned = 0;           // runs, counted when asked for
  std::int64_t tasks = 0;           // that it holds, likewise
};

/// What a worker serves; the last row per name outlives its worker.
struct serving_row {
  std::string kind;  // workflow, step
  std::string name;
  std::uint64_t input_type = 0;
  std::string input_shape;   // JSON
  std::string result_shape;  // JSON
  std::string build;
  worker_id worker;
  bool alive = false;  // its worker is, filled when read
};

/// What `ctx.log` said. (run, position, ordinal) is the same at every replay: a line that is there
/// already is left out.
struct log_line {
  run_id run;
  position_t position = 0;  // of the event that the code was running for
  int ordinal = 0;          // among the lines of that position
  time_us at = 0;
  int level = 1;  // 0 debug, 1 info, 2 warning, 3 error
  std::string text;
  std::string place;
};

struct heartbeat_row {
  run_id run;
  std::string operation;
  int attempt = 0;
  time_us at = 0;
  payload details;          // not present: what was said before stays
  std::uint64_t epoch = 0;  // of the task; 0: an attempt in its run's worker
};

/// One cell of an answer to a read-only SQL statement.
struct sql_value {
  enum class kind : std::uint8_t { null, integer, real, text, blob } is = kind::text;
  std::string text;  // of a blob: its bytes
};

/// Where a run's journal ends.
struct head {
  position_t position = 0;
  chain_hash hash{};
};

}  // namespace fermata::engine
