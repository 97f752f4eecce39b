// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/status.hpp"
#include "src/journal_impl.hpp"
#include "worker/testing/store_decorator.hpp"

#include <doctest/doctest.h>

#include <fermata/fermata.hpp>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace engine = fermata::engine;

namespace {

constexpr fermata::step<int(int)> twice{"twice"};
constexpr fermata::workflow<int(int)> flow{"flow"};

fermata::task<int> call_twice(fermata::context& ctx, int n) {
  co_return co_await ctx.call(twice, n);
}

constexpr fermata::signal<int> go_on{"go_on"};

/// Asks for a step, and for nothing more until it is told to.
fermata::task<int> wait_then_add(fermata::context& ctx, int n) {
  int first = co_await ctx.call(twice, n);
  int second = co_await ctx.receive(go_on);
  co_return first + second;
}
fermata::task<int> ask_otherwise(fermata::context& ctx, int n) {
  int first = co_await ctx.call(twice, n + 1);
  int second = co_await ctx.receive(go_on);
  co_return first + second;
}

std::vector<engine::event> history_of(const fermata::journal& journal, const std::string& run) {
  const engine::run_id id = *engine::run_id::parse(run);
  const auto stored = fermata::detail::inside(journal).store().read_events(id, 1, 100);
  std::vector<engine::event> found;
  if (!stored.ok()) return found;
  for (const engine::encoded_event& one : *stored) found.push_back(*engine::decode(id, one));
  return found;
}

/// Notes the largest commit of a worker; none begins before `opened`.
class weighing_store : public fermata::testing::store_decorator {
 public:
  using store_decorator::store_decorator;
  absl::StatusOr<engine::batch_result> commit(engine::batch&& what) override {
    opened.wait(false);
    if (what.worker != 0) most = std::max(most.load(), engine::bytes_in(what));
    return store_decorator::commit(std::move(what));
  }
  std::atomic<bool> opened = true;
  std::atomic<std::size_t> most = 0;
};

/// Its database goes away as a worker begins.
class leaving_store : public fermata::testing::store_decorator {
 public:
  using store_decorator::store_decorator;
  absl::StatusOr<engine::worker_row> register_worker(const engine::worker_row& who) override {
    if (refuses_workers-- > 0) return away();
    return store_decorator::register_worker(who);
  }
  absl::Status put_serving(std::int64_t worker,
                           const std::vector<engine::serving_row>& rows) override {
    if (refuses_serving-- > 0) return away();
    return store_decorator::put_serving(worker, rows);
  }
  int refuses_workers = 0;
  int refuses_serving = 0;

 private:
  static absl::Status away() {
    return engine::coded(absl::StatusCode::kUnavailable, "FER-2105", "the database isn't there");
  }
};

constexpr fermata::step<std::string(int)> make_much{"make_much"};
constexpr fermata::workflow<std::size_t(int)> much{"much"};

fermata::task<std::size_t> have_much(fermata::context& ctx, int n) {
  std::string made = co_await ctx.call(make_much, n);
  co_return made.size();
}

/// A mebibyte that can't be compressed to much less.
std::string mebibyte(int seed) {
  std::minstd_rand chance(static_cast<unsigned>(seed));
  std::string text(1 << 20, ' ');
  for (char& c : text) c = static_cast<char>(' ' + 2 + chance() % 90);
  for (char& c : text)
    if (c == '"' || c == '\\') c = '#';
  return text;
}

}  // namespace

TEST_CASE("a worker's commit stops at four mebibytes, however much has queued") {
  auto time = std::make_shared<engine::real_clock>();
  auto chance = std::make_shared<engine::real_random>();
  auto store = std::make_shared<weighing_store>(*engine::open_store("memory:"));
  fermata::journal journal{
      std::make_shared<fermata::detail::journal_impl>(store, "default", time, chance)};
  fermata::worker worker{journal};
  constexpr int runs = 24;
  std::atomic<int> made = 0;
  worker.serve(make_much, [&](int n) {
    std::string text = mebibyte(n);
    if (++made == 4) store->opened = false;  // what follows queues
    if (made == runs) {
      store->opened = true;
      store->opened.notify_all();
    }
    return text;
  });
  worker.serve(much, have_much);

  fermata::client client{journal};
  std::vector<int> inputs(runs, 1);
  auto started = client.start_many(much, inputs);
  std::jthread works([&] { worker.run(); });
  for (auto& run : started) CHECK(run.result(60s) == std::size_t{1} << 20);
  worker.stop();

  CHECK(store->most > (std::size_t{1} << 20) / 2);
  CHECK(store->most < std::size_t{5} << 20);
}

