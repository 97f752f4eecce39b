// SPDX-License-Identifier: Apache-2.0
// Steps on queues of their own. A kit has one worker, which serves all of them; the way there and back
// is that of many: a task, a claim, a message. A crash takes the attempt with it, so a step may be
// entered more often than once.
#include "engine/operate/operate.hpp"
#include "engine/store/tasks.hpp"
#include "semantics.hpp"
#include "src/journal_impl.hpp"

#include <fermata/asio.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

using namespace semantics;

namespace {

struct frame {
  int number = 0;
};
BOOST_DESCRIBE_STRUCT(frame, (), (number))

constexpr fermata::step<int(int)> render{"render", {.queue = "gpu"}};
constexpr fermata::step<int(int)> near_by{"near_by"};
constexpr fermata::step<std::string(std::string)> charge{"charge", {.queue = "bank"}};
constexpr fermata::step<void(std::string)> refund{"refund", {.queue = "bank"}};
constexpr fermata::signal<> go_on{"go_on"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

std::string lines_with(const std::string& history, std::string_view part) {
  std::string found;
  for (std::size_t at = 0; at < history.size();) {
    const std::size_t end = history.find('\n', at);
    const std::string line = history.substr(at, end - at + 1);
    if (contains(line, part)) found += line;
    at = end + 1;
  }
  return found;
}

std::string waits_of(kit& t, const fermata::any_run& run) {
  return fermata::detail::inside(t.journal).newest_of(run.id()).waits;
}

/// Serves `charge` as a step in the middle of which its run is cancelled; it completes all the same.
void serve_cancelled_charge(kit& t, outside& world) {
  t.worker.serve(charge,
                 [&](const std::string& what,
                     fermata::step_context& s) -> boost::asio::awaitable<std::string> {
                   co_await boost::asio::this_coro::reset_cancellation_state(
                       boost::asio::disable_cancellation());
                   if (!world.has("cancel")) t.client.find(s.run_id()).cancel();
                   world.note("cancel");
                   for (int i = 0; i < 20 && !s.stop_token().stop_requested(); ++i)
                     co_await boost::asio::post(boost::asio::use_awaitable);
                   if (s.stop_token().stop_requested()) world.note("told to stop");
                   world.note("charge " + what);
                   co_return what;
                 });
  t.worker.serve(refund, [&](const std::string& what) { world.note("refund " + what); });
}

}  // namespace

TEST_CASE("a step on a queue of its own gives what it returned") {
  every_way([](kit& t) {
    t.worker.serve(render, [](int n) { return 2 * n; });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int a = co_await ctx.call(render, n);
      int b = co_await ctx.call(render, a);
      co_return std::to_string(b);
    });

    CHECK(t.client.start(flow, 3).result() == "12");
    CHECK(t.attempts("render") >= 2);
    CHECK(t.attempts("render") <= 3);  // a crash may have taken one
  });
}

TEST_CASE("its attempt is journaled before it begins, and answered by one event") {
  kit t;
  t.worker.serve(render, [](int n) { return 2 * n; });
  t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
    int a = co_await ctx.call(render, n);
    co_return std::to_string(a);
  });

  auto run = t.client.start(flow, 3);
  CHECK(run.result() == "6");
  CHECK(t.history(run) ==
        "- run_started flow\n1 attempt_started render\n1 step_completed render\n"
        "- run_completed flow\n");
}

TEST_CASE("a queue may be named at the call alone, and near and far steps go side by side") {
  every_way([](kit& t) {
    t.serve_queue("attic");
    t.worker.serve(near_by, [](int n) { return n + 1; });
    t.worker.serve(render, [](int n) { return n * 10; });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto [a, b, c] = co_await ctx.all(ctx.call(render, n), ctx.call(near_by, n),
                                        ctx.call(near_by, n, {.queue = "attic"}));
      co_return std::to_string(a + b + c);
    });

    CHECK(t.client.start(flow, 1).result() == "14");
  });
}

TEST_CASE("the owner tries again: each attempt is a task of its own, later and later") {
  every_way([](kit& t) {
    t.worker.serve(render, [](int n) { return n; });
    t.fail(render, fermata::failure("out of memory", {.type = "gpu"}), 2);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int a = co_await ctx.call(render, n, {.retry = {.max_attempts = 3, .first_delay = 10s}});
      co_return std::to_string(a);
    });

    auto run = t.client.start(flow, 1);
    CHECK(run.result() == "1");
    CHECK(t.attempts("render") >= 3);
  });
}

