// SPDX-License-Identifier: Apache-2.0
// A worker that is at work is believed alive: its guard renews the lease.
#include "engine/store/store.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <latch>
#include <semaphore>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr fermata::step<int(int)> long_work{"long_work"};
constexpr fermata::workflow<int(int)> works_long{"works_long"};

fermata::task<int> run_works_long(fermata::context& ctx, int n) {
  int done = co_await ctx.call(long_work, n);
  co_return done;
}

}  // namespace

TEST_CASE("a worker that is at work renews its lease") {
  std::string place = (std::filesystem::temp_directory_path() / "fermata_lease_XXXXXX").string();
  REQUIRE(mkdtemp(place.data()) != nullptr);
  const std::string address = "sqlite:" + place + "/journal.db";
  const fermata::journal journal = fermata::open(address);
  std::latch began(1);
  std::binary_semaphore goes_on(0);
  fermata::worker worker{journal};
  worker.serve(works_long, run_works_long);
  worker.serve(long_work, [&](int n) {
    began.count_down();
    goes_on.acquire();
    return n;
  });
  std::thread working([&] { worker.run(); });
  auto run = fermata::client(journal).start(works_long, 7);
  began.wait();
  const auto beside = fermata::engine::open_store(address);
  REQUIRE(beside.ok());
  const auto lease = [&] { return (*beside)->workers()->front().lease_until; };

  const std::int64_t first = lease();
  const auto end = std::chrono::steady_clock::now() + 10s;  // renewed each 5 s
  while (lease() == first && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(20ms);  // tidy: the guard's thread is real

  CHECK(lease() > first);
  goes_on.release();
  CHECK(run.result(20s) == 7);
  worker.stop();
  working.join();
  std::filesystem::remove_all(place);
}
