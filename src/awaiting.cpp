// SPDX-License-Identifier: Apache-2.0
// How a client waits for a run's end: told by name of what a worker of this process ended, and of what
// another process ended by one thread that looks for all who wait.
#include "engine/event/encode.hpp"
#include "engine/limits.hpp"
#include "src/convert.hpp"
#include "src/journal_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <unordered_set>
#include <vector>

namespace fermata::detail {

namespace {

constexpr std::int64_t look_again_us = 1'000'000;  // for what nobody told of
constexpr std::size_t looked_for_at_once = 1'000;
// Looks for many take a fifth of the time at most, however often others write.
constexpr std::int64_t pause_per_look = 4;

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
    needs_look_ = !among_.here_.contains(chain);  // its end will be told
    enlist();
  }
  ~waiter() {
    const std::lock_guard lock(among_.mutex_);
    leave();
  }
  waiter(const waiter&) = delete;

  /// Whether the run may have ended without this having been told.
  bool needs_look() const noexcept { return needs_look_; }

  const engine::chain_id& chain() const noexcept { return chain_; }
  /// A later run of this chain was named.
  void wait_for(const engine::chain_id& chain) {
    const std::lock_guard lock(among_.mutex_);
    leave();
    chain_ = chain;
    enlist();
  }

  /// False when the time is over. Otherwise there is an end, or a reason to look, or neither.
  bool wait(std::int64_t left_us) {
    if (left_us <= 0) return false;
    std::unique_lock lock(among_.mutex_);
    const bool woken =
        changed_->wait_for(lock, std::chrono::microseconds(std::min(left_us, look_again_us)),
                           [this] { return look_; });
    needs_look_ = std::exchange(look_, false);
    if (!woken && !among_.here_.contains(chain_)) {
      needs_look_ = left_us <= look_again_us;  // for the last time
      if (!needs_look_ && among_.nobody_looked()) {
        lock.unlock();
        among_.look_for_ends(whose::others);
        lock.lock();
        needs_look_ = std::exchange(look_, false);
      }
    }
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
  bool needs_look_ = true;
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

/// One thread that sees what other processes wrote. Started when somebody waits.
void journal_impl::want_watcher() {
  if (watcher_.joinable() || pump_) return;
  watcher_ = std::thread([this] { watch(); });
}

void journal_impl::watch() {
  std::uint32_t seen = store_->wake_count();
  std::uint32_t seen_of_others = seen - store_->wakes_of_own_ends();
  bool to_look = false;
  std::int64_t not_before = 0;  // steady µs
  while (!closing_) {
    const std::int64_t pause = not_before - time_->steady_now_us();
    store_->wait(seen, !to_look ? engine::limits::idle_poll_ms * 1000 : pause > 0 ? pause : 0);
    const std::uint32_t now = store_->wake_count();
    if (std::exchange(seen, now) != now) {
      // Who waits is told of what this process did by name.
      const std::uint32_t of_others = now - store_->wakes_of_own_ends();
      if (std::exchange(seen_of_others, of_others) != of_others) {
        to_look = true;
        const std::lock_guard lock(mutex_);
        if (worker_ != nullptr) worker_->poke_for(now);
      }
    }
    const std::int64_t began = time_->steady_now_us();
    if (!to_look || began < not_before) continue;
    look_for_ends(whose::all);
    to_look = false;
    const std::int64_t ended = time_->steady_now_us();
    not_before = ended + (ended - began) * pause_per_look;
  }
}

/// For a second. Who is told so looks.
bool journal_impl::nobody_looked() {
  const std::int64_t now = time_->steady_now_us();
  if (now - looked_at_ < look_again_us) return false;
  looked_at_ = now;
  return true;
}

/// For all that somebody waits for, so many at a time. What this process has may end elsewhere, too.
void journal_impl::look_for_ends(whose which) {
  std::unordered_set<engine::chain_id> chains;
  {
    const std::lock_guard lock(mutex_);
    looked_at_ = time_->steady_now_us();
    for (const auto& [chain, who] : waiters_)
      if (which == whose::all || !here_.contains(chain)) chains.insert(chain);
  }
  const std::vector<engine::chain_id> all(chains.begin(), chains.end());
  for (std::size_t i = 0; i < all.size() && !closing_; i += looked_for_at_once) {
    auto ends = store_->ends_of(
        {all.begin() + static_cast<std::ptrdiff_t>(i),
         all.begin() + static_cast<std::ptrdiff_t>(std::min(i + looked_for_at_once, all.size()))});
    if (!ends.ok()) return runs_may_have_ended();  // and who looks is told why it can't
    for (const engine::chain_ends::end& end : ends->ended) {
      auto last = engine::decode(end.run, end.last);
      if (last.ok())
        run_ended(end.chain, end.run, std::move(*last));
      else
        run_ended(end.chain);
    }
    for (const engine::chain_id& chain : ends->unknown) run_ended(chain);
  }
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
    if (mine.needs_look()) {
      auto ends = store_->ends_of({mine.chain()});
      raise(ends.status(), std::string(chain));
      for (const engine::chain_ends::end& end : ends->ended) {
        auto last = engine::decode(end.run, end.last);
        raise(last.status(), end.run.text());
        return outcome_of(last->kind, end.run.text(), *last);
      }
      if (!ends->unknown.empty()) {
        mine.wait_for(newest_of(chain).chain);
        continue;
      }
    }
    if (!mine.wait(until - time_->steady_now_us())) throw over();
    if (const waiter::ending* end = mine.told())
      return outcome_of(end->last.kind, end->run.text(), end->last);
  }
}

}  // namespace fermata::detail
