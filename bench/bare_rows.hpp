// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace fermata::bench {

/// So many rows of each kind, in one transaction.
struct bare_writes {
  int events = 0;          // in log order, with a unique index on (run, position), append-only
  int runs_begun = 0;      // with a unique key
  int runs_ended = 0;      // updated, the oldest first
  int requests = 0;        // starts or messages, which lie until they are taken
  int requests_taken = 0;  // removed, the oldest first
  int timers = 0;          // in a table clustered by due time; due in no order
  int timers_fired = 0;    // removed, the first due first, each with an event of its run
};

/// What an engine must write, without one: bare rows by one connection, as durable as the engine's.
class bare_rows {
 public:
  virtual ~bare_rows() = default;
  /// Returns seconds.
  double commit(const bare_writes& what);
  /// The same again and again. Returns transactions per second.
  double repeat(const bare_writes& what, double seconds);

 protected:
  /// Events go round `runs` runs.
  explicit bare_rows(int runs) : runs_(runs) {}

  virtual void begin() = 0;
  virtual void event(std::int64_t run, std::int64_t position) = 0;
  virtual void run_begun(std::int64_t run) = 0;
  virtual void run_ended(std::int64_t run) = 0;
  virtual void request(std::int64_t id) = 0;
  virtual void request_taken(std::int64_t id) = 0;
  virtual void timer(std::int64_t due, std::int64_t run) = 0;
  virtual void timer_gone(std::int64_t due, std::int64_t run) = 0;
  virtual void end() = 0;

 private:
  using due_and_run = std::pair<std::int64_t, std::int64_t>;

  const std::int64_t runs_;
  std::int64_t events_ = 0, begun_ = 0, ended_ = 0, requests_ = 0, taken_ = 0, timers_ = 0;
  std::int64_t fired_ = 0;
  std::priority_queue<due_and_run, std::vector<due_and_run>, std::greater<>> pending_;
};

/// A number below `range`, in no order.
constexpr std::int64_t scattered(std::int64_t number, std::int64_t range) {
  const std::uint64_t mixed = static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15;
  return static_cast<std::int64_t>((mixed >> 20) % static_cast<std::uint64_t>(range));
}

}  // namespace fermata::bench
