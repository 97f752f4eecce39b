// SPDX-License-Identifier: Apache-2.0
// crash_child HOW BOX: dies in the way named while two attempts go on.
#include "worker/runtime/black_box.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <latch>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace {

volatile int* nothing = nullptr;
volatile int depth = 0;

[[gnu::noinline]] int sink_into(volatile char* above) {
  volatile char room[4096];
  room[0] = above[0];
  depth = depth + 1;
  if (depth == 0) return 0;
  return sink_into(room) + room[0];
}

void die(std::string_view how) {
  if (how == "segv") *nothing = 1;
  if (how == "abort") std::abort();
  if (how == "overflow") {
    volatile char top[1] = {0};
    sink_into(top);
  }
  if (how == "throw") throw std::runtime_error("nobody catches this");
  if (how == "kill") raise(SIGKILL);
  if (how == "bystander") std::thread([] { *nothing = 1; }).join();
  if (how == "fork") {
    const pid_t child = fork();
    if (child == 0) *nothing = 1;
    waitpid(child, nullptr, 0);
    _exit(0);
  }
}

}  // namespace

int main(int, char** argv) {
  using fermata::runtime::black_box;
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  black_box::install_handlers();
  const auto box = black_box::open(argv[2], "wrk_child", 8);
  fermata::engine::run_id run;
  run.bytes.fill(7);
  box->enter(run, "1", "innocent", 1, false);
  std::thread([&] {
    black_box::prepare_thread();
    box->enter(run, "4", "poison", 1, false);
    die(argv[1]);
  }).join();
}
