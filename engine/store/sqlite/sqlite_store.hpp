// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/sqlite/address.hpp"
#include "engine/store/sqlite/lock.hpp"
#include "engine/store/store.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace fermata::engine {

namespace sqlite {
class journal_file;
class use;
struct turn;

/// What of the surroundings a test may replace.
struct surroundings {
  file_system_of file_system = real_file_system_of;
  warn say;         // empty: standard error
  std::string vfs;  // empty: the system's
};
}  // namespace sqlite

/// The journal in one SQLite file beside the program. README.md says what lies in which table.
/// Threads: any. One commit at a time, across all processes; reads go on beside it.
class sqlite_store final : public store {
 public:
  explicit sqlite_store(std::unique_ptr<sqlite::journal_file> file);
  ~sqlite_store() override;

  engine::body_handle body_handle() const noexcept override { return engine::body_handle::sqlite; }
  absl::StatusOr<batch_result> commit(batch&& what) override;
  absl::StatusOr<batch_result> write_within(const caller_transaction& where,
                                            const batch& what) override;

  absl::StatusOr<worker_row> register_worker(const worker_row& who) override;
  absl::Status renew(std::int64_t worker, std::int64_t until) override;
  absl::StatusOr<std::vector<worker_row>> rescue(std::int64_t me) override;
  absl::StatusOr<std::vector<run_id>> release_dead(std::int64_t worker) override;
  bool somebody_died(std::int64_t me) override;
  absl::Status release(std::int64_t worker, const std::vector<run_id>& runs) override;
  absl::Status leave(std::int64_t worker) override;
  absl::Status put_serving(std::int64_t worker, const std::vector<serving_row>& rows) override;
  absl::Status put_heartbeat(const heartbeat_row& beat) override;
  absl::Status put_logs(const std::vector<log_line>& lines) override;
  absl::StatusOr<std::vector<run_row>> children_to_close(std::size_t at_most) override;
  absl::Status closed(const std::vector<run_id>& children) override;
  absl::StatusOr<std::vector<start_request>> overdue_requests(time_us now,
                                                              std::size_t at_most) override;
  absl::StatusOr<bool> end_request(const run_id& run, const std::vector<encoded_event>& events,
                                   const run_changes& changes,
                                   const std::vector<message>& messages) override;
  absl::Status begin_copy(const start_request& request, const std::vector<encoded_event>& events,
                          const run_changes& changes,
                          const std::vector<chain_id>& in_flight) override;

  absl::StatusOr<std::vector<encoded_event>> read_events(const run_id& run, position_t from,
                                                         std::size_t at_most) const override;
  absl::StatusOr<fermata::engine::head> read_head(const run_id& run) const override;
  absl::StatusOr<std::vector<run_place>> whereabouts(
      std::int64_t worker, const std::vector<run_id>& runs) const override;
  absl::StatusOr<run_row> find_run(const run_id& run) const override;
  absl::StatusOr<run_row> find_chain(const chain_id& chain) const override;
  absl::StatusOr<chain_ends> ends_of(const std::vector<chain_id>& chains) const override;
  absl::StatusOr<std::vector<run_row>> find_key(std::string_view space, std::string_view workflow,
                                                std::string_view key) const override;
  absl::StatusOr<std::vector<run_row>> find_prefix(std::string_view run_id_prefix,
                                                   std::size_t at_most) const override;
  absl::StatusOr<std::vector<run_row>> list(const run_query& query) const override;
  absl::StatusOr<std::vector<message>> inbox(const chain_id& chain) const override;
  absl::StatusOr<std::vector<timer_row>> timers(const run_id& run) const override;
  absl::StatusOr<std::optional<start_request>> find_request(const run_id& run) const override;
  absl::StatusOr<payload> published(const run_id& run, std::string_view name) const override;
  absl::StatusOr<std::vector<worker_row>> workers() const override;
  absl::StatusOr<std::vector<serving_row>> serving() const override;
  absl::StatusOr<std::optional<heartbeat_row>> heartbeat(const run_id& run,
                                                         std::string_view operation) const override;
  absl::StatusOr<std::vector<task_row>> tasks(const run_id& run) const override;
  absl::StatusOr<std::vector<task_row>> held_tasks(std::int64_t worker) const override;
  absl::StatusOr<std::vector<queued_step>> queued_steps(std::string_view space) const override;
  absl::StatusOr<std::vector<log_line>> logs(const run_id& run, std::size_t at_most) const override;
  absl::StatusOr<store_counts> counts(std::string_view space) const override;
  absl::StatusOr<store_info> info() const override;
  absl::StatusOr<std::vector<stored_event>> changes(const std::string& after,
                                                    std::size_t at_most) const override;
  absl::Status query(std::string_view sql, payloads shown,
                     const std::function<bool(const std::vector<sql_value>&)>& row) const override;

  absl::StatusOr<std::vector<std::string>> check_pages() const override;
  absl::Status backup(const std::string& path, bool replace) const override;

  time_us now() const override;
  std::int64_t boot_now() const override;
  std::uint32_t wake_count() const override;
  std::uint32_t wakes_of_own_ends() const override;
  void wait(std::uint32_t seen, std::int64_t timeout_us) override;
  void interrupt() override;

 private:
  std::unique_ptr<sqlite::journal_file> file_;  // set once; guards itself
};

/// Errors: FER-2001 bad address, 2002 unreadable or no journal of ours, 2003 a newer version's,
/// 2004 network file system, 2005 an older schema.
absl::StatusOr<std::shared_ptr<store>> open_sqlite_store(std::string_view address,
                                                         const open_options& options = {},
                                                         const sqlite::surroundings& around = {});

}  // namespace fermata::engine
