// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/wake_line.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>

namespace fermata::engine::postgres {

namespace {

constexpr std::int64_t debounce_us = 5'000;
constexpr std::int64_t first_pause_us = 100'000;
constexpr std::int64_t longest_pause_us = 5'000'000;
constexpr std::int64_t virtual_wait_us = 1'000;  // so that who waits can move the time

// The asynchronous commit of a notification loses nothing: others look now and then anyway.
constexpr const char* notify_sql =
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, '')";

std::int64_t steady_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             // tidy: sockets don't know of a test's time
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

wake_line::~wake_line() {
  std::thread ending;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    if (signal_ >= 0) eventfd_write(signal_, 1);
    ending = std::move(thread_);
  }
  changed_.notify_all();
  if (ending.joinable()) ending.join();
  if (signal_ >= 0) ::close(signal_);
}

void wake_line::bump() {
  {
    const std::lock_guard guard(mutex_);
    ++count_;
  }
  changed_.notify_all();
}

void wake_line::committed(bool only_ends) {
  if (only_ends) ++for_ends_;
  bump();
  if (!server_.clock.is_virtual()) tell();
}

void wake_line::tell() {
  bool runs = false;
  {
    const std::lock_guard guard(mutex_);
    runs = thread_.joinable();
  }
  // Who never waits, a command that sends one signal, needs no thread: it tells by itself.
  if (!runs && steady_now() - told_at_.load() > debounce_us) return tell_at_once();
  start();
  to_tell_ = true;
  eventfd_write(signal_, 1);
}

void wake_line::tell_at_once() {
  told_at_ = steady_now();
  try {
    server_.read([&](connection& db) { notify(db); });
  } catch (const server_failure&) {
    // They look by themselves.
  }
}

void wake_line::notify(connection& on) {
  on.run(notify_sql, params(std::string_view(server_.where.schema)));
  told_at_ = steady_now();
}

void wake_line::start() {
  const std::lock_guard guard(mutex_);
  if (thread_.joinable() || stopping_) return;
  signal_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { run(); });
}

void wake_line::wait(std::uint32_t seen, std::int64_t timeout_us) {
  const bool is_virtual = server_.clock.is_virtual();
  if (!is_virtual) start();
  std::int64_t most = is_virtual ? std::min(timeout_us, virtual_wait_us) : timeout_us;
  const bool polls = !is_virtual && !hears_.load() && most > server_.where.poll_ms * 1'000;
  if (polls) most = server_.where.poll_ms * 1'000;
  std::unique_lock lock(mutex_);
  const bool woken = changed_.wait_for(lock, std::chrono::microseconds(most),
                                       [&] { return count_.load() != seen || stopping_.load(); });
  if (!woken && polls) ++count_;  // somebody may have written something
}

void wake_line::run() {
  std::int64_t pause = first_pause_us;
  bool said = false;
  while (!stopping()) {
    try {
      const std::unique_ptr<connection> made = server_.connect();
      connection& on = *made;
      if (on.server().pooled) {
        if (!std::exchange(said, true) && server_.say)
          server_.say(fmt::format(
              "a pool stands before the database (pgbouncer in transaction mode?): no LISTEN, "
              "what others write is looked for every {} ms",
              server_.where.poll_ms));
        // Telling others works all the same.
        if (to_tell_.exchange(false)) notify(on);
        while (!stopping() && on.alive()) {
          poll_for(longest_pause_us);
          if (to_tell_.exchange(false)) notify(on);
        }
        continue;
      }
      on.run_once(fmt::format("LISTEN {}", server_.where.schema));
      hears_ = true;
      pause = first_pause_us;
      bump();  // what came before
      listen(on);
    } catch (const server_failure&) {
      // The store says what is wrong.
    }
    hears_ = false;
    if (stopping()) return;
    bump();
    poll_for(pause);
    pause = std::min(pause * 2, longest_pause_us);
  }
}

/// Sleeps, but wakes for the end; what is to be told waits for a connection.
void wake_line::poll_for(std::int64_t us) {
  pollfd waits{.fd = signal_, .events = POLLIN, .revents = 0};
  ::poll(&waits, 1, static_cast<int>(us / 1'000));
  eventfd_t ignored = 0;
  eventfd_read(signal_, &ignored);
}

void wake_line::listen(connection& on) {
  while (!stopping()) {
    int timeout_ms = -1;
    if (to_tell_.load()) {
      const std::int64_t left = told_at_.load() + debounce_us - steady_now();
      if (left <= 0) {
        to_tell_ = false;
        notify(on);
      } else {
        timeout_ms = static_cast<int>(left / 1'000) + 1;
      }
    }
    if (!to_tell_.load()) timeout_ms = -1;
    bool heard = false;
    while (PGnotify* note = PQnotifies(on.handle())) {
      heard = heard || note->be_pid != PQbackendPID(on.handle());
      PQfreemem(note);
    }
    if (heard) bump();
    std::array<pollfd, 2> waits{pollfd{.fd = PQsocket(on.handle()), .events = POLLIN, .revents = 0},
                                pollfd{.fd = signal_, .events = POLLIN, .revents = 0}};
    ::poll(waits.data(), waits.size(), timeout_ms);
    eventfd_t ignored = 0;
    if (waits[1].revents != 0) eventfd_read(signal_, &ignored);
    if (waits[0].revents != 0 && (PQconsumeInput(on.handle()) != 1 || !on.alive())) return;
  }
}

}  // namespace fermata::engine::postgres
