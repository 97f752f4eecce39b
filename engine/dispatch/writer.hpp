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
/// a caller on an idle system commits by itself, without a hop; under load threads do, one for each of
/// the store's lanes. As LevelDB's writer queue (`DBImpl::Write`), with whole batches in place of single
/// writes, and with several groups under way: README.md says which may be.
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
  /// Commits on this thread if nothing like it is being written; otherwise, and with an error, leaves
  /// `what` as it was.
  std::optional<answer> try_commit(batch& what);
  /// Returns at once; `then` is called on the thread that wrote it.
  void submit(batch&& what, done then);
  /// Everything submitted has been answered.
  void drain();

  /// For simulations, before anything is written: no threads of its own. `ring` is called, from within,
  /// when something may be written, and somebody calls `write_next` then.
  void by_hand(std::function<void()> ring) { ring_ = std::move(ring); }
  /// Writes a group on this thread. False: there is none that may begin now.
  bool write_next();

  store& where() const noexcept { return *store_; }
  /// So many groups may be under way at once.
  std::size_t lanes() const noexcept { return lanes_; }

 private:
  struct ticket {
    ticket(batch&& given, done&& call);

    batch what;
    const std::size_t items;
    const std::size_t bytes;
    done then;  // submitted
    answer result = absl::UnknownError("");
    enum : int { queued, may_lead, ready };
    std::atomic<int> state = queued;  // who waits looks at it without the lock
  };
  /// Batches of one sort, in order.
  struct line {
    std::deque<ticket*> queue;
    std::size_t waiting = 0;  // items in it
    std::size_t groups = 0;   // under way
    std::size_t written = 0;  // items in these
    bool claims = false;      // one of these does
  };
  struct group {
    std::vector<ticket*> tickets;
    std::size_t items = 0;
    bool claims = false;
  };

  line& line_of(const batch& what);
  bool may_begin(const line& of) const;
  void put(line& in, ticket* what);
  /// Writes a group of this line.
  void lead(std::unique_lock<std::mutex>& lock, line& of);
  group next_group(line& of) const;
  /// Answers those who wait; what was submitted is left in `tickets`.
  void write(std::vector<ticket*>& tickets);
  void work();
  void wake_next();
  void wake_thread();

  // Set once.
  const std::shared_ptr<store> store_;
  const std::size_t waiting_max_;
  const std::size_t lanes_;
  std::function<void()> ring_;  // by hand

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable work_;   // of threads that have nothing to do
  std::condition_variable empty_;  // nothing queued, nobody writes
  line events_;                    // plain appends alone; where there is one lane, none
  line others_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // as many as are needed, at most one a lane
  std::size_t idle_ = 0;              // of these
};

}  // namespace fermata::engine
