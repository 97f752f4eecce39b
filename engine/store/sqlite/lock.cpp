// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/lock.hpp"

#include "engine/limits.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/sqlite/errors.hpp"
#include "engine/store/sqlite/futex.hpp"
#include "engine/store/host/process.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace fermata::engine::sqlite {

namespace {

constexpr std::size_t lock_byte = 0;
constexpr std::int64_t give_up_after_ms = 60'000;  // the caller may send its batch again
constexpr std::int64_t look_again_us = 5'000;      // a dead holder wakes nobody
constexpr std::int64_t yield_us = 1'000;           // time for a waiter to take its turn
constexpr int idle_yields_max = 3;                 // then the waiters counted are dead ones

/// Always real time: other processes don't live in virtual time.
std::int64_t steady_ms() { return real_clock().steady_now_us() / 1'000; }

}  // namespace

void say_on_stderr(std::string_view sentence) {
  std::fprintf(stderr, "fermata: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
}

struct lock_file::page {
  std::atomic<std::uint32_t> turns;     // rises with each acquisition
  std::atomic<std::uint32_t> releases;  // rises with each release that somebody waited for
  std::atomic<std::uint32_t> waiters;   // a hint: a killed waiter stays in it for a while
  std::uint32_t reserved;
  std::atomic<std::int64_t> pid;  // of the holder, or of the last one
  std::atomic<std::uint64_t> started;
};

lock_file::lock_file(const std::string& journal, warn say)
    : lock_file(journal, std::move(say), {limits::lock_warning_ms, give_up_after_ms}) {}

lock_file::lock_file(const std::string& journal, warn say, patience how_long)
    : path_(journal + "-lock"),
      say_(say ? std::move(say) : warn(say_on_stderr)),
      patience_(how_long),
      file_(path_),
      mapping_(file_, path_),
      page_(static_cast<page*>(mapping_.at())),
      my_start_(host::start_time_of(getpid())) {}

lock_file::~lock_file() = default;

bool lock_file::take() {
  if (!file_.try_lock(lock_byte)) return false;
  my_turn_ = page_->turns.fetch_add(1) + 1;
  page_->pid.store(getpid());
  page_->started.store(my_start_);
  return true;
}

absl::Status lock_file::acquire() {
  let_others_first();
  if (take()) return absl::OkStatus();
  return wait_for_turn();
}

/// A busy writer would take the lock again before a waiter is awake: it waits for a turn of others.
void lock_file::let_others_first() {
  if (my_turn_ == 0 || page_->turns.load() != my_turn_) return;
  std::uint32_t waiting = page_->waiters.load();
  if (waiting == 0) return;
  futex_wait(page_->turns, my_turn_, yield_us);
  if (page_->turns.load() != my_turn_) {
    idle_yields_ = 0;
  } else if (++idle_yields_ >= idle_yields_max) {
    page_->waiters.compare_exchange_strong(waiting, 0);
    idle_yields_ = 0;
  }
}

absl::Status lock_file::wait_for_turn() {
  const std::int64_t began = steady_ms();
  bool warned = false;
  page_->waiters.fetch_add(1);
  absl::Status how = absl::OkStatus();
  while (true) {
    const std::uint32_t seen = page_->releases.load();
    if (take()) break;
    futex_wait(page_->releases, seen, look_again_us);
    if (page_->waiters.load() == 0) page_->waiters.store(1);  // somebody thought us dead
    const std::int64_t waited = steady_ms() - began;
    if (!warned && waited >= patience_.warn_ms) {
      warned = true;
      say_(fmt::format("waiting for {} for {} s: held by {}", path_, waited / 1000, holder()));
    }
    if (waited >= patience_.give_up_ms) {
      how = coded(absl::StatusCode::kUnavailable, "FER-2102",
                  fmt::format("{} couldn't be had within {} ms: held by {}; end or continue that "
                              "process, then try again",
                              path_, waited, holder()));
      break;
    }
  }
  std::uint32_t waiting = page_->waiters.load();
  while (waiting != 0 && !page_->waiters.compare_exchange_weak(waiting, waiting - 1)) {
  }
  // Who has just let go may wait for this turn.
  if (how.ok()) futex_wake(page_->turns, 1);
  return how;
}

void lock_file::release() {
  file_.unlock(lock_byte);
  if (page_->waiters.load() != 0) {
    page_->releases.fetch_add(1);
    futex_wake(page_->releases, 1);
  }
}

std::string lock_file::holder() const {
  return host::describe_process(page_->pid.load(), page_->started.load());
}

sqlite_lock::sqlite_lock(const std::string& journal) {
  status_ = guarded<absl::Status>([&] {
    own_ = std::make_unique<lock_file>(journal);
    of_ = own_.get();
    return of_->acquire();
  });
}

sqlite_lock::sqlite_lock(lock_file& of) : of_(&of), status_(of.acquire()) {}

sqlite_lock::~sqlite_lock() {
  if (status_.ok()) of_->release();
}

}  // namespace fermata::engine::sqlite
