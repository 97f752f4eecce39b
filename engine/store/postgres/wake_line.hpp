// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/server.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

namespace fermata::engine::postgres {

/// Tells other processes of what was committed, and hears of it: LISTEN and NOTIFY on a connection of
/// its own, outside of all transactions that write. Several commits within a few milliseconds are one
/// notification. Where LISTEN can't be had (a pgbouncer in transaction mode), others' commits are
/// looked for every `poll`. Correctness never needs it.
/// Threads: any.
class wake_line {
 public:
  explicit wake_line(server& of) : server_(of) {}
  ~wake_line();
  wake_line(const wake_line&) = delete;

  std::uint32_t count() const { return count_.load(); }
  std::uint32_t count_for_ends() const { return for_ends_.load(); }
  /// A commit of ours concerns others: after it returned, never before.
  void committed(bool only_ends);
  /// Here only: whoever waits looks again.
  void bump();
  /// Sleeps until the count isn't `seen` any more, or the time is over.
  void wait(std::uint32_t seen, std::int64_t timeout_us);

 private:
  void tell();
  void tell_at_once();
  void start();
  void run();
  /// Until the connection breaks or we stop.
  void listen(connection& on);
  void poll_for(std::int64_t us);
  void notify(connection& on);
  bool stopping() const { return stopping_.load(); }

  server& server_;
  std::atomic<std::uint32_t> count_ = 0;
  std::atomic<std::uint32_t> for_ends_ = 0;
  std::atomic<bool> hears_ = false;  // LISTEN works
  std::atomic<bool> to_tell_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::int64_t> told_at_ = INT64_MIN / 2;  // steady µs

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::thread thread_;
  int signal_ = -1;  // eventfd: there is something to tell, or the end
};

}  // namespace fermata::engine::postgres