TEST_CASE("a failure for good is the caller's, with its type and details") {
  every_way([](kit& t) {
    t.worker.serve(render, [](int) -> int {
      throw fermata::failure(
          "no such picture",
          {.type = "not_found", .retryable = false, .details = fermata::json(7)});
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      fermata::outcome<int> how = co_await ctx.settle(ctx.call(render, n));
      co_return how.error().type() + " " + std::to_string(how.error().details_as<int>());
    });

    CHECK(t.client.start(flow, 1).result() == "not_found 7");
  });
}

TEST_CASE("a step that hangs is timed out, and tried again") {
  every_way([](kit& t) {
    t.worker.serve(render, [](int n) { return n; });
    t.hang(render, 1);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int a = co_await ctx.call(render, n, {.timeout = 5min});
      co_return std::to_string(a);
    });

    CHECK(t.client.start(flow, 1).result() == "1");
  });
}

TEST_CASE("a silent step is taken back, and the next attempt finds what it had said") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    std::string found = "nothing";
    t.worker.serve(render, [&](int n, fermata::step_context& s) -> boost::asio::awaitable<int> {
      if (s.attempt() == 2) {
        found = std::to_string(s.last_heartbeat<frame>().value_or(frame{}).number);
        co_return n;
      }
      s.heartbeat(frame{41});
      boost::asio::steady_timer never(co_await boost::asio::this_coro::executor, 24h);
      co_await never.async_wait(boost::asio::use_awaitable);
      co_return -1;
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int a = co_await ctx.call(render, n, {.heartbeat_timeout = 20s});
      co_return std::to_string(a);
    });

    auto run = t.client.start(flow, 1);
    CHECK(run.result() == "1");
    CHECK(found == "41");
    CHECK(contains(t.history(run), "1 attempt_failed render\n"));
  }
}

TEST_CASE("give_up_after holds while the task waits in its queue, too") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      fermata::outcome<int> how =
          co_await ctx.settle(ctx.call(render, n, {.give_up_after = 10min}));
      co_return how.error().type();
    });

    auto run = t.client.start(flow, 1);
    CHECK(run.result() == "timed_out");
    CHECK(t.now() - run.describe().created_at >= 10min);
    CHECK(t.now() - run.describe().created_at <= 11min);
  });
}

TEST_CASE("a run whose queue nobody serves waits, says so, and goes on when somebody does") {
  kit t;
  t.worker.serve(near_by, [](int n) { return n; });
  t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
    int a = co_await ctx.call(near_by, n, {.queue = "attic"});
    co_return std::to_string(a);
  });
  auto run = t.client.start(flow, 1);
  t.advance(1h);
  CHECK(run.describe().state == fermata::run_state::running);
  CHECK(contains(waits_of(t, run), "step 'near_by' in queue 'attic'"));
  CHECK(t.attempts("near_by") == 0);

  t.serve_queue("attic");
  CHECK(run.result() == "1");
  CHECK(t.attempts("near_by") == 1);
}

TEST_CASE("what lost a race is told to stop, and its outcome is recorded") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    bool stopped = false;
    t.worker.serve(render, [&](int n, fermata::step_context& s) -> boost::asio::awaitable<int> {
      for (int i = 0; i < 1000 && !s.stop_token().stop_requested(); ++i)
        co_await boost::asio::post(boost::asio::use_awaitable);
      stopped = s.stop_token().stop_requested();
      co_return n;
    });
    t.worker.serve(near_by, [](int n) { return n; });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto first = co_await ctx.race(ctx.call(render, n), ctx.call(near_by, n));
      auto went = co_await ctx.receive(go_on, 1h);
      co_return std::to_string(first.index()) + (went ? "" : " late");
    });

    auto run = t.client.start(flow, 1);
    t.work();
    CHECK(stopped);
    run.signal(go_on);
    CHECK(run.result() == "1");
    CHECK(contains(t.history(run), "1 cancel_requested render\n"));
    const std::string told = lines_with(t.history(run), "render");
    CHECK(contains(told, "1 step_"));
  }
}

