// SPDX-License-Identifier: Apache-2.0
// Steps that end when $PLACE has a file with their name, and say in $PLACE/log what they are at.
#include <fermata/fermata.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace std::chrono_literals;

constexpr fermata::step<std::string(std::string)> listen{"listen"}, insist{"insist"};
constexpr fermata::workflow<std::string(std::string)> listen_twice{"listen_twice"};
constexpr fermata::workflow<std::string(std::string)> insist_once{"insist_once"};
constexpr fermata::workflow<std::string(std::string)> doze{"doze"};

namespace {

std::filesystem::path place() {
  const char* folder = std::getenv("PLACE");
  return folder != nullptr ? folder : ".";
}

void say(const std::string& what) { std::ofstream(place() / "log", std::ios::app) << what + "\n"; }

bool may_end(const std::string& name) { return std::filesystem::exists(place() / name); }

/// Ends early when it is told to stop.
std::string listening(const std::string& name, fermata::step_context& attempt) {
  say("begin " + name);
  while (!may_end(name)) {
    if (attempt.stop_token().stop_requested()) say("stop " + name);
    attempt.heartbeat();
    std::this_thread::sleep_for(10ms);
  }
  say("end " + name);
  return name;
}

/// Doesn't hear that it should stop.
std::string insisting(const std::string& name) {
  say("begin " + name);
  while (!may_end(name)) std::this_thread::sleep_for(10ms);
  say("end " + name);
  return name;
}

fermata::task<std::string> run_listen_twice(fermata::context& ctx, std::string name) {
  std::string one = co_await ctx.call(listen, name + "1");
  std::string two = co_await ctx.call(listen, name + "2");
  co_return one + two;
}

fermata::task<std::string> run_insist(fermata::context& ctx, std::string name) {
  std::string one = co_await ctx.call(insist, name);
  co_return one;
}

fermata::task<std::string> run_doze(fermata::context& ctx, std::string name) {
  co_await ctx.sleep(2s);
  co_return name;
}

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(listen, listening);
  worker.serve(insist, insisting);
  worker.serve(listen_twice, run_listen_twice);
  worker.serve(insist_once, run_insist);
  worker.serve(doze, run_doze);
  return fermata::main(worker, argc, argv);
}
