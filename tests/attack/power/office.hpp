// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/power/order.hpp"

#include "engine/ports/simulated.hpp"
#include "engine/store/store.hpp"

#include <absl/status/status.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A client and a worker that do a day's work on a store, one call after the other.
namespace fermata::attack::power {

/// Chance that can be made to repeat itself: a call that is made again asks for the same bytes.
class repeated_chance final : public engine::random {
 public:
  void begin(std::uint64_t seed) { from_ = std::make_unique<engine::seeded_random>(seed); }
  void fill(void* to, std::size_t size) override { from_->fill(to, size); }

 private:
  std::unique_ptr<engine::seeded_random> from_ = std::make_unique<engine::seeded_random>(1);
};

/// One call of the store. With an error it has changed nothing here, and may be made again.
struct call {
  std::string name;
  std::function<absl::Status()> make;
};

/// Orders: each is paid for in steps, sleeps, waits for a signal, for a child, for a step on a queue.
/// What a run does next is read from its journal, as a machine would; what the client has asked for
/// outlives the worker.
class office {
 public:
  /// `asked`: how many of the client's wishes were answered before. `generation`: of the worker,
  /// which finds what the ones before it have left.
  office(std::uint64_t seed, int generation, int orders, std::size_t asked);

  engine::open_options options() const;
  void work_on(engine::store* where) { store_ = where; }

  /// The next call; none: all is done. The one before must have been answered with OK.
  std::optional<call> next();
  std::size_t asked() const noexcept { return asked_; }

  /// What must be so when all is done; a sentence for each thing that isn't.
  std::vector<std::string> wrong_at_the_end() const;

 private:
  using work = std::function<absl::Status()>;

  call named(std::string name, work what);
  std::optional<call> begin_worker();
  std::optional<call> ask();
  std::optional<call> work_on_runs();
  call start_order(int number);
  call signal_order(int number);
  call claim();
  call read(const engine::claimed& run);
  call append(pen& run);
  call finish_task();
  call chores();

  engine::start_request order_request(int number) const;

  // Set once.
  const std::uint64_t seed_;
  const int generation_;
  const int orders_;
  std::shared_ptr<engine::manual_clock> time_;
  std::shared_ptr<repeated_chance> chance_ = std::make_shared<repeated_chance>();

  engine::store* store_ = nullptr;
  std::size_t asked_ = 0;
  std::uint64_t calls_ = 0;
  engine::worker_row worker_;
  bool serves_ = false;
  bool rescued_ = false;
  std::deque<std::int64_t> dead_;
  std::deque<engine::claimed> unread_;
  std::map<engine::run_id, pen> pens_;
  std::deque<engine::run_id> todo_;
  std::deque<engine::task_row> tasks_;
  int idle_ = 0;  // claims in a row that brought nothing
};

}  // namespace fermata::attack::power
