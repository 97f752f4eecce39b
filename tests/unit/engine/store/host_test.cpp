// SPDX-License-Identifier: Apache-2.0
// What the processes of one host share: files and locks that can't be had, and who is who.
#include "engine/store/host/file.hpp"
#include "engine/store/host/process.hpp"
#include "engine/store/host/slots.hpp"
#include "engine/store/failure.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

namespace fermata::engine::host {
namespace {

class folder {
 public:
  folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "fermata-host-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  std::string file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

template <class Work>
absl::Status failure_of(Work&& work) {
  try {
    work();
  } catch (const store_failure& failed) {
    return failed.status;
  }
  return absl::OkStatus();
}

TEST_CASE("a file that can't be opened, synced or mapped is told with its path and why") {
  const folder here;
  const std::string missing = here.file("no/such");
  for (const absl::Status& told : {failure_of([&] { file one(missing); }),
                                   failure_of([&] { make_durable(missing); }), failure_of([&] {
                                     const file device("/dev/full");  // has no page to give
                                     const shared_page page(device, "/dev/full");
                                   })}) {
    CAPTURE(told.ToString());
    CHECK(told.code() == absl::StatusCode::kUnavailable);
    CHECK(fer_code_of(told) == "FER-2002");
    CHECK(std::string(told.message()).find(": can't ") != std::string::npos);
  }
}

TEST_CASE("a lock belongs to its object, and goes on with it when it moves") {
  const folder here;
  file first(here.file("lock"));
  const file second(here.file("lock"));
  REQUIRE(first.try_lock(7));
  CHECK_FALSE(second.try_lock(7));

  file moved;
  CHECK_FALSE(moved.open());
  moved = std::move(first);

  CHECK(moved.open());
  CHECK(second.locked_by_other(7));
  CHECK_FALSE(second.locked_by_other(8));
  moved.unlock(7);
  CHECK(second.try_lock(7));
}

TEST_CASE("a slot is free when nobody has it, and none is left when all have been used") {
  const folder here;
  worker_slots mine(here.file("journal"));
  worker_slots others(here.file("journal"));
  const int slot = mine.take({});
  CHECK(others.take({}) != slot);
  CHECK(others.take({0, 1, 2}) == 3);
  CHECK_FALSE(others.abandoned(slot));
  CHECK(others.any_held());

  mine.give_back(slot);
  mine.give_back(slot);  // nothing is there to give

  CHECK(others.abandoned(slot));
  std::set<int> all;
  for (int i = 0; i < 4'096; ++i) all.insert(i);
  const absl::Status told = failure_of([&] { mine.take(all); });
  CHECK(told.code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a process is told by name while it is the one that was meant") {
  const std::uint64_t started = start_time_of(getpid());
  CHECK(started != 0);
  CHECK(start_time_of(0) == 0);
  const std::string me = std::to_string(getpid());

  CHECK(
      describe_process(getpid(), started).find("process " + me + " (unit_store), which is alive") ==
      0);
  CHECK(describe_process(getpid(), started + 1) == "process " + me + ", which has ended");
  CHECK(describe_process(0, 0) == "a process that hasn't said who it is");
  const folder here;
  CHECK(describe_users(here.file("journal")) == "nobody is seen to have it open");
  CHECK(boot_id().size() == 36);
}

}  // namespace
}  // namespace fermata::engine::host
