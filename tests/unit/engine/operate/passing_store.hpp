// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <utility>

namespace fermata::engine::testing {

/// Hands every call on to another store; tests override what they want to be different.
class passing_store : public store {
 public:
  explicit passing_store(store& inner) : inner_(inner) {}

  engine::body_handle body_handle() const noexcept override { return inner_.body_handle(); }
  absl::StatusOr<batch_result> commit(batch&& what) override {
    return inner_.commit(std::move(what));
  }
  std::size_t lanes() const override { return inner_.lanes(); }
  absl::StatusOr<worker_row> register_worker(const worker_row& who) override {
    return inner_.register_worker(who);
  }
  absl::Status renew(std::int64_t worker, std::int64_t until) override {
    return inner_.renew(worker, until);
  }
  absl::StatusOr<std::vector<worker_row>> rescue(std::int64_t me) override {
    return inner_.rescue(me);
  }
  absl::StatusOr<std::vector<run_id>> release_dead(std::int64_t worker) override {
    return inner_.release_dead(worker);
  }
  bool somebody_died(std::int64_t me) override { return inner_.somebody_died(me); }
  absl::Status release(std::int64_t worker, const std::vector<run_id>& runs) override {
    return inner_.release(worker, runs);
  }
  absl::Status leave(std::int64_t worker) override { return inner_.leave(worker); }
  absl::Status put_serving(std::int64_t worker, const std::vector<serving_row>& rows) override {
    return inner_.put_serving(worker, rows);
  }
  absl::Status put_heartbeat(const heartbeat_row& beat) override {
    return inner_.put_heartbeat(beat);
  }
  absl::Status put_logs(const std::vector<log_line>& lines) override {
    return inner_.put_logs(lines);
  }
  absl::StatusOr<std::vector<run_row>> children_to_close(std::size_t at_most) override {
    return inner_.children_to_close(at_most);
  }
  absl::Status closed(const std::vector<run_id>& children) override {
    return inner_.closed(children);
  }
  absl::StatusOr<std::vector<start_request>> overdue_requests(time_us now,
                                                              std::size_t at_most) override {
    return inner_.overdue_requests(now, at_most);
  }
  absl::StatusOr<bool> end_request(const run_id& run, const std::vector<encoded_event>& events,
                                   const run_changes& changes,
                                   const std::vector<message>& messages) override {
    return inner_.end_request(run, events, changes, messages);
  }
  absl::Status begin_copy(const start_request& request, const std::vector<encoded_event>& events,
                          const run_changes& changes,
                          const std::vector<chain_id>& in_flight) override {
    return inner_.begin_copy(request, events, changes, in_flight);
  }
  absl::StatusOr<std::vector<std::vector<encoded_event>>> read_beginnings(
      const std::vector<run_id>& runs, std::size_t at_most) const override {
    return inner_.read_beginnings(runs, at_most);
  }
  absl::StatusOr<std::vector<encoded_event>> read_events(const run_id& run, position_t from,
                                                         std::size_t at_most) const override {
    return inner_.read_events(run, from, at_most);
  }
  absl::StatusOr<fermata::engine::head> read_head(const run_id& run) const override {
    return inner_.read_head(run);
  }
  absl::StatusOr<std::vector<run_place>> whereabouts(
      std::int64_t worker, const std::vector<run_id>& runs) const override {
    return inner_.whereabouts(worker, runs);
  }
  absl::StatusOr<run_row> find_run(const run_id& run) const override {
    return inner_.find_run(run);
  }
  absl::StatusOr<run_row> find_chain(const chain_id& chain) const override {
    return inner_.find_chain(chain);
  }
  absl::StatusOr<chain_ends> ends_of(const std::vector<chain_id>& chains) const override {
    return inner_.ends_of(chains);
  }
  absl::StatusOr<std::vector<run_row>> find_key(std::string_view space, std::string_view workflow,
                                                std::string_view key) const override {
    return inner_.find_key(space, workflow, key);
  }
  absl::StatusOr<std::vector<run_row>> find_prefix(std::string_view run_id_prefix,
                                                   std::size_t at_most) const override {
    return inner_.find_prefix(run_id_prefix, at_most);
  }
  absl::StatusOr<std::vector<run_row>> list(const run_query& query) const override {
    return inner_.list(query);
  }
  absl::StatusOr<std::vector<message>> inbox(const chain_id& chain) const override {
    return inner_.inbox(chain);
  }
  absl::StatusOr<std::vector<timer_row>> timers(const run_id& run) const override {
    return inner_.timers(run);
  }
  absl::StatusOr<std::optional<start_request>> find_request(const run_id& run) const override {
    return inner_.find_request(run);
  }
  absl::StatusOr<payload> published(const run_id& run, std::string_view name) const override {
    return inner_.published(run, name);
  }
  absl::StatusOr<std::vector<worker_row>> workers() const override { return inner_.workers(); }
  absl::StatusOr<std::vector<serving_row>> serving() const override { return inner_.serving(); }
  absl::StatusOr<std::optional<heartbeat_row>> heartbeat(
      const run_id& run, std::string_view operation) const override {
    return inner_.heartbeat(run, operation);
  }
  absl::StatusOr<std::vector<task_row>> tasks(const run_id& run) const override {
    return inner_.tasks(run);
  }
  absl::StatusOr<std::vector<task_row>> held_tasks(std::int64_t worker) const override {
    return inner_.held_tasks(worker);
  }
  absl::StatusOr<std::vector<queued_step>> queued_steps(std::string_view space) const override {
    return inner_.queued_steps(space);
  }
  absl::StatusOr<std::vector<log_line>> logs(const run_id& run,
                                             std::size_t at_most) const override {
    return inner_.logs(run, at_most);
  }
  absl::StatusOr<store_counts> counts(std::string_view space) const override {
    return inner_.counts(space);
  }
  absl::StatusOr<store_info> info() const override { return inner_.info(); }
  absl::StatusOr<std::vector<stored_event>> changes(const std::string& after,
                                                    std::size_t at_most) const override {
    return inner_.changes(after, at_most);
  }
  absl::Status query(std::string_view sql, payloads shown,
                     const std::function<bool(const std::vector<sql_value>&)>& row) const override {
    return inner_.query(sql, shown, row);
  }
  absl::StatusOr<std::vector<std::string>> check_pages() const override {
    return inner_.check_pages();
  }
  absl::Status backup(const std::string& path, bool replace) const override {
    return inner_.backup(path, replace);
  }
  time_us now() const override { return inner_.now(); }
  std::int64_t boot_now() const override { return inner_.boot_now(); }
  std::uint32_t wake_count() const override { return inner_.wake_count(); }
  void wait(std::uint32_t seen, std::int64_t timeout_us) override {
    return inner_.wait(seen, timeout_us);
  }
  void interrupt() override { return inner_.interrupt(); }

 protected:
  store& inner_;
};

}  // namespace fermata::engine::testing
