// SPDX-License-Identifier: Apache-2.0
// Workflow code that holds up its worker. $PLACE/mended stands for the new version that doesn't.
#include <fermata/fermata.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

using namespace std::chrono_literals;

constexpr fermata::step<int(int)> add_one{"add_one"};
constexpr fermata::workflow<int(int)> plain{"plain"};
constexpr fermata::workflow<int(int)> spins{"spins"};
constexpr fermata::workflow<int(int)> thinks{"thinks"};
constexpr fermata::workflow<int(int)> talks{"talks"};
constexpr fermata::signal<bool> go_on{"go_on"};

namespace {

bool is_mended() {
  const char* place = std::getenv("PLACE");
  return std::filesystem::exists(std::filesystem::path(place != nullptr ? place : ".") / "mended");
}

fermata::task<int> run_plain(fermata::context& ctx, int n) {
  co_return co_await ctx.call(add_one, n);
}

fermata::task<int> run_spins(fermata::context& ctx, int n) {
  int more = co_await ctx.call(add_one, n);  // it spins after this
  while (!is_mended()) {
  }
  co_return more;
}

/// Never for long, but its replay takes as long as all of it.
fermata::task<int> run_thinks(fermata::context& ctx, int n) {
  for (int i = 0; i < 8; ++i) {
    n = co_await ctx.call(add_one, n);
    const auto until = std::chrono::steady_clock::now() + 400ms;
    while (std::chrono::steady_clock::now() < until) {
    }
  }
  bool on = co_await ctx.receive(go_on);
  co_return on ? n : 0;
}

/// More than fits into a pipe that nobody reads: then the loop hangs in a write.
fermata::task<int> run_talks(fermata::context& ctx, int n) {
  for (int i = 0; i < 500; ++i) ctx.log(fermata::level::info, std::string(1000, 'x'));
  co_return co_await ctx.call(add_one, n);
}

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(add_one, [](int n) { return n + 1; });
  worker.serve(plain, run_plain);
  worker.serve(spins, run_spins);
  worker.serve(thinks, run_thinks);
  worker.serve(talks, run_talks);
  return fermata::main(worker, argc, argv);
}
