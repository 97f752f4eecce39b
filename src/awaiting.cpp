// SPDX-License-Identifier: Apache-2.0
// How a client waits for a run's end: told by name what a worker of this process ended, and looking
// when another process may have.
#include "engine/limits.hpp"
#include "src/convert.hpp"
#include "src/journal_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <vector>

namespace fermata::detail {

namespace {

constexpr std::int64_t look_again_us = 1'000'000;  // whatever nobody told of

/// What the run ended with, as the client gets it.
payload outcome_of(engine::event_kind how, const std::string& id, const engine::event& last) {
  const pb::failure& why = last.details.ended().why();
  switch (how) {
    case engine::event_kind::run_completed:
      return to_sdk(last.value);
    case engine::event_kind::run_failed:
      throw to_sdk(why, id);
    case engine::event_kind::run_cancelled:
      throw cancelled(
          why.message().empty() ? fmt::format("run {} was cancelled", id) : why.message(), id);
    case engine::event_kind::run_expired:
      throw error(
          codes::expired,
          fmt::format("run {} expired: it hadn't begun in time [{}]", id, codes::expired.code), id);
    default:
      throw error(
          codes::terminated,
          fmt::format("run {} was terminated{}{} [{}]", id, why.message().empty() ? "" : ": ",
                      why.message(), codes::terminated.code),
          id);
  }
}

}  // namespace

/// Among the others while it lives. What others touch is guarded by their mutex.
class journal_impl::waiter {
 public:
  waiter(journal_impl& among, const engine::chain_id& chain) : among_(among), chain_(chain) {
    const std::lock_guard lock(among_.mutex_);
    among_.want_watcher();
    here_ = among_.here_.contains(chain);
    enlist();
  }
  ~waiter() {
    const std::lock_guard lock(among_.mutex_);
    leave();
  }
  waiter(const waiter&) = delete;

  /// The run goes on in this process: its end will be told.
  bool needs_no_look() { return std::exchange(here_, false); }

  /// A later run of the chain was named: then it has to be looked at again.
  bool is_for(const engine::chain_id& chain) {
    if (chain == chain_) return true;
    const std::lock_guard lock(among_.mutex_);
    leave();
    chain_ = chain;
    enlist();
    return false;
  }

  /// False when the time is over. Otherwise there is an end, or a reason to look.
  bool wait(std::int64_t left_us) {
    if (left_us <= 0) return false;
    std::unique_lock lock(among_.mutex_);
    changed_->wait_for(lock, std::chrono::microseconds(std::min(left_us, look_again_us)),
                       [this] { return look_; });
    here_ = !look_ && among_.here_.contains(chain_);
    look_ = false;
    seen_ = told_ ? &*told_ : nullptr;
    return true;
  }

  struct ending {
    engine::run_id run;
    engine::event last;
  };
  /// What `wait` was told; nobody writes it any more.
  const ending* told() const noexcept { return seen_; }

  void look() {
    look_ = true;
    changed_->notify_one();
  }
  /// Who waits is woken by the caller, without the lock: it would wake up to wait for that.
  std::shared_ptr<std::condition_variable> tell(ending&& what) {
    if (!told_) told_ = std::move(what);
    look_ = true;
    return changed_;
  }

 private:
  void enlist() { among_.waiters_.emplace(chain_, this); }
  void leave() {
    const auto [from, to] = among_.waiters_.equal_range(chain_);
    among_.waiters_.erase(
        std::find_if(from, to, [this](const auto& entry) { return entry.second == this; }));
  }

  journal_impl& among_;
  engine::chain_id chain_;
  bool look_ = false;
  std::optional<ending> told_;
  const std::shared_ptr<std::condition_variable> changed_ =
      std::make_shared<std::condition_variable>();

  // Touched only by who waits.
  const ending* seen_ = nullptr;
  bool here_ = false;
};

void journal_impl::run_ended(const engine::chain_id& chain) {
  const std::lock_guard lock(mutex_);
  const auto [from, to] = waiters_.equal_range(chain);
  for (auto it = from; it != to; ++it) it->second->look();
}

void journal_impl::run_ended(const engine::chain_id& chain, const engine::run_id& run,
                             engine::event&& last) {
  if (last.kind == engine::event_kind::run_continued) return run_ended(chain);
  std::vector<std::shared_ptr<std::condition_variable>> told;
  {
    const std::lock_guard lock(mutex_);
    here_.erase(chain);
    const auto [from, to] = waiters_.equal_range(chain);
    for (auto it = from; it != to; ++it) told.push_back(it->second->tell({run, last}));
  }
  for (const auto& who : told) who->notify_one();
}

void journal_impl::runs_may_have_ended() {
  const std::lock_guard lock(mutex_);
  look_all();
}

void journal_impl::look_all() {
  for (auto& [chain, who] : waiters_) who->look();
}

void journal_impl::has_here(const engine::chain_id& chain) {
  const std::lock_guard lock(mutex_);
  here_.insert(chain);
}

void journal_impl::leaves_here(const engine::chain_id& chain) {
  const std::lock_guard lock(mutex_);
  if (here_.erase(chain) == 0) return;
  const auto [from, to] = waiters_.equal_range(chain);
  for (auto it = from; it != to; ++it) it->second->look();
}

/// What the run ended with; empty while it goes on.
std::optional<payload> journal_impl::ended_with(const engine::run_row& row) {
  if (!engine::ended(row.state)) return std::nullopt;
  const engine::event last = last_event(row);
  return outcome_of(last.kind, row.run.text(), last);
}

payload journal_impl::result(std::string_view chain, std::optional<duration> limit) {
  const auto over = [&]() -> timed_out {
    const engine::attention why = newest_of(chain).attention;
    const std::string stands =
        why == engine::attention::none
            ? "; it goes on"
            : fmt::format(": it is {} and doesn't go on by itself; `fermata explain {}` says why",
                          text_of(why), chain);
    return timed_out(
        fmt::format("run {} has no result yet{} [{}]", chain, stands, codes::wait_over.code),
        std::string(chain), codes::wait_over);
  };
  const std::int64_t until = limit ? time_->steady_now_us() + limit->count() * 1000 : INT64_MAX;
  if (pump_) {
    for (bool more = true;;) {
      if (auto value = ended_with(newest_of(chain))) return std::move(*value);
      if (!more || time_->steady_now_us() >= until) throw over();
      more = pump_(until);
    }
  }
  waiter mine(*this, id_of(chain));
  for (;;) {
    if (!mine.needs_no_look()) {
      const engine::run_row row = newest_of(chain);
      if (auto value = ended_with(row)) return std::move(*value);
      if (!mine.is_for(row.chain)) continue;
    }
    if (!mine.wait(until - time_->steady_now_us())) throw over();
    if (const waiter::ending* end = mine.told())
      return outcome_of(end->last.kind, end->run.text(), end->last);
  }
}

}  // namespace fermata::detail
