// SPDX-License-Identifier: Apache-2.0
#include "src/journal_impl.hpp"

#include <doctest/doctest.h>

#include <fermata/fermata.hpp>

#include <algorithm>
#include <thread>

using namespace std::chrono_literals;
namespace engine = fermata::engine;

namespace {

constexpr fermata::step<int(int)> twice{"twice"};
constexpr fermata::workflow<int(int)> flow{"flow"};

fermata::task<int> call_twice(fermata::context& ctx, int n) {
  co_return co_await ctx.call(twice, n);
}

}  // namespace

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