TEST_CASE("what lost a race before anybody took it is cancelled") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    t.worker.serve(near_by, [](int n) { return n; });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto first =
          co_await ctx.race(ctx.call(near_by, n, {.queue = "attic"}), ctx.call(near_by, n));
      co_await ctx.receive(go_on);
      co_return std::to_string(first.index());
    });

    auto run = t.client.start(flow, 1);
    t.work();
    CHECK(contains(t.history(run), "1 step_cancelled near_by\n"));
    run.signal(go_on);
    CHECK(run.result() == "1");
    t.serve_queue("attic");
    t.work();
    CHECK(t.attempts("near_by") == 1);
  }
}

TEST_CASE(
    "a charge that completes while its run is cancelled is delivered, then undone over there") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    outside world;
    serve_cancelled_charge(t, world);
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      std::string paid = co_await ctx.call(charge, "a");
      ctx.on_failure(refund, paid);
      std::string never = co_await ctx.call(charge, "never");
      co_return never;
    });

    auto run = t.client.start(flow, 0);
    CHECK(problem_of([&] { (void)run.result(); }) == "run " + run.id() + " was cancelled");
    CHECK(world.story() == "cancel, told to stop, charge a, refund a");
    t.replay_all();
  }
}

TEST_CASE("terminate stops it: the task goes with the run, and what it says then is refused") {
  kit t;
  bool stopped = false;
  t.worker.serve(render, [&](int n, fermata::step_context& s) -> boost::asio::awaitable<int> {
    t.client.find(s.run_id()).terminate("enough");
    for (int i = 0; i < 1000 && !s.stop_token().stop_requested(); ++i)
      co_await boost::asio::post(boost::asio::use_awaitable);
    stopped = s.stop_token().stop_requested();
    co_return n;
  });
  t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
    int a = co_await ctx.call(render, n);
    co_return std::to_string(a);
  });

  auto run = t.client.start(flow, 1);
  CHECK_FALSE(problem_of([&] { (void)run.result(); }).empty());
  t.work();
  CHECK(stopped);
  CHECK(run.describe().state == fermata::run_state::terminated);
  CHECK_FALSE(contains(t.history(run), "step_completed"));
}

TEST_CASE("a saga over queues: what was done elsewhere is undone there, newest first") {
  every_way([](kit& t) {
    outside world;
    t.worker.serve(charge, [&](const std::string& what) {
      world.note("charge " + what);
      return what;
    });
    t.worker.serve(refund, [&](const std::string& what, fermata::step_context& s) {
      world.note("refund " + what + (s.undoes().empty() ? "" : " by key"));
    });
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      std::string a = co_await ctx.call(charge, "a");
      ctx.on_failure(refund, a);
      std::string b = co_await ctx.call(charge, "b", {.undo = refund});
      throw fermata::failure("no " + b);
    });

    auto run = t.client.start(flow, 0);
    CHECK(contains(problem_of([&] { (void)run.result(); }), "no b"));
    CHECK(world.story() == "charge a, charge b, refund b by key, refund a");
  });
}

TEST_CASE("the key is the same in every attempt, the epoch higher") {
  every_way([](kit& t) {
    std::set<std::string> keys;
    std::vector<std::uint64_t> epochs;
    t.worker.serve(render, [&](int n, fermata::step_context& s) {
      keys.insert(std::string(s.idempotency_key()));
      epochs.push_back(s.epoch());
      if (epochs.size() < 3) throw fermata::failure("again");
      return n;
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int a = co_await ctx.call(render, n);
      co_return std::to_string(a);
    });

    CHECK(t.client.start(flow, 1).result() == "1");
    CHECK(keys.size() == 1);
    CHECK(epochs.size() >= 3);
    CHECK(std::adjacent_find(epochs.begin(), epochs.end(), std::greater_equal<>()) == epochs.end());
  });
}

TEST_CASE("many tasks: not more at once than there are places, and all get done") {
  kit t;
  t.worker.serve(render, [](int n) { return n; });
  t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
    std::vector<int> inputs;
    for (int i = 0; i < n; ++i) inputs.push_back(i);
    std::vector<int> all = co_await ctx.map(render, inputs);
    int sum = 0;
    for (int one : all) sum += one;
    co_return std::to_string(sum);
  });

  CHECK(t.client.start(flow, 200).result() == "19900");
  CHECK(t.attempts("render") == 200);
}

