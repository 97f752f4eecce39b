// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/operate/operate.hpp"
#include "worker/runtime/bell.hpp"
#include "worker/runtime/loop.hpp"

#include <fermata/worker.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace fermata::runtime {

/// One registration of a worker, from its row in the store to its leaving: the threads around the
/// run loop. The guard's thread renews the lease, looks for workers that died, and watches that the
/// loop advances.
class session final : public loop_outside {
 public:
  session(detail::journal_impl& journal, std::shared_ptr<const registry> serves,
          const worker_options& options, std::shared_ptr<bell> wakes, const stop_request& stopping);
  ~session() override;

  /// Works until stopped. False: this worker was marked dead; go on under a new id.
  bool run();

  // loop_outside
  void execute(std::vector<step_pool::task>&& tasks) override { pool_.submit(std::move(tasks)); }
  bool stopping() const noexcept override { return stopping_.load() != 0 || dead_.load(); }
  void log(level how, std::string_view text) override;
  void run_line(const engine::log_line& line) override;
  void leased(std::int64_t since_boot_us) noexcept override;

 private:
  void enter_store(const worker_options& options);
  absl::Status put_serving();
  void sleep_until(std::int64_t steady_us) noexcept;
  void drain();
  // guard.cpp
  void guard();
  void keep_lease();
  void renew();
  void complain(const absl::Status& why);
  void look_for_the_dead();
  bool settle_death(const engine::worker_row& dead);
  absl::Status settle_tasks(const engine::worker_row& dead, bool has_box,
                            std::map<engine::run_id, std::vector<engine::blame>>& blames);
  void look_after_others(std::int64_t steady, const engine::care& care);
  void watch_code();
  [[noreturn]] void end_for(const run_loop::code_here& code);
  bool vouches();
  std::int64_t until_next_look() const;
  std::string box_path(int slot) const;

  // Set once.
  detail::journal_impl& journal_;
  engine::store& store_;
  const std::shared_ptr<const registry> serves_;
  const std::string build_;
  const duration drain_grace_;
  engine::worker_row me_;
  std::shared_ptr<black_box> box_;
  std::shared_ptr<attempt_host> host_;
  step_pool pool_;
  std::unique_ptr<run_loop> loop_;

  const std::shared_ptr<bell> bell_;
  const stop_request& stopping_;
  std::atomic<bool> dead_ = false;
  std::atomic<bool> asleep_ = false;  // the loop's thread, until something is due or it is woken

  // Touched only by the guard's thread.
  std::int64_t renewed_ = 0;       // boot time
  std::uint32_t lineage_ = 0;      // of the journal that is known to know this worker
  std::int64_t look_next_ = 0;     // steady
  std::uint64_t advanced_ = 0;     // of the loop, when it was looked at last
  std::int64_t vouched_ = 0;       // steady
  std::int64_t complained_ = 0;    // code_since that was logged
  std::string trouble_;            // with the store, as it was logged
  std::int64_t trouble_said_ = 0;  // steady

  // Guarded by guard_mutex_.
  std::mutex guard_mutex_;
  std::condition_variable guard_stop_;
  bool guard_over_ = false;
  std::thread guard_;
};

}  // namespace fermata::runtime
