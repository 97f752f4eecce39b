// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine/sqlite/place.hpp"

#include <chrono>

namespace fermata::conformance {
namespace {

using std::chrono::steady_clock;

constexpr std::int64_t long_wait_us = 20'000'000;

bool returned_early(steady_clock::time_point began) {
  return steady_clock::now() - began < std::chrono::microseconds(long_wait_us / 2);
}

start_item an_item() {
  start_item item;
  item.request.run = run_id::of(ulid::make(1'700'000'000'000'000, {1, 2, 3}));
  item.request.seed = std::string(16, 's');
  item.request.workflow = "pay";
  item.input_digest = std::string(16, 'd');
  return item;
}

TEST_CASE("a commit of another process ends a wait") {
  place here;
  baton waiting;
  REQUIRE(open_store(here.address()).ok());
  const pid_t starter = in_child([&] {
    waiting.take();
    auto journal = open_store(here.address());
    batch start;
    start.starts.push_back(an_item());
    return journal.ok() && (*journal)->commit(std::move(start)).ok() ? 0 : 1;
  });

  auto journal = *open_store(here.address());
  const std::uint32_t seen = journal->wake_count();
  const auto began = steady_clock::now();
  waiting.pass();
  journal->wait(seen, long_wait_us);

  CHECK(returned_early(began));
  CHECK(journal->wake_count() != seen);
  CHECK(await(starter) == 0);
}

TEST_CASE("a commit of a program that doesn't know our files ends a wait") {
  place here;
  baton waiting;
  REQUIRE(open_store(here.address()).ok());
  // Before the watcher's thread begins: what that holds would stay locked in the child for ever.
  const pid_t program = in_child([&] {
    waiting.take();
    foreign other(here.file());
    other.run("CREATE TABLE IF NOT EXISTS users(id INTEGER)");
    for (;;) {  // the watcher may not be there yet
      other.run("INSERT INTO users VALUES (1)");
      usleep(5'000);
    }
    return 0;
  });

  auto journal = *open_store(here.address());
  const std::uint32_t seen = journal->wake_count();
  const auto began = steady_clock::now();
  waiting.pass();
  journal->wait(seen, long_wait_us);

  CHECK(journal->wake_count() != seen);
  CHECK(returned_early(began));
  kill(program, SIGKILL);
  await(program);
}

TEST_CASE("a foreign commit right beside commits of ours ends a wait, too") {
  place here;
  auto journal = *open_store(here.address());
  const auto me = journal->register_worker({.host = "here", .build = "build-1"});
  REQUIRE(me.ok());
  foreign other(here.file());
  REQUIRE(other.run("CREATE TABLE users(id INTEGER)").empty());
  const auto ours = [&] {  // which concerns nobody else
    return journal->put_serving(me->row, {{.kind = "step", .name = "pay", .worker = me->id}}).ok();
  };
  journal->wait(journal->wake_count(), 1'000);  // begins to watch

  for (int round = 0; round < 20; ++round) {
    for (int quiet = 0; quiet < 3;) {  // what was before has been told of
      const std::uint32_t now = journal->wake_count();
      journal->wait(now, 50'000);
      quiet = journal->wake_count() == now ? quiet + 1 : 0;
    }
    REQUIRE(ours());
    const std::uint32_t seen = journal->wake_count();
    const auto began = steady_clock::now();
    REQUIRE(other.run("INSERT INTO users VALUES (1)").empty());
    if (round % 2 == 0) REQUIRE(ours());

    journal->wait(seen, long_wait_us);

    CHECK(journal->wake_count() != seen);
    CHECK(returned_early(began));
  }
}

TEST_CASE("an interrupt that comes before the wait isn't lost") {
  place here;
  auto journal = *open_store(here.address());
  const std::uint32_t seen = journal->wake_count();
  journal->interrupt();

  const auto began = steady_clock::now();
  journal->wait(seen, long_wait_us);

  CHECK(returned_early(began));
}

}  // namespace
}  // namespace fermata::conformance
