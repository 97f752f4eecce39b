// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/records.hpp"

#include <absl/status/statusor.h>

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

/// What is written together: one durable transaction. Each item lands whole or not at all, and the
/// result says which; one bad item never fails its batch, only the starts that are tied to it.
namespace fermata::engine {

/// What becomes of the run's ownership with this append.
enum class then : std::uint8_t {
  keep,  // the worker goes on
  park,  // nothing to do now: no owner, if the inbox is empty (else it stays owned: `parked` false)
  end  // the last event is an end; refused (inbox_not_empty) when an unread message isn't consumed
};

/// One run's piece: events after a named predecessor.
struct append {
  run_id run;
  chain_id chain;
  std::int64_t row = 0;
  epoch_t epoch = 0;
  position_t after = 0;
  chain_hash after_hash{};
  std::vector<encoded_event> events;  // may be empty: then only the rest happens, under the fence
  /// Inbox rows by seq; their ids go to the ledger. Only beside events, or where the run rests: else the same
  /// append once more, after an answer that was lost, would take another message that has the number by then.
  std::vector<std::uint64_t> consumed;
  run_changes changes;
  std::vector<start_request> children;  // their start requests, in the same transaction
  std::vector<message> messages;        // to other chains
  std::vector<std::string> tasks_gone;  // operations: removed, whoever has them
  /// Operations: who executes it is told to stop, and its outcome still counts. One that nobody has
  /// taken is removed, and `cancelled` put into the run's inbox.
  std::vector<std::string> tasks_withdrawn;
  std::vector<task_row> tasks;  // put after these
  bool may_have_tasks = true;   // of an end, which removes all: false when it is known that none is
  fermata::engine::then then = fermata::engine::then::keep;
  bool may_have_children = true;  // of an end: false when it is known that none was started
  std::optional<std::string> waits;
  std::optional<std::string> status;
  std::optional<attention> attention;
  std::string report;  // with attention
  std::vector<log_line> logs;
  bool looked = false;  // the ready mark is removed: the owner has seen the inbox

  /// An operator's append (CLI, server): no owner and no epoch is asked for, the predecessor alone
  /// fences; the first event is `owner_changed`, and the run has no owner afterwards. With
  /// `make_ready` it becomes ready work.
  bool by_operator = false;
  bool make_ready = false;

  /// A transactional step on tables of the journal's own database (PROTOCOL §7a): runs on the
  /// writer's turn inside a savepoint, gets the store's handle (`sqlite3*`), and returns the events
  /// to append in place of `events`. When it fails, the savepoint is rolled back and the append
  /// answers `body_failed` with the status.
  std::function<absl::StatusOr<std::vector<encoded_event>>(void* handle)> body;
};

enum class landing : std::uint8_t {
  landed,           // also when the very same bytes were there already
  stale,            // the predecessor isn't the run's last event
  not_owner,        // owner or epoch differ
  message_gone,     // a consumed message isn't in the inbox
  inbox_not_empty,  // an end that leaves a message unread
  body_failed,
  unknown_run
};
const char* text_of(landing how) noexcept;

struct append_result {
  landing how = landing::stale;
  bool parked = false;
  absl::Status body;                       // with body_failed
  std::vector<encoded_event> body_events;  // what `body` appended
  std::vector<message_id> undeliverable;   // messages to chains that have ended or don't exist
  bool left_children = true;               // of an end: `children_to_close` may have some
};

enum class on_duplicate : std::uint8_t { attach, fail, restart_if_ended };

/// A start by a client. With `admit` the worker of the same process takes it in this very
/// transaction: event 1 is written, no start request.
struct start_item {
  start_request request;
  std::string input_digest;  // first 16 bytes of the SHA-256 of the input; kept in the key's row
  fermata::engine::on_duplicate on_duplicate = fermata::engine::on_duplicate::attach;
  std::optional<encoded_event> admit;
  std::string build;       // with admit
  bool with_next = false;  // all or none, with the start behind it: see start_groups.hpp
};
struct start_result {
  enum class outcome : std::uint8_t {
    started,
    attached,
    conflict,
    exists,
    withheld  // nothing is wrong with it, but with one it is tied to
  } how = outcome::started;
  run_id run;  // the one that was started, or the chain's current run; empty: none, or its key
               // is that of another start tied to it
  chain_id chain;
  bool admitted = false;
  std::int64_t row = 0;  // with admitted
};

struct message_result {
  enum class outcome : std::uint8_t {
    accepted,
    repeated,
    ended,
    unknown,
    full
  } how = outcome::accepted;
  run_id run;              // the open run of the chain, where there is one
  std::int64_t owner = 0;  // who has it
};

/// An attempt at a remote step has ended: the task is removed where the epoch matches, the outcome put
/// into the inbox of its run's chain, the run made due. By the worker that holds it, or by a rescuer
/// (worker 0), whoever holds it.
struct task_finish {
  task_name task;
  message outcome;  // its id is outcome_id of the task
};
enum class finish_result : std::uint8_t {
  accepted,
  repeated,  // this very task's outcome was accepted before
  gone       // withdrawn from this worker, or the run has ended: nothing was written
};

/// Free places for tasks, shared by these queues.
struct task_room {
  std::vector<std::string> queues;
  int at_most = 0;
};

/// Looks for work for this worker, in the same transaction, after everything else.
struct claim_request {
  int at_most = 0;
  int new_at_most = std::numeric_limits<int>::max();  // of these, runs that it doesn't own yet
  std::string space = "default";
  std::vector<std::string> queues = {""};
  std::vector<std::string> workflows;  // those it serves
  std::string build;
  bool own_build_only = false;  // only runs that this build began, and new ones
  time_us now = 0;
  std::vector<run_id> not_these;  // being evicted, or just given up

