// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/lock.hpp"
#include "engine/store/status.hpp"
#include "tests/unit/engine/sqlite/place.hpp"

#include <csignal>

namespace fermata::conformance {
namespace {

using sqlite::lock_file;
using sqlite::sqlite_lock;

TEST_CASE(
    "who waits for the lock too long names the process that holds it, and that it is stopped") {
  place here;
  baton held;
  const pid_t holder = in_child([&] {
    sqlite_lock lock(here.file());
    held.pass();
    raise(SIGSTOP);
    return lock.status().ok() ? 0 : 1;
  });
  held.take();
  int status = 0;
  waitpid(holder, &status, WUNTRACED);

  std::string said;
  lock_file mine(here.file(), [&](std::string_view sentence) { said = sentence; }, {20, 60});
  const absl::Status waited = mine.acquire();
  const std::string pid = std::to_string(holder);
  kill(holder, SIGCONT);

  CHECK(waited.code() == absl::StatusCode::kUnavailable);
  CHECK(fer_code_of(waited) == "FER-2102");
  CHECK(std::string(waited.message()).find("process " + pid) != std::string::npos);
  CHECK(said.find("process " + pid) != std::string::npos);
  CHECK(said.find("stopped") != std::string::npos);
  CHECK(await(holder) == 0);
  CHECK(mine.acquire().ok());
  mine.release();
}

TEST_CASE("a killed holder lets go of the lock") {
  place here;
  baton held;
  const pid_t holder = in_child([&] {
    sqlite_lock lock(here.file());
    held.pass();
    pause();
    return 0;
  });
  held.take();
  kill(holder, SIGKILL);
  await(holder);

  sqlite_lock mine(here.file());
  CHECK(mine.status().ok());
}

TEST_CASE("a program that was started while the lock was held doesn't keep it") {
  place here;
  baton started;
  pid_t program = 0;
  {
    sqlite_lock lock(here.file());
    REQUIRE(lock.status().ok());
    program = fork();
    if (program == 0) {
      execl("/bin/sleep", "sleep", "60", nullptr);
      _exit(1);
    }
    // Until it runs the other program, it has the lock as we do.
    while (std::filesystem::read_symlink("/proc/" + std::to_string(program) + "/exe").filename() ==
           std::filesystem::read_symlink("/proc/self/exe").filename())
      usleep(200);
  }
  lock_file other(here.file(), [](std::string_view) {}, {1'000, 1'000});
  CHECK(other.acquire().ok());
  other.release();
  kill(program, SIGKILL);
  await(program);
}

TEST_CASE("a busy holder lets those who wait have their turn") {
  place here;
  baton go;
  const pid_t waiter = in_child([&] {
    lock_file lock(here.file());
    go.take();
    for (int i = 0; i < 50; ++i) {
      if (!lock.acquire().ok()) return 1;
      lock.release();
    }
    return 0;
  });
  lock_file busy(here.file());
  REQUIRE(busy.acquire().ok());
  go.pass();
  busy.release();
  // Ends only when the waiter got its fifty turns between ours.
  int status = 0;
  while (waitpid(waiter, &status, WNOHANG) == 0) {
    REQUIRE(busy.acquire().ok());
    busy.release();
  }
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace fermata::conformance
