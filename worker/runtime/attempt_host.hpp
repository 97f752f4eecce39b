// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"
#include "engine/store/store.hpp"
#include "worker/runtime/attempt.hpp"
#include "worker/runtime/black_box.hpp"
#include "worker/runtime/lease.hpp"
#include "worker/runtime/registry.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace fermata::runtime {

/// What the thread of a step uses. It outlives the loop, the session and the worker: a step that
/// doesn't come back when its worker stops is left behind, and may come back long after.
/// Threads: any.
class attempt_host {
 public:
  /// What a process brings.
  struct parts {
    std::shared_ptr<const registry> serves;
    std::shared_ptr<engine::store> store;
    std::shared_ptr<engine::clock> time;
    std::shared_ptr<black_box> box;  // may be null
    std::function<void()> wake;      // the loop's thread has mail
    /// A running boost::asio::io_context, made when it is first asked for.
    std::function<std::shared_ptr<void>()> make_io;
  };
  explicit attempt_host(parts given) : parts_(std::move(given)) {}
  attempt_host(const attempt_host&) = delete;

  const registry& serves() const noexcept { return *parts_.serves; }
  engine::clock& time() const noexcept { return *parts_.time; }
  black_box* box() const noexcept { return parts_.box.get(); }
  void wake() const { parts_.wake(); }

  /// Whether attempts may be started now.
  bool has_lease() const { return held.allows(time().boot_now_us()); }
  /// Null when the session is over.
  std::shared_ptr<void> io();
  /// Runs the body of a step, synchronous or transactional, on this thread.
  void execute(live_attempt& what, attempt_done& to) const;
  /// NOT_FOUND: the attempt's task was taken back.
  absl::Status write_heartbeat(const live_attempt& what, const detail::payload& details) const;
  /// The frames that a body of `ctx.run` still at work refers to: they go when no attempt is left.
  void keep(std::unique_ptr<detail::live_run> frames);
  /// The session is over: awaitables are dropped where they stand.
  void close();

  lease held;

 private:
  const parts parts_;
  std::mutex mutex_;
  std::shared_ptr<void> io_;                             // guarded by mutex_
  bool closed_ = false;                                  // guarded by mutex_
  std::vector<std::unique_ptr<detail::live_run>> kept_;  // guarded by mutex_
};

}  // namespace fermata::runtime
