// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"
#include "engine/store/batch.hpp"

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;
struct sqlite3;

namespace fermata::engine {

/// A connection of a caller's own on which a transaction is open: one of them.
struct caller_transaction {
  sqlite3* sqlite = nullptr;
  pg_conn* postgres = nullptr;
};

/// What `append::body` is given: the connection that the journal is written with; none: null.
enum class body_handle : std::uint8_t { none, sqlite, postgres };

/// Which runs `list` returns; what is empty doesn't matter. Newest first.
struct run_query {
  std::string space = "default";
  std::string workflow;
  std::vector<run_state> states;
  std::optional<fermata::engine::attention> attention;
  std::map<std::string, std::string> tags;
  std::string key;
  chain_id chain;
  run_id parent;
  time_us since = 0;
  time_us until = 0;
  std::size_t at_most = 100;
  run_id before;  // cursor: runs older than this one
};

struct store_counts {
  std::map<run_state, std::int64_t> by_state;  // waiting_to_start included
  std::map<attention, std::int64_t> by_attention;
  std::int64_t ready = 0;
  time_us oldest_ready = 0;
  std::int64_t timers = 0;
  time_us next_timer = 0;
  std::int64_t inbox = 0;
};

struct store_info {
  std::string kind;  // sqlite, memory, postgres
  std::string address;
  int schema_version = 0;
  int format_level = 1;
  std::string written_by;
  std::int64_t file_bytes = 0;
  std::int64_t wal_bytes = 0;
  std::string durability;  // "full", or the weaker mode's name
  std::string beside;  // how paths begin of what this host's workers keep beside it; empty: nowhere
};

struct stored_event {
  run_id run;
  encoded_event what;
  std::string cursor;  // of `changes`: what comes after this one
};

/// What a query may read of payloads.
enum class payloads : std::uint8_t { hidden, revealed };

/// What a worker's guard should look after now.
struct care {
  bool dead = true;     // a worker to rescue
  bool overdue = true;  // start requests
  bool closing = true;  // children of runs that ended
  std::int64_t next_lease =
      0;  // CLOCK_BOOTTIME µs: of the others alive, the first ends; 0: none has
};

/// What the journal has of a run.
struct run_place {
  run_id run;
  std::int64_t owner = 0;
  epoch_t epoch = 0;
  head last;
};

/// How chains ended.
struct chain_ends {
  struct end {
    chain_id chain;
    run_id run;  // its last
    encoded_event last;
  };
  std::vector<end> ended;
  std::vector<chain_id> unknown;  // no chain has this name: a later run of one, or nothing
};

/// The one contract of all stores. A positions' order per run is promised; no global order is.
/// Errors: UNAVAILABLE and RESOURCE_EXHAUSTED (disk full) may be tried again: nothing is lost;
/// DATA_LOSS names what is damaged. Every message is a sentence; the payload `fer_code` of a status
/// holds the stable code (see status.hpp).
/// Threads: any; of `commit`, at most `lanes` at a time.
class store {
 public:
  virtual ~store() = default;

  // ---- writing ----

  /// One durable transaction. When this returns OK, everything that landed is synced. With an error
  /// `what` is left as it was, to be sent again; what had landed all the same is then found by its
  /// bytes.
  virtual absl::StatusOr<batch_result> commit(batch&& what) = 0;
  /// How many commits at a time are of use: one, where each waits for the one before.
  virtual std::size_t lanes() const { return 1; }
  /// The starts (none tied to another) and messages of `what`, which has nothing else, as a part of
  /// the caller's transaction:
  /// they are there when it commits, and never were when it rolls back. With an error nothing of
  /// them is in it. Who waits is woken by the commit, or finds it.
  /// FAILED_PRECONDITION (FER-3001) when the connection isn't to this journal, or in no transaction.
  virtual absl::StatusOr<batch_result> write_within(const caller_transaction& where,
                                                    const batch& what);

  virtual engine::body_handle body_handle() const noexcept = 0;

  // ---- workers (PROTOCOL §4) ----

