// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"
#include "engine/store/postgres/interner.hpp"
#include "engine/store/postgres/params.hpp"
#include "engine/store/postgres/transaction.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace fermata::engine::postgres {

class server;

/// Many events, as rows of fermata.event_row.
class event_rows {
 public:
  explicit event_rows(const server& at);
  /// `after` and `owned` are for plain appends: what `FERMATA_AFTER_PREDECESSOR` compares.
  void add(const run_id& run, const encoded_event& what, const chain_hash& after = {},
           epoch_t owned = 0);
  bool empty() const noexcept { return rows_.empty(); }
  const records& rows() const noexcept { return rows_; }

 private:
  const interner* names_;
  records rows_;
};

// $1 are rows, `a`. The transaction's number is the same in all of them: a default would be asked for
// each.
#define FERMATA_INSERT_EVENTS                                                                     \
  "INSERT INTO fermata.events(run, position, at, epoch, crc, key_id, name, place, content_type, " \
  "input_content_type, kind, flags, codec, operation, value, input, salt, digest, details, "      \
  "chain, xid) "                                                                                  \
  "SELECT a.run, a.position, a.at, a.epoch, a.crc, a.key_id, a.name, a.place, a.content_type, "   \
  "a.input_content_type, a.kind, a.flags, a.codec, a.operation, a.value, a.input, a.salt, "       \
  "a.digest, a.details, a.chain, (SELECT pg_current_xact_id()::text::int8) "                      \
  "FROM unnest($1::fermata.event_row[]) AS a"

/// What changes in a run's row; what is empty stays.
struct row_change {
  std::optional<std::int64_t> state, ended, owner, epoch, attention;
  std::optional<std::string> error, waits, status, report;
  std::string blocked_build;  // one that is added
  bool unblocked = false;     // none is any more
  run_id next_run;
};

/// A run's mark: it has something to do.
struct ready_mark {
  std::int64_t space = 0, owner = 0, queue = 0, priority = 0, since = 0;
};

/// Everything that a batch will write, by tables: each is one statement, however many rows. Within a
/// table the order of keys is that of all batches, so that two can't wait for each other.
class writes {
 public:
  explicit writes(const server& at);

  // ---- events, runs ----
  void event(const run_id& run, const encoded_event& what) { events_.add(run, what); }
  void run(const start_request& request, const run_row& row, std::int64_t space);
  row_change& change(const run_id& run) { return changes_[run]; }
  void mark(const run_id& run, const ready_mark& how) { marks_[run] = how; }
  void unmark(const run_id& run) { marks_[run].reset(); }

  // ---- what belongs to runs ----
  void remove_all_timers(const run_id& run);
  void remove_timer(const run_id& run, const std::string& operation);
  void set_timer(std::int64_t space, const timer_row& what);
  void tag(const run_id& run, const std::string& key, const std::string& value) {
    tags_[{run, key}] = value;
  }
  void publish(const run_id& run, const std::string& name, position_t position) {
    published_[{run, name}] = position;
  }
  void log(const log_line& line) { logs_.push_back(line); }
  void closing(const run_id& parent) { closing_.insert(parent); }

  // ---- tasks ----
  void put_task(std::int64_t space, const task_row& what) {
    tasks_[{what.run, what.operation}] = {space, what};
  }
  void remove_task(const run_id& run, const std::string& operation) {
    tasks_[{run, operation}].reset();
  }
  /// Owner, taken, beat, withdrawn.
  void change_task(const task_row& what) { tasks_changed_[{what.run, what.operation}] = what; }
  /// The timer of a task, and no other one of its operation.
  void remove_watch(const run_id& run, const std::string& operation);

  // ---- starts ----
  void request(const start_request& what, std::int64_t space);
  void remove_request(const run_id& run) { requests_removed_.add(run); }
  void bind_key(std::int64_t space, const std::string& workflow, const std::string& key,
                const chain_id& chain, std::uint64_t input_type, std::string_view digest);
  void unbind_key(std::int64_t space, const std::string& workflow, const std::string& key);

