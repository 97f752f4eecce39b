// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/simulated.hpp"
#include "src/journal_impl.hpp"
#include "worker/runtime/loop.hpp"
#include "worker/testing/place.hpp"
#include "worker/testing/store_decorator.hpp"
#include "worker/testing/trouble.hpp"
#include "worker/worker_impl.hpp"

#include <fermata/testing.hpp>

#include <boost/asio/io_context.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace fermata::testing {

/// Counts the events that the worker appends and the tasks it finishes (what clients and operators do
/// isn't its), lets its process die at one of them, and its commits meet troubles.
class crashing_store final : public store_decorator {
 public:
  crashing_store(std::shared_ptr<engine::store> inner, way how, std::size_t at)
      : store_decorator(std::move(inner)), how_(how), at_(at) {}

  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override;
  std::size_t events() const noexcept { return events_; }
  bool crashed() const noexcept { return crashed_; }
  void restart() noexcept { crashed_ = false; }
  /// The worker's process acts from here on, or doesn't any more.
  void worker_acts(bool now) noexcept { worker_acts_ = now; }
  /// A commit has met one since this was asked.
  bool met_trouble() noexcept { return std::exchange(met_trouble_, false); }
  std::shared_ptr<engine::store> take_out() { return std::move(inner_); }
  void put_in(std::shared_ptr<engine::store> inner) { inner_ = std::move(inner); }

 private:
  absl::StatusOr<engine::batch_result> commit_in_trouble(engine::batch&& what);

  const way how_;
  const std::size_t at_;
  trouble troubles_;
  bool met_trouble_ = false;
  std::size_t events_ = 0;
  bool crashed_ = false;
  bool worker_acts_ = false;
};

/// Everything behind a kit: one thread, virtual time, the real run loop.
class kit::world final : public runtime::loop_outside {
 public:
  world(way how, std::size_t at);
  ~world() override;

  std::shared_ptr<detail::journal_impl> make_journal();
  void employ(fermata::worker& who);
  void serve_queue(std::string_view queue);
  /// Until nothing can happen without time passing.
  void work();
  /// To the next thing that is due, at most until then (steady); false when it is then.
  bool pass_time(std::int64_t until);
  /// As above; false also when nothing can happen any more by itself.
  bool go_on(std::int64_t until);
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
  std::unique_ptr<place> where;
  std::shared_ptr<crashing_store> store;
  runtime::registry* serves = nullptr;
  std::shared_ptr<const runtime::registry> shared_serves;

  // loop_outside
  void execute(std::vector<runtime::step_pool::task>&& tasks) override;
  void log(level, std::string_view) override {}
  void run_line(const engine::log_line&) override {}  // the journal has it
  void leased(std::int64_t) noexcept override {}

 private:
  void instrument(detail::step_entry& entry);
  void hire();
  void clear();
  void restart();
  void turn();
  void wait_out_trouble();
  void do_chores();
  struct moments {
    std::int64_t next;
    std::int64_t last;
  };
  moments look_ahead();

  const way how_;
  worker_options* options_ = nullptr;
  std::optional<boost::asio::io_context> io_ =
      std::optional<boost::asio::io_context>(std::in_place);
  std::shared_ptr<detail::journal_impl> journal_;
  std::deque<runtime::step_pool::task> tasks_;
  std::unique_ptr<runtime::run_loop> loop_;
  std::int64_t worker_row_ = 0;
  std::int64_t last_moment_ =
      0;  // when something was due last, seen at the last event; 0: not seen
};

}  // namespace fermata::testing
