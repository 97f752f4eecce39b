// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "src/journal_impl.hpp"
#include "tests/attack/simulation/faulty_store.hpp"
#include "tests/attack/simulation/world.hpp"
#include "worker/runtime/loop.hpp"

#include <fermata/worker.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace fermata::simulation {

/// One process with a worker, from its start to its death: the real run loop, its steps, the writer's
/// threads, the watcher and the guard are actors. What `session` does with threads this does with them; it
/// decides as session.cpp and guard.cpp do.
class process final : public runtime::loop_outside, public std::enable_shared_from_this<process> {
 public:
  process(world& in, int slot);
  ~process() override;

  void begin();
  /// kill -9.
  void die();
  /// It freezes, and goes on then.
  void freeze(micros until) { at_->frozen_until = until; }
  void set_clock(micros off) { at_->clock_off = off; }
  /// As told by SIGTERM: it drains, and gives back what it has.
  void leave();
  /// The journal was written to.
  void heard() { in_.turns.ring(watcher_); }
  bool over() const noexcept { return over_; }
  bool at_work() const noexcept { return loop_ && !at_->dead && !leaving_ && !marked_dead_; }
  const std::string& name() const noexcept { return name_; }

  /// A client in this process calls: `what(journal)`, by the current actor. The process stays until then,
  /// or its calls fail. False: not now.
  template <class Call>
  bool visit(Call&& what) {
    // The writer blocks a thread whose turn it isn't, and there is but one.
    if (!at_work() || store_->commits() != 0 || visits_ != 0) return false;
    const auto self = shared_from_this();
    const std::shared_ptr<place> home = std::exchange(in_.turns.current().at, at_);
    ++visits_;
    const auto leaves = [&] {
      --visits_;
      in_.turns.current().at = home;
    };
    try {
      what(*journal_);
    } catch (...) {
      leaves();
      throw;
    }
    leaves();
    return true;
  }

  // loop_outside
  void execute(std::vector<runtime::step_pool::task>&& tasks) override;
  bool stopping() const noexcept override { return leaving_ || marked_dead_ || at_->dead; }
  void log(level, std::string_view text) override { in_.tell("{}: {}", name_, text); }
  void run_line(const engine::log_line&) override {}
  void leased(std::int64_t since_boot_us) noexcept override;

 private:
  std::shared_ptr<actor> add(const char* role, std::uint32_t number, std::function<void()> body);
  void live();
  bool enter_store();
  void run_loop_until_stopped();
  void drain();
  void end_session();
  void write(std::size_t nth);
  void watch();
  // guard.cpp
  void guard();
  bool vouches();
  void renew();
  void look_for_the_dead();
  bool settle_death(const engine::worker_row& dead);
  void look_after_others(std::int64_t steady, const engine::care& care);

  std::int64_t steady() const { return in_.time->steady_now_us(); }

  // Set once.
  world& in_;
  const int slot_;
  const std::string name_;
  const std::shared_ptr<place> at_ = std::make_shared<place>();
  std::shared_ptr<faulty_store> store_;
  std::shared_ptr<detail::journal_impl> journal_;
  fermata::worker worker_;
  runtime::loop_options options_;

  // A session's.
  std::int64_t row_ = 0;
  std::shared_ptr<runtime::attempt_host> host_;
  std::unique_ptr<runtime::run_loop> loop_;
  bool marked_dead_ = false;
  bool asleep_ = false;
  bool guard_told_ = false;  // to end
  bool guard_over_ = true;

  // The guard's.
  std::int64_t renewed_ = 0;
  std::int64_t look_next_ = 0;
  std::uint64_t advanced_ = 0;

  std::shared_ptr<actor> main_, guard_, watcher_;
  std::vector<std::shared_ptr<actor>> writers_;
  std::deque<std::weak_ptr<actor>> steps_;
  bool leaving_ = false;
  bool over_ = false;
  int visits_ = 0;
};

}  // namespace fermata::simulation
