// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"
#include "engine/store/postgres/handed.hpp"
#include "engine/store/postgres/server.hpp"
#include "engine/store/postgres/values.hpp"
#include "engine/store/postgres/writes.hpp"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

/// One batch at work, in four steps: what it touches is locked and read in one round trip (load.cpp),
/// what becomes of it is decided here in memory (append, starts, messages), what changes is written in
/// another, by tables (writes.cpp); then it looks for work (claim.cpp). The decisions are those of
/// the other stores, against `known` in place of tables.
namespace fermata::engine::postgres {

/// A run's row, under our lock until the transaction ends.
struct known_run {
  run_id run;
  chain_id chain;
  std::int64_t space = 0;
  std::int64_t queue = 0;     // names.id
  std::int64_t priority = 0;  // as stored
  std::int64_t owner = 0;
  epoch_t epoch = 0;
  run_state state = run_state::running;
  engine::head head;
  bool marked = false;
  std::int64_t since = 0;  // of the mark
};

/// What stands for a chain, and its inbox.
struct known_chain {
  run_id run;          // begun: the open one, else the last; empty: none
  bool ended = false;  // that run has
  run_id request;      // not begun yet; empty: none
  std::int64_t last_seq = 0;
  std::int64_t unread = 0;              // at least: counted as far as anybody asks
  absl::flat_hash_set<message_id> ids;  // of those asked for: pending, or in the ledger

  bool empty() const noexcept { return run.empty() && request.empty(); }
  bool has_ended() const noexcept { return request.empty() && ended; }
};

using key_name = std::tuple<std::int64_t, std::string, std::string>;  // space, workflow, key
struct known_key {
  chain_id chain;
  std::uint64_t input_type = 0;
  std::string input_digest;
  bool bound = false;  // by somebody, before or in this batch
  bool fresh = false;  // this transaction has put the row
};

/// A run that was asked for by its id alone: a start's, a child's.
struct known_id {
  bool begun = false;
  std::int64_t owner = 0;
  chain_id chain;
};

struct turn {
  turn(server& at, transaction& now_in, handed_timers& handed, std::int64_t worker)
      : at(at), in(now_in), handed(handed), worker(worker), write(at) {}

  server& at;
  transaction& in;
  handed_timers& handed;
  const std::int64_t worker;  // who writes; 0: a client or operator

  // Loaded.
  time_us now = 0;
  bool alive = false;  // the worker: our lock keeps it so
  bool has_lease = false;
  std::string worker_build;
  absl::flat_hash_map<run_id, known_run> runs;
  absl::flat_hash_map<chain_id, known_chain> chains;
  absl::flat_hash_map<run_id, known_id> ids;
  absl::flat_hash_map<key_name, known_key> keys;
  absl::flat_hash_map<std::pair<chain_id, std::uint64_t>, message_id> consumed;  // those there
  absl::flat_hash_set<run_id> parents;  // of open children, among runs that end
  std::map<std::pair<run_id, std::string>, task_row> tasks;  // by operation, of runs that matter
  absl::flat_hash_set<std::size_t> landed;  // plain appends, by their place in the batch

  writes write;
  /// Due timers that a claim hands out: known as such when it is committed.
  std::vector<std::pair<handed_timers::key, handed_timers::setting>> handed_now;

  // What it leaves behind.
  bool woke = false;   // something concerns others
  bool ended = false;  // runs ended: only those of other processes don't know it
  time_us latest = 0;  // of all times stored

  dictionary names() { return {in.db(), at.names, at.spaces}; }
  known_run* find(const run_id& run) {
    const auto found = runs.find(run);
    return found == runs.end() ? nullptr : &found->second;
  }
};

// ---- load.cpp ----

/// Texts of a batch become known before its transaction: nobody waits for a name.
void learn_names(server& at, const batch& what);
/// The same of an event that a claim has made: on another connection, beside the transaction.
void learn_names(server& at, const encoded_event& what);
/// Locks and reads what the batch touches. Plain appends (events after their predecessor, and nothing
/// else) are written at once: `landed` says which.
void load(turn& turn, const batch& what);
/// The answer to `fence_sql`.
void read_fence(turn& turn, rows& row);
/// A batch of nothing else, in one round trip: no BEGIN, the commit comes with the end of the pipeline.
/// Answers the places in the batch of those that landed; what didn't is looked at as any append.
absl::flat_hash_set<std::size_t> append_plain(server& at, const batch& what);
bool all_plain(const batch& what);
/// The parameters of their insert, and which have landed, from its answer.
params plain_appends(const server& at, const batch& what, const std::vector<std::size_t>& which);
absl::flat_hash_set<std::size_t> landed_of(const batch& what, const std::vector<std::size_t>& which,
                                           rows& row);
/// What more has to be known of appends whose predecessor isn't the last event: their bytes may be there.
bool already_there(turn& turn, const append& what, const known_run& run);

// ---- append.cpp ----

append_result apply_append(turn& turn, const append& what);
/// Timers, tags and published values.
void apply_changes(turn& turn, const run_id& run, std::int64_t space, const run_changes& changes);
void mark_ready(turn& turn, known_run& run);
void unmark(turn& turn, known_run& run);
void set_lease(turn& turn);

// ---- starts.cpp ----

std::vector<start_result> apply_starts(turn& turn, const std::vector<start_item>& all);
/// A child's start request, or the continuation of a run. One whose run exists is left alone.
void insert_child(turn& turn, start_request request);
/// Writes the row and the first event of a run that begins with this worker.
known_run& begin(turn& turn, const start_request& request, const encoded_event& first,
                 std::string_view build);
/// A run whose whole journal is given: nobody's.
known_run& insert_whole(turn& turn, const start_request& request,
                        const std::vector<encoded_event>& events, const run_changes& changes);

// ---- messages.cpp ----

enum class bound { checked, ignored };
message_result put_message(turn& turn, const message& what, bound inbox_bound);

// ---- tasks.cpp ----

/// What an append says of tasks; under the lock of its run, as everything about tasks.
void write_tasks(turn& turn, const known_run& run, const append& what);
finish_result finish_task(turn& turn, const task_finish& what);
void claim_tasks(turn& turn, const claim_request& what, batch_result& result);
/// The timer at which the owner of its run looks after it.
void watch(turn& turn, const task_row& task);

// ---- claim.cpp ----

struct claim_places;  // low_water.hpp
struct prospect;
/// Sends what is written so far, looks for work and takes it; its own writes are left to be sent.
/// `seen`: by who has just looked from the beginning; nullptr: nobody has.
void claim(turn& turn, const claim_request& what, claim_places& from, const prospect* seen,
           batch_result& result);
/// The same where nothing else is in the batch, and nothing is loaded: when it takes nothing, the
/// transaction comes to nothing. It asks for what was seen.
batch_result claim_alone(turn& turn, const claim_request& what, claim_places& from,
                         const prospect* seen);

/// What others have locked is passed over, and most of them tell nobody when it is free.
constexpr std::int64_t locked_again_us = 20'000;
/// A claim is due at `when`, at the latest.
inline void look_again(batch_result& result, time_us when) {
  if (result.next_not_before == 0 || when < result.next_not_before) result.next_not_before = when;
}

}  // namespace fermata::engine::postgres
