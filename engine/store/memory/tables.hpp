// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

/// The memory store's tables. Plain data and the few writes that must keep two of them in step;
/// what the contract asks is in append, starts, messages, claim and workers.
namespace fermata::engine::memory {

struct timer_entry {
  timer_row row;
  epoch_t told = 0;  // the epoch whose owner has been handed it since it was due
};

struct ready_mark {
  int negated_priority = 0;  // so that ascending order is claim order
  std::uint64_t number = 0;  // age
  run_id run;
  auto operator<=>(const ready_mark&) const = default;
};

struct run_record {
  run_row row;
  std::vector<encoded_event> events;
  std::map<std::string, timer_entry> timers;  // by operation
  std::map<std::string, position_t> published;
  std::set<std::string> blocked_builds;  // that said `blocked`, until it is cleared
  std::optional<std::uint64_t> mark;     // number of the ready mark
  time_us ready_since = 0;
  std::deque<log_line> logs;
  std::map<std::string, heartbeat_row, std::less<>> heartbeats;
  std::map<std::string, task_row> tasks;  // by operation
};

struct chain_record {
  std::map<std::uint64_t, message> inbox;  // by seq
  std::set<message_id> pending;
  std::set<message_id> ledger;    // moved into a journal
  std::vector<run_id> runs;       // that began, oldest first
  std::optional<run_id> request;  // not begun yet
};

struct key_name {
  std::string space;
  std::string workflow;
  std::string key;
  auto operator<=>(const key_name&) const = default;
};
struct key_record {
  chain_id chain;
  std::uint64_t input_type = 0;
  std::string input_digest;
};

struct worker_record {
  worker_row row;
  bool lock_free = false;  // its process is gone
  bool released = false;   // dead, and its runs are ready work again
  bool alive() const { return !row.dead && !row.gone; }
  bool settled() const { return released || row.gone; }
};

using served_name = std::pair<std::string, std::string>;  // (kind, name)
using request_place = std::tuple<int, time_us, run_id>;   // (negated priority, not_before, run)
using timer_place = std::tuple<time_us, run_id, std::string>;  // (due, run, operation)
// (queue, negated priority, not_before, run, operation)
using task_place = std::tuple<std::string, int, time_us, run_id, std::string>;

class tables {
 public:
  // ---- finding ----
  run_record* find(const run_id& run);
  const run_record* find(const run_id& run) const;
  const chain_record* find_chain(const chain_id& chain) const;
  /// The open run of the chain; null when it has none, or only a request.
  run_record* open_run(const chain_id& chain);
  bool accepts_messages(const chain_id& chain);
  /// The open run, else the request, else the last run; its row.
  std::optional<run_row> current(const chain_id& chain) const;
  std::optional<run_row> row_of(const run_id& run) const;  // runs and requests
  const worker_record* find_worker(std::int64_t worker) const;
  worker_record* find_worker(std::int64_t worker);
  bool alive(std::int64_t worker) const;

  // ---- writing ----
  run_record& insert_run(run_row row);
  void append_events(run_record& run, const std::vector<encoded_event>& events);
  void apply(run_record& run, const run_changes& changes);
  void mark_ready(run_record& run, time_us now);
  void unmark(run_record& run);
  void set_owner(run_record& run, std::int64_t worker);
  /// Nobody's, ready, with a higher epoch: what rescue and release do.
  void give_up(run_record& run, time_us now);
  void insert_request(const start_request& request);
  std::optional<start_request> take_request(const run_id& run);
  void link_parents(const run_id& parent, const chain_id& parent_chain, const run_id& child);
  void link_previous(const run_id& previous, const run_id& next);
  void set_timer(run_record& run, const timer_row& timer);
  void remove_timer(run_record& run, const std::string& operation);
  /// In place of the operation's task that was there.
  void set_task(run_record& run, task_row task);
  /// False: there was none.
  bool remove_task(run_record& run, const std::string& operation);

  // ---- data; marks, timers and requests are also in an index ----
  std::map<run_id, run_record> runs;
  std::unordered_map<chain_id, chain_record> chains;
  std::map<run_id, start_request> requests;
  std::map<key_name, key_record> keys;
  std::map<std::int64_t, worker_record> workers;
  std::map<served_name, std::map<std::int64_t, serving_row>> serving;  // by worker
  std::unordered_map<run_id, std::set<run_id>> children;  // by run and by chain of the parent
  std::vector<run_id> to_close;
  std::vector<std::pair<run_id, std::size_t>> log;  // every event: run and index

  std::map<std::int64_t, std::set<ready_mark>> ready;  // by owner; 0: nobody's
  std::set<timer_place> timer_index;
  std::set<request_place> request_index;
  std::set<task_place> waiting_tasks;  // that nobody has taken
  std::map<std::int64_t, std::set<std::pair<run_id, std::string>>> held_tasks;  // by worker

  std::int64_t last_run_row = 0;
  std::int64_t last_worker_row = 0;
  std::uint64_t last_mark = 0;
  time_us latest = 0;  // of all times stored: `now` is never before it
  bool woke = false;   // something concerns others
};

/// Order of due times, then of operations.
bool by_due(const timer_row& left, const timer_row& right);

/// Where the run's journal ends.
head head_of(const run_record& run);

}  // namespace fermata::engine::memory
