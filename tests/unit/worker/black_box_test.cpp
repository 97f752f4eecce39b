// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/unit/worker/crash_child.hpp"
#include "worker/runtime/black_box.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using fermata::engine::run_id;
using fermata::runtime::black_box;
using fermata::test::crash_child;
using fermata::test::fresh_folder;

namespace {

run_id run_of(std::uint8_t seed) {
  run_id id;
  id.bytes.fill(seed);
  return id;
}

/// The entry of the thread that died; a default one when there is none.
black_box::entry blamed(const std::vector<black_box::entry>& all) {
  for (const black_box::entry& one : all)
    if (one.signal != 0) return one;
  return {};
}

}  // namespace

TEST_CASE("what is going on is read back, what was left isn't") {
  const fresh_folder folder;
  const std::string path = folder.file("box");
  const auto box = black_box::open(path, "wrk_one", 4);

  const int kept = box->enter(run_of(1), "3.2", "charge_card", 2, true);
  const int left = box->enter(run_of(2), "7", "ship", 1, false);
  box->leave(left);
  box->mark_runaway(kept);

  std::string worker;
  const auto found = black_box::read(path, &worker);
  REQUIRE(found.size() == 1);
  CHECK(worker == "wrk_one");
  CHECK(found[0].run == run_of(1));
  CHECK(found[0].operation == "3.2");
  CHECK(found[0].step == "charge_card");
  CHECK(found[0].attempt == 2);
  CHECK(found[0].alone);
  CHECK(found[0].since > 0);
  CHECK(found[0].signal == 0);
  CHECK(found[0].runaway);
}

TEST_CASE("a full box refuses with -1, and a place that was left is used again") {
  const fresh_folder folder;
  const auto box = black_box::open(folder.file("box"), "wrk", 2);

  const int first = box->enter(run_of(1), "1", "a", 1, false);
  const int second = box->enter(run_of(2), "1", "a", 1, false);
  const int third = box->enter(run_of(3), "1", "a", 1, false);
  box->leave(third);
  box->leave(first);
  const int fourth = box->enter(run_of(4), "1", "a", 1, false);

  CHECK(first != second);
  CHECK(third == -1);
  CHECK(fourth == first);
}

TEST_CASE("long names are cut where a character ends") {
  const fresh_folder folder;
  const std::string path = folder.file("box");
  const auto box = black_box::open(path, std::string(100, 'w'), 2);

  box->enter(run_of(1), std::string(100, '1'), std::string(126, 's') + "éé", 1, false);

  std::string worker;
  const auto found = black_box::read(path, &worker);
  REQUIRE(found.size() == 1);
  CHECK(found[0].operation == std::string(63, '1'));
  CHECK(found[0].step == std::string(126, 's'));
  CHECK(worker == std::string(39, 'w'));
}

TEST_CASE("a box opened over another begins empty") {
  const fresh_folder folder;
  const std::string path = folder.file("box");
  auto old = black_box::open(path, "wrk_old", 2);
  old->enter(run_of(1), "1", "a", 1, false);

  const auto box = black_box::open(path, "wrk_new", 2);
  old->enter(run_of(2), "1", "a", 1, false);

  std::string worker;
  CHECK(black_box::read(path, &worker).empty());
  CHECK(worker == "wrk_new");
}

TEST_CASE("no file, a foreign file and half a file are read as nothing") {
  const fresh_folder folder;
  const std::string path = folder.file("box");

  CHECK(black_box::read(folder.file("none")).empty());

  std::ofstream(path) << std::string(10'000, 'x');
  CHECK(black_box::read(path).empty());

  black_box::open(path, "wrk", 4)->enter(run_of(1), "1", "a", 1, false);
  CHECK(black_box::read(path).size() == 1);
  std::filesystem::resize_file(path, 1000);
  CHECK(black_box::read(path).empty());

  black_box::remove(path);
  CHECK(!std::filesystem::exists(path));
}

TEST_CASE("a box that can't be made says why") {
  CHECK_THROWS_AS(black_box::open("/no/such/folder/box", "wrk", 4), std::system_error);
}

TEST_CASE("readers beside writers see whole entries only") {
  const fresh_folder folder;
  const std::string path = folder.file("box");
  const auto box = black_box::open(path, "wrk", 8);
  std::atomic<bool> stop = false;
  std::vector<std::thread> writers;
  for (std::uint8_t n = 1; n <= 3; ++n)
    writers.emplace_back([&, n] {
      while (!stop) box->leave(box->enter(run_of(n), std::string(n * 10u, 'o'), "s", n, false));
    });

  for (int i = 0; i < 300; ++i)
    for (const black_box::entry& one : black_box::read(path)) {
      REQUIRE(one.run == run_of(static_cast<std::uint8_t>(one.attempt)));
      REQUIRE(one.operation == std::string(static_cast<std::size_t>(one.attempt) * 10, 'o'));
    }

  stop = true;
  for (std::thread& one : writers) one.join();
}

TEST_CASE("a crash is attributed to the thread that died, with its backtrace") {
  for (const auto& [how, signal] : {std::pair{"segv", SIGSEGV}, std::pair{"abort", SIGABRT},
                                    std::pair{"overflow", SIGSEGV}, std::pair{"throw", SIGABRT}}) {
    CAPTURE(how);
    const fresh_folder folder;
    const std::string path = folder.file("box");

    const int status = crash_child(how, path);

    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
    const auto found = black_box::read(path);
    REQUIRE(found.size() == 2);  // the innocent one stands beside it
    const black_box::entry dead = blamed(found);
    CHECK(dead.signal == signal);
    CHECK(dead.step == "poison");
    CHECK(dead.operation == "4");
    CHECK(dead.backtrace.find("+0x") != std::string::npos);
    CHECK(dead.backtrace.starts_with("fault at address 0x") == (signal == SIGSEGV));
    CHECK(dead.backtrace.size() <= 2048);
    CHECK(dead.backtrace.ends_with("\n"));
  }
}

TEST_CASE("a process that was killed leaves what it was doing, without a signal") {
  const fresh_folder folder;
  const std::string path = folder.file("box");

  const int status = crash_child("kill", path);

  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  const auto found = black_box::read(path);
  CHECK(found.size() == 2);
  CHECK(blamed(found).signal == 0);
}

TEST_CASE("a crash of a thread that executes nothing blames nobody") {
  const fresh_folder folder;
  const std::string path = folder.file("box");

  const int status = crash_child("bystander", path);

  CHECK(WIFSIGNALED(status));
  CHECK(black_box::read(path).size() == 2);
  CHECK(blamed(black_box::read(path)).signal == 0);
}

TEST_CASE("a crash in a forked child blames nothing of its parent") {
  const fresh_folder folder;
  const std::string path = folder.file("box");

  const int status = crash_child("fork", path);

  CHECK(WIFEXITED(status));
  CHECK(blamed(black_box::read(path)).signal == 0);
}
