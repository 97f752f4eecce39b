// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/dispatch/writer.hpp"
#include "engine/ports/ports.hpp"
#include "engine/store/store.hpp"
#include "src/local_worker.hpp"

#include <fermata/detail/engine_port.hpp>
#include <fermata/journal.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace fermata::detail {

/// An open journal: its store, its writer, and where a client and a worker of one process meet.
/// Threads: any.
class journal_impl final : public engine_port {
 public:
  journal_impl(std::shared_ptr<engine::store> where, std::string ns,
               std::shared_ptr<engine::clock> time, std::shared_ptr<engine::random> chance);
  ~journal_impl() override;

  // ---- for the worker and the command ----

  engine::store& store() const noexcept { return *store_; }
  const std::shared_ptr<engine::store>& shared_store() const noexcept { return store_; }
  const std::shared_ptr<engine::clock>& shared_time() const noexcept { return time_; }
  engine::writer& writer() noexcept { return writer_; }
  engine::clock& time() const noexcept { return *time_; }
  engine::random& chance() const noexcept { return *chance_; }
  const std::string& ns() const noexcept { return ns_; }
  /// Null takes it away, when no client is with it any more. One at a time.
  void attach_worker(local_worker* worker);
  /// Clients that wait for this chain look again.
  void run_ended(const engine::chain_id& chain);
  /// They needn't look: this is the run's last event.
  void run_ended(const engine::chain_id& chain, const engine::run_id& run, engine::event&& last);
  /// Runs may have ended that nobody named: all that wait look again.
  void runs_may_have_ended();
  /// The worker of this process has this chain's run, and names its end: who waits needn't look.
  void has_here(const engine::chain_id& chain);
  /// … no more.
  void leaves_here(const engine::chain_id& chain);
  /// Single-threaded use (the testing kit): instead of blocking, `result` calls this with the steady
  /// time until which it waits, until it says that nothing more can happen by then.
  void pump_with(std::function<bool(std::int64_t until)> pump) { pump_ = std::move(pump); }

  // ---- engine_port ----

  std::string start(start_request&& what) override;
  std::vector<std::string> start_many(std::vector<start_request>&& what) override;
  start_answer start_within(const caller_transaction& where, start_request&& what) override;
  void signal_within(const caller_transaction& where, std::string_view chain, std::string_view name,
                     payload&& value) override;
  std::string attach(std::string_view workflow, std::string_view key) override;
  std::string find(std::string_view id) override;
  payload result(std::string_view chain, std::optional<duration> limit) override;
  void signal(std::string_view chain, std::string_view name, payload&& value) override;
  void cancel(std::string_view chain) override;
  void terminate(std::string_view chain, std::string_view why) override;
  run_info describe(std::string_view chain) override;
  run_page list(const run_filter& filter) override;
  std::optional<payload> published(std::string_view chain, std::string_view name) override;

  /// A run by its id; throws FER-1302.
  engine::run_row row_of(std::string_view id);
  /// The newest run of the chain that this run belongs to.
  engine::run_row newest_of(std::string_view id);

 private:
  /// A client that waits for a chain's end.
  class waiter;
  /// A client that is with the worker.
  class visit;

  engine::start_item make_item(start_request&& what);
  std::vector<std::string> commit_starts(std::vector<engine::start_item>&& items);
  using put = std::function<absl::StatusOr<engine::batch_result>(engine::batch&&)>;
  void send(std::string_view chain, engine::message&& what, const put& commit);
  void send(std::string_view chain, engine::message&& what);
  run_info info_of(const engine::run_row& row, bool whole);
  std::optional<payload> ended_with(const engine::run_row& row);
  engine::event last_event(const engine::run_row& row) const;
  void look_all();
  void watch();
  enum class whose { all, others };
  void look_for_ends(whose which);
  bool nobody_looked();
  void want_watcher();

  // Set once.
  const std::shared_ptr<engine::store> store_;
  const std::string ns_;
  const std::shared_ptr<engine::clock> time_;
  const std::shared_ptr<engine::random> chance_;
  engine::writer writer_;
  std::function<bool(std::int64_t)> pump_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::unordered_multimap<engine::chain_id, waiter*> waiters_;
  std::unordered_set<engine::chain_id> here_;  // see has_here
  std::int64_t looked_at_ = 0;                 // for all that wait; steady µs
  local_worker* worker_ = nullptr;
  int visits_ = 0;
  std::condition_variable visits_over_;
  std::thread watcher_;
  std::atomic<bool> closing_ = false;
};

/// Throws FER-1302 for what isn't the id of a run.
engine::run_id id_of(std::string_view text);

/// The implementation behind a public journal.
journal_impl& inside(const journal& where);

}  // namespace fermata::detail
