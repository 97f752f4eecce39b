// SPDX-License-Identifier: Apache-2.0
#include "worker/stop_signals.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

namespace fermata::detail {

namespace {

// What the handler reads.
std::atomic<void*> whom_to_stop{nullptr};
std::atomic<stop_signals::action> drains{nullptr};
std::atomic<stop_signals::action> stops_at_once{nullptr};
std::atomic<bool> tells{false};
std::atomic<int> signals_seen{0};

void write_all(std::string_view text) {
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
}

void set(int signal, void (*handler)(int), struct sigaction* before) {
  struct sigaction how{};
  how.sa_handler = handler;
  how.sa_flags = SA_RESTART;
  sigemptyset(&how.sa_mask);
  ::sigaction(signal, &how, before);
}

void on_stop(int) {
  const int saved = errno;
  void* whom = whom_to_stop.load();
  if (signals_seen.fetch_add(1) == 0) {
    if (tells) write_all("stopping when the attempts in flight have ended; again: at once\n");
    if (whom != nullptr) drains.load()(whom);
  } else {
    if (tells) write_all("stopping at once\n");
    set(SIGTERM, SIG_DFL, nullptr);
    set(SIGINT, SIG_DFL, nullptr);
    if (whom != nullptr) stops_at_once.load()(whom);
  }
  errno = saved;
}

}  // namespace

stop_signals::stop_signals(void* whom, action drain, action at_once, bool tell) {
  signals_seen = 0;
  tells = tell;
  drains = drain;
  stops_at_once = at_once;
  whom_to_stop = whom;
  set(SIGTERM, on_stop, &terminate_before_);
  set(SIGINT, on_stop, &interrupt_before_);
  ::sigaction(SIGPIPE, nullptr, &pipe_before_);
  if (pipe_before_.sa_handler == SIG_DFL) set(SIGPIPE, SIG_IGN, nullptr);
}

stop_signals::~stop_signals() {
  ::sigaction(SIGTERM, &terminate_before_, nullptr);
  ::sigaction(SIGINT, &interrupt_before_, nullptr);
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  whom_to_stop = nullptr;
}

bool stop_signals::came() const noexcept { return signals_seen.load() > 0; }

}  // namespace fermata::detail