  std::vector<task_room> rooms;    // for tasks
  std::vector<std::string> steps;  // those it serves
  std::vector<task_name> holds;    // tasks it executes: which of them are to stop?
};

/// A run that has something to do: taken now, or owned by this worker before.
struct claimed {
  run_row run;                           // after the claim
  bool fresh = false;                    // begun by this claim: event 1 was just written
  std::vector<encoded_event> beginning;  // of its history, where it would take a way to read it
  bool mine_before = false;
  fermata::engine::head head;
  std::vector<message> inbox;    // all of it, in order of acceptance
  std::vector<timer_row> due;    // timers due now, in (due, operation) order
  std::vector<task_name> tasks;  // the run's, whoever has them
};

struct batch {
  std::int64_t worker = 0;  // row of the worker that writes; 0: a client or operator
  std::vector<append> appends;
  std::vector<start_item> starts;
  std::vector<message> messages;
  std::vector<task_finish> finish;
  std::optional<claim_request> claim;
  bool empty() const noexcept {
    return appends.empty() && starts.empty() && messages.empty() && finish.empty() && !claim;
  }
};

/// An event after its predecessor and nothing else, as every finished step is: what nobody but the run's
/// owner need know of.
bool is_plain(const append& what) noexcept;
/// It has plain appends, of a worker, and nothing else.
bool is_plain(const batch& what) noexcept;

/// Appends, starts, messages and tasks that are finished.
std::size_t items_in(const batch& what) noexcept;
/// What it adds to the journal's file, near enough: payloads and details.
std::size_t bytes_in(const append& what) noexcept;
std::size_t bytes_in(const batch& what) noexcept;

struct batch_result {
  std::vector<append_result> appends;  // in the order of the batch
  std::vector<start_result> starts;
  std::vector<message_result> messages;
  std::vector<finish_result> finished;
  std::vector<claimed> claimed;
  std::vector<task_row> tasks;     // taken by this claim
  std::vector<task_name> stopped;  // those of `holds` that are withdrawn, or gone
  time_us next_timer = 0;          // with claim: the earliest timer not yet due; 0: none
  time_us next_not_before =
      0;                    // with claim: the earliest start request or task not yet due; 0: none
  bool more_ready = false;  // with claim: there was more than it might take
  bool more_tasks = false;  // … than there is room for
};

}  // namespace fermata::engine
