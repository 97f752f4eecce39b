// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/limits.hpp"
#include "engine/store/store.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace fermata::engine {

/// Group commit: what queued while the last commit ran is committed together. The writer is a role:
/// a caller on an idle system commits by itself, without a hop; under load one thread does. As
/// LevelDB's writer queue (`DBImpl::Write`), with whole batches in place of single writes.
/// Threads: any.
class writer {
 public:
  using answer = absl::StatusOr<batch_result>;
  /// The batch comes back, so that whoever made it frees it: memory that another thread frees costs
  /// both a lock. With an error it is as it was, to be sent again: an ambiguous commit is settled by
  /// its very bytes.
  using done = std::function<void(answer, batch&&)>;

  explicit writer(std::shared_ptr<store> where, std::size_t waiting_max = limits::commits_waiting);
  ~writer();
  writer(const writer&) = delete;

  /// Waits until it is durable. RESOURCE_EXHAUSTED (FER-1405) when too many wait already: nothing
  /// was written.
  answer commit(batch&& what);
  /// Commits on this thread if nobody is writing; otherwise, and with an error, leaves `what` as it
  /// was.
  std::optional<answer> try_commit(batch& what);
  /// Returns at once; `then` is called on the thread that wrote it.
  void submit(batch&& what, done then);
  /// Everything submitted has been answered.
  void drain();

  store& where() const noexcept { return *store_; }

 private:
  struct ticket {
    ticket(batch&& given, done&& call)
        : what(std::move(given)), bytes(bytes_in(what)), then(std::move(call)) {}

    batch what;
    const std::size_t bytes;
    done then;  // submitted
    answer result = absl::UnknownError("");
    enum : int { queued, may_lead, ready };
    std::atomic<int> state = queued;  // who waits looks at it without the lock
  };

  void lead(std::unique_lock<std::mutex>& lock);
  /// Answers those who wait; what was submitted is left in `group`.
  void write(std::vector<ticket*>& group);
  std::vector<ticket*> next_group();
  void work();
  void wake_next();

  // Set once.
  const std::shared_ptr<store> store_;
  const std::size_t waiting_max_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable work_;   // the thread's
  std::condition_variable empty_;  // nothing queued, nobody writes
  std::deque<ticket*> queue_;
  bool led_ = false;
  bool stopping_ = false;
  std::thread thread_;  // started with the first submit
  bool thread_waits_ = false;
};

}  // namespace fermata::engine
