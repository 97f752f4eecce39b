// SPDX-License-Identifier: Apache-2.0
// The guard's thread: vouches for the loop, and looks after workers that can't.
#include "engine/limits.hpp"
#include "engine/operate/operate.hpp"
#include "engine/store/status.hpp"
#include "worker/runtime/frame_names.hpp"
#include "worker/runtime/session.hpp"

#include <fmt/format.h>

#include <pthread.h>
#include <unistd.h>

#include <csignal>

namespace fermata::runtime {

namespace {
constexpr std::int64_t tick_us = 1'000'000;
constexpr int runaway_exit = 70;
constexpr std::int64_t complain_again_us = 60'000'000;
}  // namespace

/// The guard meets the same trouble each second; it is said once a minute.
void session::complain(const absl::Status& why) {
  const std::string text =
      fmt::format("{} [{}]", std::string(why.message()), engine::fer_code_of(why));
  const std::int64_t now = journal_.time().steady_now_us();
  if (text == trouble_ && now - trouble_said_ < complain_again_us) return;
  trouble_ = text;
  trouble_said_ = now;
  log(level::warning, text);
}

void session::guard() {
  ::pthread_setname_np(::pthread_self(), "fermata-guard");
  std::unique_lock lock(guard_mutex_);
  while (!guard_over_) {
    guard_stop_.wait_for(lock, std::chrono::microseconds(tick_us), [this] { return guard_over_; });
    if (guard_over_) break;
    lock.unlock();
    watch_code();
    renew();
    const std::int64_t now = journal_.time().steady_now_us();
    if (now >= look_next_ || store_.somebody_died(me_.row)) look_for_the_dead();
    lock.lock();
  }
}

/// While it owns runs, every third of a lease; silent otherwise. A claim sets the lease by itself, so
/// one may be left when all runs have ended: it is taken back, or it would run out.
void session::renew() {
  const bool owns = loop_->owned() > 0;
  std::int64_t held = host_->lease_until.load();
  if (!owns && held == INT64_MAX) return;
  const std::int64_t boot = store_.boot_now();
  if (owns && renewed_ != 0 && boot - renewed_ < engine::limits::renew_ms * 1000) return;
  const absl::Status done =
      store_.renew(me_.row, owns ? boot + engine::limits::lease_ms * 1000 : 0);
  if (absl::IsNotFound(done)) {
    log(level::error,
        "this worker was silent for a lease and its runs were taken; it goes on under "
        "a new id [FER-3002]");
    host_->lease_until = 0;
    dead_ = true;
    return host_->wake();
  }
  if (!done.ok()) return complain(done);
  renewed_ = owns ? boot : 0;
  if (owns) {
    leased(boot);
    // Steps wait for a lease that was over, as after a disk that was full for long.
    if (held <= boot || held == INT64_MAX) host_->wake();
    return;
  }
  // A claim that came meanwhile has set another; the next tick renews it.
  host_->lease_until.compare_exchange_strong(held, INT64_MAX);
}

void session::look_for_the_dead() {
  const std::int64_t steady = journal_.time().steady_now_us();
  look_next_ = steady + engine::limits::idle_poll_ms * 1000;
  auto dead = store_.rescue(me_.row);
  if (!dead.ok()) return complain(dead.status());
  for (const engine::dead_worker& d : *dead) {
    const std::string path = box_path(d.worker.slot);
    std::string whose;
    std::vector<black_box::entry> entries = black_box::read(path, &whose);
    if (whose != d.worker.id.text()) entries.clear();
    const bool attributed = std::any_of(entries.begin(), entries.end(),
                                        [](const auto& e) { return e.signal != 0 || e.runaway; });
    for (const black_box::entry& e : entries) {
      const bool guilty = e.signal != 0 || e.runaway;
      if (attributed && !guilty) continue;
      if (!guilty && e.operation.empty()) continue;  // code that ran for a moment
      engine::blame blame{.run = e.run,
                          .operation = e.operation,
                          .step = e.step,
                          .attempt = e.attempt,
                          .signal = e.runaway ? SIGXCPU : e.signal,
                          .backtrace = named_frames(e.backtrace),
                          .worker = d.worker.id.text(),
                          .alone = e.alone};
      if (auto done = engine::journal_blame(store_, blame); !done.ok())
        log(level::warning, std::string(done.message()));
    }
    if (!whose.empty() && whose == d.worker.id.text() && d.worker.slot != me_.slot)
      black_box::remove(path);
    log(level::warning, fmt::format("worker {} (pid {}) is gone; {} of its runs go on",
                                    d.worker.id.text(), d.worker.pid, d.runs.size()));
  }
  auto others = store_.workers();
  if (others.ok())
    for (const engine::worker_row& w : *others) {
      if (w.row == me_.row || w.dead || w.gone || w.lease_until == 0) continue;
      const std::int64_t left = std::max<std::int64_t>(0, w.lease_until - store_.boot_now());
      look_next_ = std::min(look_next_, steady + left + 100'000);
    }
  (void)engine::expire_requests(store_, 256);
  // Left by a worker that went away after it had ended their parent.
  if (auto more = engine::close_children(store_, 256); more.ok() && *more) look_next_ = steady;
  journal_.runs_may_have_ended();
  if (!dead->empty() && loop_) loop_->poke();
}

/// Workflow code runs for microseconds between awaits. What doesn't come back would hold every run
/// of this worker.
void session::watch_code() {
  const std::int64_t since = loop_->code_since();
  if (since == 0) return;
  const std::int64_t ran = journal_.time().steady_now_us() - since;
  if (ran < engine::limits::slow_code_ms * 1000) return;
  const engine::run_id run = loop_->code_run();
  if (complained_ != since)
    log(level::warning, fmt::format("the code of run {} has run for {} ms without awaiting; slow "
                                    "work belongs into a step",
                                    run.text(), ran / 1000));
  complained_ = since;
  if (ran < engine::limits::runaway_code_ms * 1000) return;
  log(level::error,
      fmt::format("the code of run {} didn't come back for {} s; this worker hands its "
                  "other runs back and ends",
                  run.text(), ran / 1'000'000));
  if (box_) box_->mark_runaway(loop_->code_slot());
  ::_exit(runaway_exit);
}

}  // namespace fermata::runtime
