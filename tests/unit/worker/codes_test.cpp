// SPDX-License-Identifier: Apache-2.0
// Errors that only a whole worker or a full journal meets, by their codes.
#include "engine/limits.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "src/journal_impl.hpp"
#include "worker/log.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace fermata;

constexpr step<int(int)> hold_on{"hold_on"};
constexpr workflow<int(int)> flow{"flow"};
constexpr fermata::signal<int> number{"number"};

struct shelf {};
constexpr database<shelf> shelf_db{"shelf"};
constexpr step<int(int)> put_on_shelf{"put_on_shelf"};

task<int> hold(context& ctx, int n) {
  int held = co_await ctx.call(hold_on, n);
  co_return held;
}

template <class Body>
std::string code_of(Body body) {
  try {
    body();
  } catch (const error& why) {
    return why.code();
  }
  return "none";
}

/// As another worker does that has found this one dead.
void declare_dead(const fermata::journal& where) {
  auto& store = dynamic_cast<engine::memory_store&>(detail::inside(where).store());
  const auto workers = store.workers();
  REQUIRE(workers.ok());
  REQUIRE(workers->size() == 1);
  const auto rescuer = store.register_worker({});
  REQUIRE(rescuer.ok());
  store.kill_worker(workers->front().row);
  CHECK(store.rescue(rescuer->row)->size() == 1);
  CHECK(store.leave(rescuer->row).ok());
}

bool has(const std::vector<std::string>& lines, std::string_view part) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("FER-3002: a worker whose runs were taken goes on under a new id, and they end once") {
  const detail::captured_log log;
  const fermata::journal journal = open("memory:");
  fermata::worker worker(journal);
  std::promise<void> begun;
  std::promise<void> declared;
  std::shared_future<void> go = declared.get_future().share();
  std::atomic<int> attempts = 0;
  worker.serve(hold_on, [&](int n, step_context&) {
    if (++attempts == 1) begun.set_value();
    go.wait();
    return n + 1;
  });
  worker.serve(flow, hold);
  std::jthread working([&] { worker.run(); });

  auto run = client(journal).start(flow, 5);
  begun.get_future().wait();
  declare_dead(journal);
  declared.set_value();

  CHECK(run.result() == 6);
  CHECK(attempts == 2);
  CHECK(has(log.lines(), "it goes on under a new id [FER-3002]"));
  CHECK(run.describe().events == 3);
  worker.stop();
  working.join();
}

TEST_CASE("FER-3003: a worker that isn't connected to a database of its steps doesn't begin") {
  fermata::worker worker(open("memory:"));
  worker.serve(put_on_shelf, shelf_db, [](shelf&, int n) { return n; });

  CHECK(code_of([&] { worker.run(); }) == "FER-3003");
}

TEST_CASE("FER-1402: the signal after ten thousand unread ones is refused, a cancel isn't") {
  const fermata::journal journal = open("memory:");
  auto run = client(journal).start(flow, 5);

  for (std::size_t i = 0; i < engine::limits::inbox_per_chain; ++i)
    run.signal(number, static_cast<int>(i));

  CHECK(code_of([&] { run.signal(number, 1); }) == "FER-1402");
  CHECK(code_of([&] { run.cancel(); }) == "none");
}