  // ---- messages ----
  void message(const engine::message& what, std::string_view details);
  void consume(const chain_id& chain, std::uint64_t seq);

  // ---- workers ----
  void lease(std::int64_t worker, time_us until) { lease_ = {worker, until}; }

  /// Queues all statements. `now` goes into the rows' `updated`.
  void send(transaction& to, time_us now);

 private:
  struct timer {
    std::int64_t space = 0;
    timer_row what;
  };
  struct bound {
    chain_id chain;
    std::int64_t input_type = 0;
    std::string digest;
  };
  using key_name = std::tuple<std::int64_t, std::string, std::string>;  // space, key, workflow
  using operation_name = std::pair<run_id, std::string>;
  struct put {
    std::int64_t space = 0;
    task_row what;
  };

  void send_runs(transaction& to) const;
  void send_changes(transaction& to, time_us now) const;
  void send_marks(transaction& to) const;
  void send_timers(transaction& to) const;
  void send_small(transaction& to) const;
  void send_tasks(transaction& to) const;
  void send_new_tasks(transaction& to) const;
  void send_changed_tasks(transaction& to) const;
  void send_requests(transaction& to) const;
  void send_keys(transaction& to) const;
  void send_messages(transaction& to) const;
  void send_logs(transaction& to) const;

  const server* at_;
  event_rows events_;
  std::map<run_id, row_change> changes_;
  std::map<run_id, std::optional<ready_mark>> marks_;
  std::set<run_id> timers_gone_;  // all of a run
  std::map<std::pair<run_id, std::string>, std::optional<timer>> timers_;
  std::map<std::pair<run_id, std::string>, std::string> tags_;
  std::map<std::pair<run_id, std::string>, position_t> published_;
  std::set<run_id> closing_;
  std::map<operation_name, std::optional<put>> tasks_;
  std::map<operation_name, task_row> tasks_changed_;
  std::set<operation_name> watches_gone_;
  std::vector<log_line> logs_;
  std::map<key_name, std::optional<bound>> keys_;
  std::optional<std::pair<std::int64_t, time_us>> lease_;

  struct run_columns {
    column run{type::uuid}, requested{type::int8}, started{type::int8}, not_before{type::int8},
        deadline{type::int8}, updated{type::int8}, owner{type::int8}, epoch{type::int8},
        space{type::int8}, workflow{type::int8}, queue{type::int8}, build{type::int8},
        priority{type::int8}, format_level{type::int8}, close_policy{type::int8}, state{type::int8},
        ended{type::int8}, chain{type::uuid}, origin{type::uuid}, parent{type::uuid},
        parent_chain{type::uuid}, parent_operation{type::text}, key{type::text},
        traceparent{type::text}, error{type::text};
  } runs_;
  struct request_columns {
    column space{type::int8}, queue{type::text}, priority{type::int8}, not_before{type::int8},
        run{type::uuid}, workflow{type::text}, chain{type::uuid}, origin{type::uuid},
        seed{type::bytes}, requested{type::int8}, not_after{type::int8}, deadline{type::int8},
        key{type::text}, tags{type::text}, parent{type::uuid}, parent_chain{type::uuid},
        parent_operation{type::text}, close_policy{type::int8}, traceparent{type::text},
        previous_run{type::uuid}, previous_hash{type::bytes}, content_type{type::text},
        input_type{type::int8}, input_flags{type::int8}, input{type::bytes};
  } requests_;
  column requests_removed_{type::uuid};
  struct message_columns {
    column chain{type::uuid}, seq{type::int8}, id{type::uuid}, kind{type::int8}, name{type::text},
        operation{type::text}, accepted{type::int8}, sender{type::uuid}, content_type{type::text},
        value_type{type::int8}, flags{type::int8}, value{type::bytes}, details{type::bytes};
  } messages_;
  column consumed_chain_{type::uuid}, consumed_seq_{type::int8};
};

}  // namespace fermata::engine::postgres
