// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "worker/runtime/step_pool.hpp"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

using fermata::runtime::step_pool;

namespace {

std::vector<step_pool::task> times(std::size_t count, const step_pool::task& what) {
  return std::vector<step_pool::task>(count, what);
}

std::string name_of_this_thread() {
  char name[32] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

}  // namespace

// What tasks refer to stands before the pool, whose end waits for them.

TEST_CASE("every task is executed once") {
  std::atomic<int> executed = 0;
  std::latch all(4000);
  step_pool pool(4);

  for (int round = 0; round < 1000; ++round)
    pool.submit(times(4, [&] {
      ++executed;
      all.count_down();
    }));
  all.wait();

  CHECK(executed == 4000);
}

TEST_CASE("as many tasks wait for one another as there are threads") {
  std::latch all(17);
  step_pool pool(16);

  pool.submit(times(8, [&] { all.arrive_and_wait(); }));
  pool.submit(times(8, [&] { all.arrive_and_wait(); }));

  all.arrive_and_wait();
  CHECK(pool.threads() == 16);
}

TEST_CASE("threads bear the pool's name") {
  std::string name;
  std::latch done(1);
  step_pool pool(1);

  pool.submit(times(1, [&] {
    name = name_of_this_thread();
    done.count_down();
  }));
  done.wait();

  CHECK(name == "fermata-step-1");
}

TEST_CASE("one task at a time needs one thread only") {
  std::set<std::string> names;
  step_pool pool(8);

  for (int round = 0; round < 100; ++round) {
    const auto done = std::make_shared<std::latch>(1);
    pool.submit(times(1, [&names, done] {
      names.insert(name_of_this_thread());
      done->count_down();
    }));
    done->wait();
  }

  // A second one is started when work comes before the first has lain down.
  CHECK(names.size() <= 4);
}

TEST_CASE("the pool's end waits for what runs") {
  std::atomic<bool> finished = false;
  std::latch begun(1);
  std::latch may_end(1);
  auto pool = std::make_unique<step_pool>(1);
  pool->submit(times(1, [&] {
    begun.count_down();
    may_end.wait();
    finished = true;
  }));
  begun.wait();

  std::thread releases([&] { may_end.count_down(); });
  pool.reset();

  CHECK(finished);
  releases.join();
}

TEST_CASE("another thread takes the place of an abandoned one, which nobody waits for") {
  auto begun = std::make_shared<std::latch>(2);
  auto may_end = std::make_shared<std::latch>(1);
  auto ended = std::make_shared<std::latch>(2);
  {
    std::latch done(3);
    step_pool pool(2);
    pool.submit(times(2, [=] {
      begun->count_down();
      may_end->wait();
      ended->count_down();
    }));
    begun->wait();

    pool.abandon_running();
    pool.submit(times(2, [&] { done.arrive_and_wait(); }));

    done.arrive_and_wait();
  }
  may_end->count_down();
  ended->wait();
}

TEST_CASE("handing over a task that does nothing costs little when many are queued") {
  constexpr int rounds = 2000;
  constexpr std::size_t at_once = 64;
  std::atomic<std::size_t> executed = 0;
  step_pool pool(at_once);
  const auto began = std::chrono::steady_clock::now();

  for (std::size_t round = 1; round <= rounds; ++round) {
    const std::size_t goal = round * at_once;
    pool.submit(times(at_once, [&executed, goal] {
      if (executed.fetch_add(1) + 1 == goal) executed.notify_all();
    }));
    for (std::size_t seen = executed; seen != goal; seen = executed) executed.wait(seen);
  }

  const auto took =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began);
  // 0.5 at -O1 on two busy cores; the bound is for sanitizers, bench/ measures.
  MESSAGE("a task took " << took.count() / (rounds * at_once) << " µs");
  CHECK(took.count() / (rounds * at_once) < 100);
}
