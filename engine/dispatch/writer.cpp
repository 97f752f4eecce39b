// SPDX-License-Identifier: Apache-2.0
#include "engine/dispatch/writer.hpp"

#include "engine/dispatch/deeds.hpp"
#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/planted.hpp"
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

absl::StatusOr<batch_result> pass_failpoints_and_commit(store& where, batch& what) {
  const deeds does(what);
  does.before();
  if (failpoint("writer.before_commit"))
    return coded(absl::StatusCode::kUnavailable, "FER-2102", "a failpoint keeps this commit away");
  absl::StatusOr<batch_result> answer = where.commit(std::move(what));
  failpoint("writer.after_commit");
  does.after();
  return answer;
}

absl::Status overloaded(std::size_t waiting) {
  return coded(absl::StatusCode::kResourceExhausted, "FER-1405",
               fmt::format("{} calls of this process wait for the journal already; nothing was "
                           "written: wait and try again [FER-1405]",
                           waiting));
}

}  // namespace

writer::ticket::ticket(batch&& given, done&& call)
    : what(std::move(given)), items(items_in(what)), bytes(bytes_in(what)), then(std::move(call)) {}

writer::writer(std::shared_ptr<store> where, std::size_t waiting_max)
    : store_(std::move(where)), waiting_max_(waiting_max), lanes_(store_->lanes()) {}

writer::~writer() {
  drain();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& one : threads_) one.join();
}

writer::answer writer::commit(batch&& what) {
  ticket mine(std::move(what), {});
  line& in = line_of(mine.what);
  {
    std::unique_lock lock(mutex_);
    const std::size_t waiting = events_.queue.size() + others_.queue.size();
    if (waiting >= waiting_max_) return overloaded(waiting);
    put(in, &mine);
    if (may_begin(in)) lead(lock, in);
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
    if (expected == ticket::may_lead && may_begin(in)) lead(lock, in);
  }
}

std::optional<writer::answer> writer::try_commit(batch& what) {
  line& in = line_of(what);
  std::unique_lock lock(mutex_);
  if (in.groups != 0 || !in.queue.empty()) return std::nullopt;
  ticket mine(std::move(what), {});
  put(in, &mine);
  lead(lock, in);  // it was alone, so it has been written
  if (!mine.result.ok()) what = std::move(mine.what);
  return std::move(mine.result);
}

void writer::submit(batch&& what, done then) {
  auto* made = new ticket(std::move(what), std::move(then));
  const std::lock_guard lock(mutex_);
  line& in = line_of(made->what);
  put(in, made);
  if (may_begin(in)) wake_thread();
}

void writer::drain() {
  std::unique_lock lock(mutex_);
  const auto still = [](const line& of) { return of.queue.empty() && of.groups == 0; };
  empty_.wait(lock, [&] { return still(events_) && still(others_); });
}

void writer::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    work_.wait(lock, [this] { return stopping_ || may_begin(events_) || may_begin(others_); });
    --idle_;
    if (may_begin(others_))
      lead(lock, others_);
    else if (may_begin(events_))
      lead(lock, events_);
    else
      return;
  }
}

bool writer::write_next() {
  std::unique_lock lock(mutex_);
  for (line* of : {&others_, &events_}) {
    if (!may_begin(*of)) continue;
    lead(lock, *of);
    return true;
  }
  return false;
}

writer::line& writer::line_of(const batch& what) {
  return lanes_ > 1 && is_plain(what) ? events_ : others_;
}

void writer::put(line& in, ticket* what) {
  in.queue.push_back(what);
  in.waiting += what->items;
}

/// The first group of a line may always begin: the other line leaves it a lane. A further one begins
/// when as much waits as is under way in each on average: what is split more costs everybody more.
bool writer::may_begin(const line& of) const {
  if (of.queue.empty()) return false;
  if (of.groups == 0) return true;
  const bool claims = of.claims || of.queue.front()->what.claim;
  if (claims && !planted("claims_side_by_side")) return false;
  if (of.groups + 1 >= lanes_ || events_.groups + others_.groups >= lanes_) return false;
  return of.waiting * of.groups >= of.written;
}

/// One group. Whoever leads writes what has queued; the next group is somebody else's, who waits
/// already.
void writer::lead(std::unique_lock<std::mutex>& lock, line& of) {
  group mine = next_group(of);
  ++of.groups;
  of.written += mine.items;
  of.claims = of.claims || mine.claims;
  wake_next();
  lock.unlock();
  write(mine.tickets);
  for (ticket* t : mine.tickets) {
    t->then(std::move(t->result), std::move(t->what));
    delete t;
  }
  lock.lock();
  --of.groups;
  of.written -= mine.items;
  if (mine.claims) of.claims = false;
  wake_next();
}

/// Whoever is first in a queue leads next, unless somebody who comes just now is faster: one thread
/// is woken, however many wait.
void writer::wake_next() {
  for (line* of : {&others_, &events_}) {
    if (!may_begin(*of)) continue;
    ticket& first = *of->queue.front();
    if (first.then)
      wake_thread();
    else if (first.state.exchange(ticket::may_lead) == ticket::queued)
      first.state.notify_one();
  }
  if (events_.groups + others_.groups == 0) empty_.notify_all();
}

/// One that has nothing to do; else another one. When all write, the next of them that is done.
void writer::wake_thread() {
  if (ring_)
    ring_();
  else if (idle_ != 0)
    work_.notify_one();
  else if (threads_.size() < lanes_)
    threads_.emplace_back([this] { work(); });
}

writer::group writer::next_group(line& of) const {
  group made;
  std::size_t bytes = 0;
  std::int64_t worker = 0;
  while (!of.queue.empty()) {
    const batch& next = of.queue.front()->what;
    const bool other_worker = worker != 0 && next.worker != 0 && next.worker != worker;
    const bool claims_beside = next.claim && (made.claims || of.groups != 0);
    if (!made.tickets.empty() && (made.items >= limits::batch_events ||
                                  bytes >= limits::batch_bytes || other_worker || claims_beside))
      break;
    bytes += of.queue.front()->bytes;
    made.items += of.queue.front()->items;
    made.claims = made.claims || next.claim.has_value();
    if (next.worker != 0) worker = next.worker;
    made.tickets.push_back(of.queue.front());
    of.queue.pop_front();
  }
  of.waiting -= made.items;
  return made;
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
  answer all = pass_failpoints_and_commit(*store_, together);
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
