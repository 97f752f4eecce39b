// SPDX-License-Identifier: Apache-2.0
// Workers on threads of their own that carry out each other's steps, on one journal.
#include <doctest/doctest.h>

#include <fermata/fermata.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr fermata::step<int(int)> far_off{"far_off", {.queue = "far"}};
constexpr fermata::step<int(int)> near_by{"near_by"};
constexpr fermata::workflow<int(int)> there_and_back{"there_and_back"};
constexpr fermata::workflow<int(int)> only_there{"only_there"};

fermata::task<int> go_there_and_back(fermata::context& ctx, int n) {
  int there = co_await ctx.call(far_off, n);
  int back = co_await ctx.call(near_by, there);
  co_return back;
}

fermata::task<int> go_there(fermata::context& ctx, int n) {
  int there = co_await ctx.call(far_off, n);
  co_return there;
}

class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "fermata_queues_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() { std::filesystem::remove_all(path_); }
  folder(const folder&) = delete;
  std::string address() const { return "sqlite:" + (path_ / "journal.db").string(); }

 private:
  std::filesystem::path path_;
};

/// A worker with a handle of its own on the journal, as another process has it.
struct employee {
  employee(const folder& where, fermata::worker_options options)
      : worker(fermata::open(where.address()), std::move(options)) {}
  void begin() {
    thread = std::thread([this] { worker.run(); });
  }
  ~employee() {
    worker.stop();
    if (thread.joinable()) thread.join();
  }
  fermata::worker worker;
  std::thread thread;
};

}  // namespace

TEST_CASE("two workers carry out each other's steps; one of them has no workflow") {
  const folder here;
  std::atomic<int> at_once = 0, most = 0;
  fermata::client client{fermata::open(here.address())};
  employee films(here, {});
  films.worker.serve(near_by, [](int n) { return n + 1; });
  films.worker.serve(there_and_back, go_there_and_back);
  employee far(here, {.queues = {{"far", 3}}});
  far.worker.serve(far_off, [&](int n) {
    const int now = ++at_once;
    for (int seen = most.load(); seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::yield();
    --at_once;
    return 10 * n;
  });
  films.begin();
  far.begin();

  std::vector<fermata::run<int>> runs;
  for (int n = 0; n < 60; ++n) runs.push_back(client.start(there_and_back, n));
  for (int n = 0; n < 60; ++n) CHECK(runs[static_cast<std::size_t>(n)].result(60s) == 10 * n + 1);
  CHECK(most.load() >= 1);
  CHECK(most.load() <= 3);
}

TEST_CASE("a cancelled run stops its step in the other worker") {
  const folder here;
  std::binary_semaphore began{0};
  std::atomic<bool> stopped = false;
  fermata::client client{fermata::open(here.address())};
  employee films(here, {});
  films.worker.serve(only_there, go_there);
  employee far(here, {.queues = {"far"}});
  far.worker.serve(far_off, [&](int, fermata::step_context& s) -> int {
    began.release();
    std::binary_semaphore told{0};
    const std::stop_callback tell(s.stop_token(), [&] { told.release(); });
    stopped = told.try_acquire_for(60s);
    throw fermata::cancelled("stopped", std::string(s.run_id()));
  });
  films.begin();
  far.begin();

  auto run = client.start(only_there, 1);
  began.acquire();
  run.cancel();

  CHECK_THROWS_AS((void)run.result(60s), fermata::cancelled);
  CHECK(stopped.load());
}

TEST_CASE("a worker that stops gives its step back, and another one does it") {
  const folder here;
  std::binary_semaphore began{0};
  std::set<std::string> keys;
  int attempt = 0;
  fermata::client client{fermata::open(here.address())};
  employee films(here, {});
  films.worker.serve(only_there, go_there);
  films.begin();
  {
    employee first(here, {.queues = {"far"}, .drain_grace = 0ms});
    first.worker.serve(far_off, [&](int, fermata::step_context& s) -> int {
      keys.insert(std::string(s.idempotency_key()));
      began.release();
      std::binary_semaphore told{0};
      const std::stop_callback tell(s.stop_token(), [&] { told.release(); });
      (void)told.try_acquire_for(60s);
      throw fermata::failure("interrupted");
    });
    first.begin();
    auto run = client.start(only_there, 7, {.key = "seven"});
    began.acquire();
  }
  employee second(here, {.queues = {"far"}});
  second.worker.serve(far_off, [&](int n, fermata::step_context& s) {
    keys.insert(std::string(s.idempotency_key()));
    attempt = s.attempt();
    return n;
  });
  second.begin();

  CHECK(client.start(only_there, 7, {.key = "seven"}).result(60s) == 7);
  CHECK(attempt == 1);
  CHECK(keys.size() == 1);
}
