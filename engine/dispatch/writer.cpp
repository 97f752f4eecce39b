// SPDX-License-Identifier: Apache-2.0
#include "engine/dispatch/writer.hpp"

#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace fermata::engine {

namespace {

template <class T>
void append_all(std::vector<T>& to, std::vector<T>& from) {
  if (to.empty()) {
    to = std::move(from);
    return;
  }
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

/// The next `count` items of `all`, from `at` on.
template <class T>
std::vector<T> share(std::vector<T>& all, std::size_t& at, std::size_t count) {
  if (count == all.size()) return std::move(all);
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(at);
  at += count;
  return {std::make_move_iterator(first),
          std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count))};
}

absl::Status overloaded(std::size_t waiting) {
  return coded(absl::StatusCode::kResourceExhausted, "FER-1405",
               fmt::format("{} calls of this process wait for the journal already; nothing was "
                           "written: wait and try again [FER-1405]",
                           waiting));
}

}  // namespace

writer::writer(std::shared_ptr<store> where, std::size_t waiting_max)
    : store_(std::move(where)), waiting_max_(waiting_max) {}

writer::~writer() {
  drain();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

writer::answer writer::commit(batch&& what) {
  ticket mine(std::move(what), {});
  {
    std::unique_lock lock(mutex_);
    if (queue_.size() >= waiting_max_) return overloaded(queue_.size());
    queue_.push_back(&mine);
    if (!led_) lead(lock);
  }
  // A thousand may wait; only who may lead takes the lock again.
  for (;;) {
    const int state = mine.state.load(std::memory_order_acquire);
    if (state == ticket::ready) return std::move(mine.result);
    if (state == ticket::queued) {
      mine.state.wait(ticket::queued, std::memory_order_acquire);
      continue;
    }
    std::unique_lock lock(mutex_);
    int expected = ticket::may_lead;
    mine.state.compare_exchange_strong(expected, ticket::queued);
    if (expected == ticket::may_lead && !led_) lead(lock);
  }
}

std::optional<writer::answer> writer::try_commit(batch& what) {
  std::unique_lock lock(mutex_);
  if (led_ || !queue_.empty()) return std::nullopt;
  ticket mine(std::move(what), {});
  queue_.push_back(&mine);
  lead(lock);  // it was alone, so it has been written
  if (!mine.result.ok()) what = std::move(mine.what);
  return std::move(mine.result);
}

void writer::submit(batch&& what, done then) {
  auto* made = new ticket(std::move(what), std::move(then));
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(made);
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    wake = thread_waits_ && !led_;
  }
  if (wake) work_.notify_one();
}

void writer::drain() {
  std::unique_lock lock(mutex_);
  empty_.wait(lock, [this] { return queue_.empty() && !led_; });
}

void writer::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    thread_waits_ = true;
    work_.wait(lock, [this] { return stopping_ || (!queue_.empty() && !led_); });
    thread_waits_ = false;
    if (queue_.empty() && stopping_) return;
    if (!led_ && !queue_.empty()) lead(lock);
  }
}

/// One group. Whoever leads writes what has queued; the next group is somebody else's, who waits
/// already.
void writer::lead(std::unique_lock<std::mutex>& lock) {
  led_ = true;
  std::vector<ticket*> group = next_group();
  lock.unlock();
  write(group);
  for (ticket* t : group) {
    t->then(std::move(t->result), std::move(t->what));
    delete t;
  }
  lock.lock();
  led_ = false;
  wake_next();
}

/// Whoever is first in the queue leads next, unless somebody who comes just now is faster: one
/// thread is woken, however many wait.
void writer::wake_next() {
  if (queue_.empty())
    empty_.notify_all();
  else if (queue_.front()->then)
    work_.notify_one();
  else if (queue_.front()->state.exchange(ticket::may_lead) == ticket::queued)
    queue_.front()->state.notify_one();
}

std::vector<writer::ticket*> writer::next_group() {
  std::vector<ticket*> group;
  std::size_t items = 0;
  std::size_t bytes = 0;
  bool claims = false;
  std::int64_t worker = 0;
  while (!queue_.empty()) {
    const batch& next = queue_.front()->what;
    const bool other_worker = worker != 0 && next.worker != 0 && next.worker != worker;
    if (!group.empty() && (items >= limits::batch_events || bytes >= limits::batch_bytes ||
                           other_worker || (claims && next.claim.has_value())))
      break;
    bytes += queue_.front()->bytes;
    items += next.appends.size() + next.starts.size() + next.messages.size() + next.finish.size();
    claims = claims || next.claim.has_value();
    if (next.worker != 0) worker = next.worker;
    group.push_back(queue_.front());
    queue_.pop_front();
  }
  return group;
}

void writer::write(std::vector<ticket*>& group) {
  struct counts {
    std::size_t appends, starts, messages, finish;
    bool claim;
  };
  std::vector<counts> sizes;
  batch together;
  for (ticket* t : group) {
    sizes.push_back({t->what.appends.size(), t->what.starts.size(), t->what.messages.size(),
                     t->what.finish.size(), t->what.claim.has_value()});
    if (t->what.worker != 0) together.worker = t->what.worker;
    append_all(together.appends, t->what.appends);
    append_all(together.starts, t->what.starts);
    append_all(together.messages, t->what.messages);
    append_all(together.finish, t->what.finish);
    if (t->what.claim) together.claim = std::move(t->what.claim);
  }
  failpoint("writer.before_commit");
  answer all = store_->commit(std::move(together));
  failpoint("writer.after_commit");
  std::size_t append = 0, start = 0, message = 0, finish = 0;
  counts answered{};
  for (std::size_t i = 0; i < group.size(); ++i) {
    ticket* t = group[i];
    t->what.appends = share(together.appends, append, sizes[i].appends);
    t->what.starts = share(together.starts, start, sizes[i].starts);
    t->what.messages = share(together.messages, message, sizes[i].messages);
    t->what.finish = share(together.finish, finish, sizes[i].finish);
    if (!all.ok()) {
      t->result = all.status();
      if (sizes[i].claim) t->what.claim = together.claim;
    } else {
      batch_result mine;
      mine.appends = share(all->appends, answered.appends, sizes[i].appends);
      mine.starts = share(all->starts, answered.starts, sizes[i].starts);
      mine.messages = share(all->messages, answered.messages, sizes[i].messages);
      mine.finished = share(all->finished, answered.finish, sizes[i].finish);
      if (sizes[i].claim) {
        mine.claimed = std::move(all->claimed);
        mine.next_timer = all->next_timer;
        mine.next_not_before = all->next_not_before;
        mine.more_ready = all->more_ready;
        mine.tasks = std::move(all->tasks);
        mine.stopped = std::move(all->stopped);
        mine.more_tasks = all->more_tasks;
      }
      t->result = std::move(mine);
    }
  }
  std::erase_if(group, [](ticket* t) {
    if (t->then) return false;
    // It may be gone as soon as it can see `ready`: then nobody waits at this address any more.
    std::atomic<int>& state = t->state;
    state.store(ticket::ready, std::memory_order_release);
    state.notify_one();
    return true;
  });
}

}  // namespace fermata::engine
