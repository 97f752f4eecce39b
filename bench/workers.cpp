// SPDX-License-Identifier: Apache-2.0
#include "bench/workers.hpp"

#include "bench/usage.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>
#include <utility>

namespace fermata::bench {

namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "fermata-bench: %s\n", what);
  std::exit(1);
}

bool read_byte(int from) {
  char byte = 0;
  return ::read(from, &byte, 1) == 1;
}

void write_byte(int to) {
  if (::write(to, "x", 1) != 1) fail("a worker process is gone");
}

task<int> end_at_once(context&, int input) { co_return input; }

constexpr fermata::signal<int> never{"never"};
constexpr int steps_at_once = 1000;  // of a process, however many runs it has
marks* noting = nullptr;             // of this process: a workflow can't be given it

task<int> sleep_and_stay(context& ctx, nap input) {
  co_await ctx.sleep_until(time_point(duration(input.due_ms)));
  noting->note(static_cast<std::size_t>(input.number));
  const int told = co_await ctx.receive(never);
  co_return told;
}

task<int> hear_signals(context& ctx, work input) {
  noting->note(0);
  for (int heard = 1; heard <= input.step; ++heard) {
    const int told = co_await ctx.receive(wake);
    noting->note(static_cast<std::size_t>(told));
  }
  co_return input.step;
}

}  // namespace

workers::workers(const std::string& journal, int processes, int slots, const marks* noted) {
  for (int i = 0; i < processes; ++i) {
    int input[2], output[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0) fail("no pipe");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, output[1], STDOUT_FILENO);
    std::string words[] = {"fermata-bench", "serve", journal, std::to_string(slots),
                           noted != nullptr ? noted->address() : ""};
    char* const pointers[] = {words[0].data(), words[1].data(), words[2].data(),
                              words[3].data(), words[4].data(), nullptr};
    process one{.to = input[1], .from = output[0]};
    if (::posix_spawn(&one.id, "/proc/self/exe", &files, nullptr, pointers, environ) != 0)
      fail("no worker process");
    posix_spawn_file_actions_destroy(&files);
    ::close(input[0]);
    ::close(output[1]);
    all_.push_back(one);
  }
  for (const process& one : all_)
    if (!read_byte(one.from)) fail("a worker process didn't begin");
}

workers::~workers() { (void)stop(); }

void workers::go() {
  for (const process& one : all_) write_byte(one.to);
}

double workers::stop() {
  for (const process& one : all_) ::close(one.to);
  double cpu_s = 0;
  for (const process& one : std::exchange(all_, {})) {
    int how = 0;
    rusage used{};
    if (::wait4(one.id, &how, 0, &used) != one.id || how != 0) fail("a worker process failed");
    ::close(one.from);
    for (const timeval& t : {used.ru_utime, used.ru_stime})
      cpu_s += static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  }
  return cpu_s;
}

void workers::kill() {
  for (const process& one : std::exchange(all_, {})) {
    ::kill(one.id, SIGKILL);
    ::waitpid(one.id, nullptr, 0);
    ::close(one.to);
    ::close(one.from);
  }
}

double workers::resident_mb() const {
  double sum = 0;
  for (const process& one : all_) sum += resident_mb_of(one.id);
  return sum;
}

int serve(const std::string& journal, int slots, const std::string& marks_at) {
  worker_options options;
  options.max_runs = slots;
  options.concurrency = std::min(slots, steps_at_once);
  worker working(open(journal), options);
  working.serve(no_op, end_at_once);
  std::optional<marks> noted;
  if (!marks_at.empty()) {
    noting = &noted.emplace(marks_at);
    working.serve(sleeper, sleep_and_stay);
    working.serve(listener, hear_signals);
    working.serve(do_nothing, [&noted](const work& what) {
      noted->note(mark_of(what.run, what.step));
      return what;
    });
    working.serve(ten_steps, run_ten_steps);
  }
  write_byte(STDOUT_FILENO);
  if (!read_byte(STDIN_FILENO)) return 0;
  std::thread stopper([&] {
    while (read_byte(STDIN_FILENO)) {
    }
    working.stop();
  });
  working.run();
  stopper.join();
  return 0;
}

}  // namespace fermata::bench
