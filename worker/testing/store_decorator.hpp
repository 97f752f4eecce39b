// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <memory>
#include <utility>

namespace fermata::testing {

/// Forwards everything: the base of stores that lose, delay or count.
class store_decorator : public engine::store {
 public:
  explicit store_decorator(std::shared_ptr<engine::store> inner) : inner_(std::move(inner)) {}

  template <class T>
  using or_status = absl::StatusOr<T>;
  using id = engine::run_id;

  engine::body_handle body_handle() const noexcept override { return inner_->body_handle(); }
  or_status<engine::batch_result> commit(engine::batch&& what) override {
    return inner_->commit(std::move(what));
  }
  std::size_t lanes() const override { return inner_->lanes(); }
  or_status<engine::batch_result> write_within(const engine::caller_transaction& where,
                                               const engine::batch& what) override {
    return inner_->write_within(where, what);
  }
  or_status<engine::worker_row> register_worker(const engine::worker_row& who) override {
    return inner_->register_worker(who);
  }
  absl::Status renew(std::int64_t worker, std::int64_t until) override {
    return inner_->renew(worker, until);
  }
  or_status<std::vector<engine::worker_row>> rescue(std::int64_t me) override {
    return inner_->rescue(me);
  }
  or_status<std::vector<engine::run_id>> release_dead(std::int64_t worker) override {
    return inner_->release_dead(worker);
  }
  bool somebody_died(std::int64_t me) override { return inner_->somebody_died(me); }
  absl::Status release(std::int64_t worker, const std::vector<id>& runs) override {
    return inner_->release(worker, runs);
  }
  absl::Status leave(std::int64_t worker) override { return inner_->leave(worker); }
  absl::Status put_serving(std::int64_t w, const std::vector<engine::serving_row>& rows) override {
    return inner_->put_serving(w, rows);
  }
  absl::Status put_heartbeat(const engine::heartbeat_row& beat) override {
    return inner_->put_heartbeat(beat);
  }
  absl::Status put_logs(const std::vector<engine::log_line>& lines) override {
    return inner_->put_logs(lines);
  }
  or_status<std::vector<engine::run_row>> children_to_close(std::size_t n) override {
    return inner_->children_to_close(n);
  }
  absl::Status closed(const std::vector<id>& children) override { return inner_->closed(children); }
  or_status<std::vector<engine::start_request>> overdue_requests(engine::time_us now,
                                                                 std::size_t n) override {
    return inner_->overdue_requests(now, n);
  }
  or_status<bool> end_request(const id& run, const std::vector<engine::encoded_event>& events,
                              const engine::run_changes& changes,
                              const std::vector<engine::message>& messages) override {
    return inner_->end_request(run, events, changes, messages);
  }
  absl::Status begin_copy(const engine::start_request& request,
                          const std::vector<engine::encoded_event>& events,
                          const engine::run_changes& changes,
                          const std::vector<engine::chain_id>& in_flight) override {
    return inner_->begin_copy(request, events, changes, in_flight);
  }

  or_status<std::vector<std::vector<engine::encoded_event>>> read_beginnings(
      const std::vector<id>& runs, std::size_t n) const override {
    return inner_->read_beginnings(runs, n);
  }
  or_status<std::vector<engine::encoded_event>> read_events(const id& run, engine::position_t from,
                                                            std::size_t n) const override {
    return inner_->read_events(run, from, n);
  }
  or_status<engine::head> read_head(const id& run) const override { return inner_->read_head(run); }
  or_status<engine::run_row> find_run(const id& run) const override {
    return inner_->find_run(run);
  }
  or_status<engine::run_row> find_chain(const engine::chain_id& chain) const override {
    return inner_->find_chain(chain);
  }
  or_status<engine::chain_ends> ends_of(
      const std::vector<engine::chain_id>& chains) const override {
    return inner_->ends_of(chains);
  }
  or_status<std::vector<engine::run_row>> find_key(std::string_view space,
                                                   std::string_view workflow,
                                                   std::string_view key) const override {
    return inner_->find_key(space, workflow, key);
  }
  std::uint32_t lineage() const override { return inner_->lineage(); }
  std::int64_t away_since() const override { return inner_->away_since(); }
  or_status<std::vector<engine::run_place>> whereabouts(
      std::int64_t worker, const std::vector<id>& runs) const override {
    return inner_->whereabouts(worker, runs);
  }
  or_status<std::vector<engine::run_row>> find_prefix(std::string_view prefix,
                                                      std::size_t n) const override {
    return inner_->find_prefix(prefix, n);
  }
  or_status<std::vector<engine::run_row>> list(const engine::run_query& query) const override {
    return inner_->list(query);
  }
  or_status<std::vector<engine::message>> inbox(const engine::chain_id& chain) const override {
    return inner_->inbox(chain);
  }
  or_status<std::vector<engine::timer_row>> timers(const id& run) const override {
    return inner_->timers(run);
  }
  or_status<std::optional<engine::start_request>> find_request(const id& run) const override {
    return inner_->find_request(run);
  }
  or_status<engine::payload> published(const id& run, std::string_view name) const override {
    return inner_->published(run, name);
  }
  or_status<std::vector<engine::worker_row>> workers() const override { return inner_->workers(); }
  or_status<std::vector<engine::serving_row>> serving() const override { return inner_->serving(); }
  or_status<std::optional<engine::heartbeat_row>> heartbeat(
      const id& run, std::string_view operation) const override {
    return inner_->heartbeat(run, operation);
  }
  or_status<std::vector<engine::task_row>> tasks(const id& run) const override {
    return inner_->tasks(run);
  }
  or_status<std::vector<engine::task_row>> held_tasks(std::int64_t worker) const override {
    return inner_->held_tasks(worker);
  }
  or_status<std::vector<engine::queued_step>> queued_steps(std::string_view space) const override {
    return inner_->queued_steps(space);
  }
  or_status<std::vector<engine::log_line>> logs(const id& run, std::size_t n) const override {
    return inner_->logs(run, n);
  }
  or_status<engine::store_counts> counts(std::string_view space) const override {
    return inner_->counts(space);
  }
  or_status<engine::store_info> info() const override { return inner_->info(); }
  or_status<std::vector<engine::stored_event>> changes(const std::string& after,
                                                       std::size_t n) const override {
    return inner_->changes(after, n);
  }
  absl::Status query(
      std::string_view sql, engine::payloads shown,
      const std::function<bool(const std::vector<engine::sql_value>&)>& row) const override {
    return inner_->query(sql, shown, row);
  }
  or_status<std::vector<std::string>> check_pages() const override { return inner_->check_pages(); }
  absl::Status backup(const std::string& path, bool replace) const override {
    return inner_->backup(path, replace);
  }
  engine::time_us now() const override { return inner_->now(); }
  std::int64_t boot_now() const override { return inner_->boot_now(); }
  std::uint32_t wake_count() const override { return inner_->wake_count(); }
  void wait(std::uint32_t seen, std::int64_t timeout_us) override {
    inner_->wait(seen, timeout_us);
  }
  void interrupt() override { inner_->interrupt(); }

 protected:
  std::shared_ptr<engine::store> inner_;
};

}  // namespace fermata::testing
