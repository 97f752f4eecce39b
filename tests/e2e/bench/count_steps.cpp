// SPDX-License-Identifier: Apache-2.0
// count_steps RUNS [FOLDER]: executes so many runs of ten steps, one after the other, and prints what
// was allocated for a step of them, as JSON. In memory, on one thread, so that a profiler counts the
// same each time; with FOLDER by a real worker on a new SQLite journal there.
#include <fermata/fermata.hpp>
#include <fermata/testing.hpp>

#include <sqlite3.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

namespace {

std::atomic<std::uint64_t> ours{0}, of_sqlite{0};

}  // namespace

// All other forms call this one.
void* operator new(std::size_t size) {
  ours.fetch_add(1, std::memory_order_relaxed);
  if (void* found = std::malloc(size == 0 ? 1 : size)) return found;
  throw std::bad_alloc();
}
void operator delete(void* what) noexcept { std::free(what); }
void operator delete(void* what, std::size_t) noexcept { std::free(what); }

namespace {

using fermata::client;
using fermata::context;
using fermata::task;
using fermata::worker;

constexpr int steps_per_run = 10;
constexpr int warm_up = 20;  // runs: caches are filled, statements prepared

constexpr fermata::step<std::string(std::string)> do_nothing{"do_nothing"};
constexpr fermata::workflow<std::string(std::string)> ten_steps{"ten_steps"};

task<std::string> run_ten_steps(context& ctx, std::string input) {
  for (int i = 0; i < steps_per_run; ++i) input = co_await ctx.call(do_nothing, input);
  co_return input;
}

void serve(worker& by) {
  by.serve(do_nothing, [](const std::string& what) { return what; });
  by.serve(ten_steps, run_ten_steps);
}

void count(client& by, int runs) {
  const std::string input(118, 'x');  // 120 bytes of JSON
  for (int i = 0; i < warm_up; ++i) (void)by.start(ten_steps, input).result();
  const std::uint64_t ours_before = ours, sqlite_before = of_sqlite;
  for (int i = 0; i < runs; ++i) (void)by.start(ten_steps, input).result();
  const auto a_step = [runs](std::uint64_t sum) {
    return static_cast<double>(sum) / runs / steps_per_run;
  };
  std::printf("{\"allocations_per_step\":%.2f,\"sqlite_allocations_per_step\":%.2f}\n",
              a_step(ours - ours_before), a_step(of_sqlite - sqlite_before));
}

sqlite3_mem_methods real;

void* count_and_allocate(int size) {
  of_sqlite.fetch_add(1, std::memory_order_relaxed);
  return real.xMalloc(size);
}
void* count_and_resize(void* what, int size) {
  of_sqlite.fetch_add(1, std::memory_order_relaxed);
  return real.xRealloc(what, size);
}

void count_those_of_sqlite() {
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real);
  sqlite3_mem_methods counted = real;
  counted.xMalloc = count_and_allocate;
  counted.xRealloc = count_and_resize;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &counted);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int runs = std::atoi(argv[1]);
  if (argc == 2) {
    fermata::testing::kit world;
    serve(world.worker);
    count(world.client, runs);
    return 0;
  }
  count_those_of_sqlite();
  const fermata::journal journal = fermata::open(std::string("sqlite:") + argv[2] + "/counted.db");
  worker works(journal);
  serve(works);
  std::thread working([&works] { works.run(); });
  client asks(journal);
  count(asks, runs);
  works.stop();
  working.join();
}