TEST_CASE("a run that is retried asks anew for what was in a queue when it failed") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    bool down = true;
    t.worker.serve(near_by, [&](int n) {
      if (down) throw fermata::failure("down", {.retryable = false});
      return n;
    });
    t.worker.serve(render, [](int n) { return 10 * n; });
    t.hang(render, 1);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      auto [a, b] = co_await ctx.all(ctx.call(render, n), ctx.call(near_by, n));
      co_return std::to_string(a + b);
    });
    auto run = t.client.start(flow, 1);
    CHECK(contains(problem_of([&] { (void)run.result(); }), "down"));
    CHECK(t.attempts("render") == 1);

    down = false;
    const auto anew = fermata::engine::retry(fermata::detail::inside(t.journal).store(),
                                             *fermata::engine::run_id::parse(run.id()),
                                             {.who = "test", .why = "repaired"}, false);
    REQUIRE(anew.ok());
    t.work();
    CHECK(t.attempts("render") == 2);
    CHECK(t.client.find(anew->text()).describe().state == fermata::run_state::completed);
    t.replay_all();
  }
}

TEST_CASE("an input that its worker can't read fails the attempt, and is tried again") {
  kit t;
  t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
    constexpr fermata::step<int(std::string)> as_text{"render", {.queue = "gpu"}};
    fermata::outcome<int> how = co_await ctx.settle(
        ctx.call(as_text, std::to_string(n) + "!", {.retry = {.max_attempts = 2}}));
    co_return how.error().what();
  });
  t.worker.serve(render, [](int n) { return n; });

  const std::string told = t.client.start(flow, 1).result();
  CHECK(contains(told, "the input of step 'render' can't be read"));
}

TEST_CASE("a transaction in the journal is made by the worker of its run: not on a queue") {
  kit t;
  constexpr fermata::database<int> tables{"tables"};
  t.worker.connect(tables, fermata::journal_tables());
  t.worker.serve(near_by, tables, [](int&, int n) { return n; });
  t.serve_queue("attic");
  t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
    fermata::outcome<int> how = co_await ctx.settle(ctx.call(near_by, n, {.queue = "attic"}));
    co_return how.error().what();
  });
  CHECK(contains(t.client.start(flow, 1).result(), "[FER-3004]"));

  fermata::worker refused{fermata::open("memory:")};
  refused.connect(tables, fermata::journal_tables());
  refused.serve(render, tables, [](int&, int n) { return n; });
  CHECK(code_of([&] { refused.run(); }) == "FER-3004");
}

TEST_CASE(
    "a step that two deaths made suspect is executed alone, and isn't kept waiting for ever") {
  namespace engine = fermata::engine;
  kit t;
  t.worker.serve(near_by, [](int n, fermata::step_context& s) -> boost::asio::awaitable<int> {
    for (int i = 0; i < 30 && !s.stop_token().stop_requested(); ++i)
      co_await boost::asio::post(boost::asio::use_awaitable);
    co_return n;
  });
  int beside = -1;
  t.worker.serve(render, [&](int n) -> boost::asio::awaitable<int> {
    if (t.attempts("render") <= 2) {  // until it is told that its task is gone
      boost::asio::steady_timer never(co_await boost::asio::this_coro::executor, 24h);
      co_await never.async_wait(boost::asio::use_awaitable);
    }
    beside = t.attempts("near_by");
    co_return n;
  });
  t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
    if (n == 0) {
      int a = co_await ctx.call(render, n);
      co_return std::to_string(a);
    }
    for (int i = 0; i < 20; ++i) co_await ctx.call(near_by, i);
    co_return "";
  });
  auto suspect = t.client.start(flow, 0);
  t.work();
  for (int death = 0; death < 2; ++death) {
    engine::store& store = fermata::detail::inside(t.journal).store();
    const auto tasks = store.tasks(*engine::run_id::parse(suspect.id()));
    REQUIRE(tasks.ok());
    REQUIRE(tasks->size() == 1);
    engine::batch one;
    one.finish.push_back({engine::name_of(tasks->front()),
                          engine::outcome_of(tasks->front(), engine::task_end::lost)});
    REQUIRE(store.commit(std::move(one)).ok());
    if (death == 0) t.work();
  }
  auto busy = t.client.start(flow, 1);
  auto busy_too = t.client.start(flow, 1);

  CHECK(suspect.result() == "0");
  CHECK(beside >= 0);
  CHECK(beside < 40);  // it didn't have to wait for all of them
  CHECK(busy.result().empty());
  CHECK(busy_too.result().empty());
}
