// SPDX-License-Identifier: Apache-2.0
// A step that takes its process down. Its run is quarantined and explained; the others go on.
#include <fermata/fermata.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

constexpr const char* journal_address = "sqlite:crash_me.db";

constexpr fermata::step<std::string(std::string)> decode_picture{"decode_picture"};
constexpr fermata::workflow<std::string(std::string)> make_thumbnail{"make_thumbnail"};

fermata::task<std::string> shrink(fermata::context& ctx, std::string picture) {
  std::string pixels = co_await ctx.call(decode_picture, picture);
  co_return "a thumbnail of " + pixels;
}

/// Stands for a library that was never meant for files from strangers.
std::string decode(const std::string& picture) {
  if (picture == "broken.png") std::raise(SIGSEGV);
  return picture;
}

/// The same program is the worker: `crash_me --journal …`.
int work(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(decode_picture, decode);
  worker.serve(make_thumbnail, shrink);
  return fermata::main(worker, argc, argv);
}

pid_t start_worker() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/proc/self/exe", "crash_me", "--journal", journal_address, "--log-level", "error",
            nullptr);
    ::_exit(127);
  }
  return child;
}

/// It has ended, or it waits for a person.
bool settled(const fermata::run<std::string>& run) {
  const fermata::run_info now = run.describe();
  return now.ended_at || now.attention != fermata::attention::none;
}

/// What systemd, or whoever starts your worker again, does.
void keep_a_worker_alive_until_settled(const std::vector<fermata::run<std::string>>& runs) {
  pid_t worker = start_worker();
  while (!std::ranges::all_of(runs, settled)) {
    std::this_thread::sleep_for(20ms);
    int status = 0;
    if (::waitpid(worker, &status, WNOHANG) == 0) continue;
    if (!WIFSIGNALED(status)) throw std::runtime_error("the worker couldn't work");
    std::cout << "the worker is gone: " << ::strsignal(WTERMSIG(status)) << "\n";
    worker = start_worker();
  }
  ::kill(worker, SIGTERM);
  ::waitpid(worker, nullptr, 0);
}

void tell(const fermata::run<std::string>& run) {
  const fermata::run_info info = run.describe();
  if (info.attention == fermata::attention::none) {
    std::cout << info.key << ": " << run.result() << "\n";
    return;
  }
  // The report goes on with the command that sets the run going again.
  const std::string report = info.error.substr(0, info.error.find(';'));
  std::cout << info.key << ": " << text_of(info.attention) << ", " << report << "\n";
}

int main(int argc, char** argv) {
  if (argc > 1) return work(argc, argv);

  fermata::client client{fermata::open(journal_address)};
  std::vector<fermata::run<std::string>> runs;
  for (const char* picture : {"cat.png", "broken.png", "dog.png", "bird.png"})
    runs.push_back(client.start(make_thumbnail, picture, {.key = picture}));

  keep_a_worker_alive_until_settled(runs);
  for (const auto& run : runs) tell(run);
}