TEST_CASE("a worker whose database goes away as it begins waits, and begins when it is back") {
  auto store = std::make_shared<leaving_store>(*engine::open_store("memory:"));
  store->refuses_workers = store->refuses_serving = 2;
  fermata::journal journal{std::make_shared<fermata::detail::journal_impl>(
      store, "default", std::make_shared<engine::real_clock>(),
      std::make_shared<engine::real_random>())};
  fermata::worker worker{journal};
  worker.serve(twice, [](int n) { return 2 * n; });
  worker.serve(flow, call_twice);
  fermata::client client{journal};

  auto run = client.start(flow, 21);
  std::jthread works([&] { worker.run(); });

  CHECK(run.result(60s) == 42);
  int here = 0;
  const auto workers = store->workers();
  REQUIRE(workers.ok());
  for (const engine::worker_row& one : *workers) here += one.gone ? 0 : 1;
  CHECK(here == 1);
  worker.stop();
}

TEST_CASE("what a worker says of its steps holds where neither call nor step says anything") {
  fermata::journal journal = fermata::open("memory:");
  fermata::worker worker{journal, {.steps = {.on_crash = fermata::on_crash::fail}}};
  worker.serve(twice, [](int n) { return 2 * n; });
  worker.serve(flow, call_twice);
  std::jthread works([&] { worker.run(); });

  fermata::client client{journal};
  auto run = client.start(flow, 21);
  CHECK(run.result(30s) == 42);
  worker.stop();
  works.join();

  // An attempt that mustn't be repeated after a crash is noted before it begins.
  const auto id = engine::run_id::parse(run.id());
  REQUIRE(id.has_value());
  const auto events = fermata::detail::inside(journal).store().read_events(*id, 1, 100);
  REQUIRE(events.ok());
  CHECK(std::ranges::any_of(
      *events, [](const auto& one) { return one.kind == engine::event_kind::attempt_started; }));
}

TEST_CASE(
    "a worker that records inputs as hashes keeps nothing more of a step's, and replay compares "
    "them") {
  fermata::journal journal = fermata::open("memory:");
  fermata::client client{journal};
  const auto serve_until = [&](auto&& flow_now, auto&& done) {
    fermata::worker worker{journal, {.record_input = fermata::record_input::hash}};
    worker.serve(twice, [](int n) { return 2 * n; });
    worker.serve(flow, flow_now);
    std::jthread works([&] { worker.run(); });
    done();
    worker.stop();
  };
  auto started = client.start(flow, 21);
  auto asked_otherwise = client.start(flow, 4);
  const auto has_called = [&](const auto& run) {
    const auto events = history_of(journal, run.id());
    return std::ranges::any_of(
        events, [](const auto& one) { return one.kind == engine::event_kind::step_completed; });
  };
  serve_until(wait_then_add, [&] {
    while (!has_called(started) || !has_called(asked_otherwise)) std::this_thread::yield();
  });

  for (const engine::event& one : history_of(journal, started.id())) {
    if (one.kind != engine::event_kind::step_completed) continue;
    CHECK(!one.input.present());
    CHECK(one.details.step().input_left_out());
    CHECK(one.details.step().input_hash() != 0);
    CHECK(one.value.bytes == "42");
  }
  // Other workers, who have no frame of it: the same code, and one that asks for another input.
  started.signal(go_on, 1);
  serve_until(wait_then_add, [&] { CHECK(started.result(30s) == 43); });
  asked_otherwise.signal(go_on, 1);
  const engine::run_id blocked = *engine::run_id::parse(asked_otherwise.id());
  serve_until(ask_otherwise, [&] {
    while (true) {
      const auto row = fermata::detail::inside(journal).store().find_run(blocked);
      if (row.ok() && row->attention == engine::attention::blocked) break;
      std::this_thread::yield();
    }
  });
}