  /// Makes the worker's row and holds its lock for life. Fills row, slot and id.
  virtual absl::StatusOr<worker_row> register_worker(const worker_row& who) = 0;
  /// `until` is CLOCK_BOOTTIME µs; 0 when it owns nothing: then the lease is taken back, unless it
  /// owns something after all. NOT_FOUND when it was marked dead.
  virtual absl::Status renew(std::int64_t worker, std::int64_t until) = 0;
  /// Marks dead whoever lost its lock or lease, in a transaction of its own: no append of it lands any
  /// more. Gives these, and those marked before by a rescuer that got no further: all whose runs
  /// nobody has released. `me` isn't looked at.
  virtual absl::StatusOr<std::vector<worker_row>> rescue(std::int64_t me) = 0;
  /// Whether there is anything for `rescue`, `overdue_requests`, `children_to_close`. Where that isn't
  /// cheap to say there may always be.
  virtual absl::StatusOr<care> needs_care(std::int64_t me);
  /// The second half, when its death is journaled: the runs that are still a dead worker's are ready
  /// with a higher epoch, the tasks it still holds end as `lost`, its slot is free. Of many runs only
  /// `limits::released_at_once`, so that the first go on before the last are released: again until
  /// NOT_FOUND, which says that all are, or another was faster; or that it isn't dead.
  virtual absl::StatusOr<std::vector<run_id>> release_dead(std::int64_t worker) = 0;
  /// Cheap, no statement: has a worker of this host let go of its lock? True until it is released.
  virtual bool somebody_died(std::int64_t me) = 0;
  /// Gives back runs of a live worker: unowned, ready, epoch + 1. Empty: all of them, and its tasks
  /// end as `given_back`.
  virtual absl::Status release(std::int64_t worker, const std::vector<run_id>& runs) = 0;
  /// An orderly end: gives back all its runs and tasks, lets go of the lock.
  virtual absl::Status leave(std::int64_t worker) = 0;
  virtual absl::Status put_serving(std::int64_t worker, const std::vector<serving_row>& rows) = 0;
  /// With `epoch`: NOT_FOUND, and nothing is written, when that task isn't there or is withdrawn: its
  /// attempt is to stop.
  virtual absl::Status put_heartbeat(const heartbeat_row& beat) = 0;
  virtual absl::Status put_logs(const std::vector<log_line>& lines) = 0;
  /// A parent ended: its open children with a close policy, a batch at a time; `closed` removes what
  /// was handled. Written by an `end` append when the run has children.
  virtual absl::StatusOr<std::vector<run_row>> children_to_close(std::size_t at_most) = 0;
  virtual absl::Status closed(const std::vector<run_id>& children) = 0;
  /// Removes start requests whose `not_after` has passed, or that are terminated before they began:
  /// they become ended runs with the events that the caller encoded; `messages` (its parent is told)
  /// are put into their inboxes with it. False: it isn't a request any more, nothing was written.
  virtual absl::StatusOr<std::vector<start_request>> overdue_requests(time_us now,
                                                                      std::size_t at_most) = 0;
  virtual absl::StatusOr<bool> end_request(const run_id& run,
                                           const std::vector<encoded_event>& events,
                                           const run_changes& changes,
                                           const std::vector<message>& messages) = 0;
  /// A new run of an existing chain with a copied history (retry): unowned and ready. `in_flight`: chains
  /// of children whose end isn't in that history. When one has ended by now, ABORTED, and nothing is
  /// written: its message found no open run, and won't come again.
  virtual absl::Status begin_copy(const start_request& request,
                                  const std::vector<encoded_event>& events,
                                  const run_changes& changes,
                                  const std::vector<chain_id>& in_flight) = 0;

  // ---- reading ----

