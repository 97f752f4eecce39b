// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/simulated.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "src/journal_impl.hpp"
#include "worker/runtime/loop.hpp"
#include "worker/testing/store_decorator.hpp"
#include "worker/worker_impl.hpp"

#include <fermata/testing.hpp>

#include <boost/asio/io_context.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace fermata::testing {

/// Counts the events that the worker appends, and lets its process die at one of them.
class crashing_store final : public store_decorator {
 public:
  crashing_store(std::shared_ptr<engine::store> inner, way how, std::size_t at)
      : store_decorator(std::move(inner)), how_(how), at_(at) {}

  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override;
  std::size_t events() const noexcept { return events_; }
  bool crashed() const noexcept { return crashed_; }
  void restart() noexcept { crashed_ = false; }

 private:
  const way how_;
  const std::size_t at_;
  std::size_t events_ = 0;
  bool crashed_ = false;
};

/// Everything behind a kit: one thread, virtual time, the real run loop.
class kit::world final : public runtime::loop_outside {
 public:
  world(way how, std::size_t at);
  ~world() override;

  std::shared_ptr<detail::journal_impl> make_journal();
  void employ(fermata::worker& who);
  /// Until nothing can happen without time passing. Gives the steady time of what is due next.
  std::int64_t work();
  /// To the next thing that is due; false when nothing is.
  bool pass_time(std::optional<std::int64_t> until);
  void replay_all();

  struct fault {
    failure why;
    int times = 0;
    bool hangs = false;
  };
  std::map<std::string, fault, std::less<>> faults;
  std::map<std::string, int, std::less<>> entered;
  std::shared_ptr<engine::manual_clock> time;
  std::shared_ptr<engine::seeded_random> chance;
  std::shared_ptr<engine::memory_store> memory;
  std::shared_ptr<crashing_store> store;
  runtime::registry* serves = nullptr;

  // loop_outside
  void execute(std::vector<runtime::step_pool::task>&& tasks) override;
  void* io_context() override { return &io_; }
  void wake() noexcept override {}
  void log(level, std::string_view) override {}
  void run_line(const engine::log_line&) override {}
  runtime::black_box* box() noexcept override { return nullptr; }
  std::int64_t lease_until() const noexcept override { return INT64_MAX; }
  void leased(std::int64_t) noexcept override {}

 private:
  void instrument(detail::step_entry& entry);
  void hire();
  void restart_after_crash();

  const way how_;
  boost::asio::io_context io_;
  std::shared_ptr<detail::journal_impl> journal_;
  std::deque<runtime::step_pool::task> tasks_;
  std::unique_ptr<runtime::run_loop> loop_;
  std::int64_t worker_row_ = 0;
  int idle_polls_ = 0;
};

}  // namespace fermata::testing