  virtual absl::StatusOr<std::vector<encoded_event>> read_events(const run_id& run, position_t from,
                                                                 std::size_t at_most) const = 0;
  /// The first `at_most` events of each of these runs, in their order, where that is one way to a database
  /// in place of many; nothing at all where each may as well be asked for by itself.
  virtual absl::StatusOr<std::vector<std::vector<encoded_event>>> read_beginnings(
      const std::vector<run_id>& runs, std::size_t at_most) const;
  virtual absl::StatusOr<fermata::engine::head> read_head(const run_id& run) const = 0;
  /// Rises when a server answers that may lack what another had acknowledged: a replica that was
  /// promoted. Who remembers runs then asks for their `whereabouts`.
  virtual std::uint32_t lineage() const { return 0; }
  /// Where these runs are, and all open ones that this worker owns (0: nobody's). One that isn't
  /// begun, or isn't there at all, is left out. NOT_FOUND when it doesn't know this worker any more.
  virtual absl::StatusOr<std::vector<run_place>> whereabouts(
      std::int64_t worker, const std::vector<run_id>& runs) const = 0;
  /// Also finds requests not begun yet (state waiting_to_start). NOT_FOUND when there is none.
  virtual absl::StatusOr<run_row> find_run(const run_id& run) const = 0;
  /// The open run of the chain, else its last.
  virtual absl::StatusOr<run_row> find_chain(const chain_id& chain) const = 0;
  /// Of these chains those that have ended, in no order: for who waits for many. One whose last run
  /// continues anew hasn't.
  virtual absl::StatusOr<chain_ends> ends_of(const std::vector<chain_id>& chains) const;
  /// One per workflow that has the key; one at most when `workflow` is given.
  virtual absl::StatusOr<std::vector<run_row>> find_key(std::string_view space,
                                                        std::string_view workflow,
                                                        std::string_view key) const = 0;
  virtual absl::StatusOr<std::vector<run_row>> find_prefix(std::string_view run_id_prefix,
                                                           std::size_t at_most) const = 0;
  virtual absl::StatusOr<std::vector<run_row>> list(const run_query& query) const = 0;
  virtual absl::StatusOr<std::vector<message>> inbox(const chain_id& chain) const = 0;
  virtual absl::StatusOr<std::vector<timer_row>> timers(const run_id& run) const = 0;
  virtual absl::StatusOr<std::optional<start_request>> find_request(const run_id& run) const = 0;
  virtual absl::StatusOr<payload> published(const run_id& run, std::string_view name) const = 0;
  virtual absl::StatusOr<std::vector<worker_row>> workers() const = 0;
  /// Rows of live workers, and for a name that none of them serves the last one; by kind and name,
  /// the last registered last.
  virtual absl::StatusOr<std::vector<serving_row>> serving() const = 0;
  virtual absl::StatusOr<std::optional<heartbeat_row>> heartbeat(
      const run_id& run, std::string_view operation) const = 0;
  /// Of a run, by operation.
  virtual absl::StatusOr<std::vector<task_row>> tasks(const run_id& run) const = 0;
  /// That this worker, dead or alive, holds.
  virtual absl::StatusOr<std::vector<task_row>> held_tasks(std::int64_t worker) const = 0;
  /// What there is, by queue and step.
  virtual absl::StatusOr<std::vector<queued_step>> queued_steps(std::string_view space) const = 0;
  virtual absl::StatusOr<std::vector<log_line>> logs(const run_id& run,
                                                     std::size_t at_most) const = 0;
  virtual absl::StatusOr<store_counts> counts(std::string_view space) const = 0;
  virtual absl::StatusOr<store_info> info() const = 0;
  /// Events of all runs after an opaque cursor, in the store's own order; empty begins. What is
  /// committed later never comes before what was given out. ABORTED when another server answers than
  /// the one whose cursor it is: it may lack what was given out, and have something else there.
  virtual absl::StatusOr<std::vector<stored_event>> changes(const std::string& after,
                                                            std::size_t at_most) const = 0;
  /// Rows of a read-only SQL statement, for `fermata sql`. First the column names.
  /// Payloads that aren't revealed are shown by the views alone, which hide sensitive ones; a
  /// statement that reads them elsewhere is INVALID_ARGUMENT.
  virtual absl::Status query(
      std::string_view sql, payloads shown,
      const std::function<bool(const std::vector<sql_value>&)>& row) const = 0;

  // ---- care ----

  /// Damage below the events: pages, indexes, foreign rows. One sentence each; empty: none found.
  virtual absl::StatusOr<std::vector<std::string>> check_pages() const = 0;
  /// A whole copy, beside running writers. A file that is there already is replaced only with
  /// `replace`, only when it is a journal that nobody has open, and only once the copy is safe.
  virtual absl::Status backup(const std::string& path, bool replace) const = 0;

  // ---- clock and wake-ups ----

  /// Since when calls have waited for a database that is away (steady µs); 0: none does.
  virtual std::int64_t away_since() const { return 0; }

  /// The database's wall clock, never before the latest time stored.
  virtual time_us now() const = 0;
  virtual std::int64_t boot_now() const = 0;
  /// Rises when somebody may have written something that concerns others.
  virtual std::uint32_t wake_count() const = 0;
  /// So many of these rises only told other processes of runs that ended here.
  virtual std::uint32_t wakes_of_own_ends() const { return 0; }
  /// Waits until wake_count differs from `seen`, `interrupt` is called, or the time is over.
  virtual void wait(std::uint32_t seen, std::int64_t timeout_us) = 0;
  virtual void interrupt() = 0;
};

/// How a store is opened.
struct open_options {
  bool create = true;    // a missing journal; `doctor`, `verify` and `sql` never do
  bool migrate = false;  // an older schema is brought up to date (with a backup beside it)
  bool read_only = false;
  std::int64_t patience_ms = 10'000;  // how long calls wait for a database that is away
  std::function<void(std::string_view)> warn = {};  // sentences for people; empty: standard error
  std::shared_ptr<clock> time;                      // empty: the real one
  std::shared_ptr<random> chance;                   // empty: the real one
};

/// "sqlite:orders.db", "postgres://orders@db/fermata", "memory:" (a new one each time), "memory:NAME" (shared within the process).
/// Errors: the codes 20xx.
absl::StatusOr<std::shared_ptr<store>> open_store(std::string_view address,
                                                  const open_options& options = {});

}  // namespace fermata::engine
