// SPDX-License-Identifier: Apache-2.0
// Attempts: how often, when, with what; local work and transactions.
#include "semantics.hpp"

#include <fermata/asio.hpp>

#include <map>

using namespace semantics;

namespace {

struct progress {
  int done = 0;
};
BOOST_DESCRIBE_STRUCT(progress, (), (done))

constexpr fermata::step<int(int)> work{"work"};
constexpr fermata::step<std::string(std::string)> shout{"shout"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

/// Stands for a database of the user's own: what was written with each receipt.
struct shelf {
  std::vector<std::string> rows;
};
constexpr fermata::database<shelf> shelf_db{"shelf"};
constexpr fermata::step<int(std::string)> put_on_shelf{"put_on_shelf"};

class shelf_transactor final : public fermata::transactor<shelf> {
 public:
  std::string commit(std::string_view origin, std::string_view operation,
                     const std::function<std::string(shelf&)>& body) override {
    const std::string key = std::string(origin) + "/" + std::string(operation);
    if (auto known = receipts.find(key); known != receipts.end()) return known->second;
    return receipts[key] = body(data);
  }
  shelf data;
  std::map<std::string, std::string> receipts;
};

constexpr fermata::step<int(int)> plain{"plain"};
constexpr fermata::step<int(int)> gpu{"gpu", {.queue = "gpu"}};
constexpr fermata::step<int(int)> apart{"apart", {.isolation = fermata::isolation::own_process}};
constexpr fermata::workflow<std::string()> asks{"asks"};

}  // namespace

TEST_CASE(
    "a process of its own, which this version can't give, is refused; so is a queue for a body") {
  every_way([&](kit& t) {
    t.worker.serve(plain, [](int n) { return n; });
    t.worker.serve(asks, [](fermata::context& ctx) -> fermata::task<std::string> {
      std::string refused;
      const auto asked = [&](auto&& ask) {
        try {
          ask();
          refused += "taken ";
        } catch (const fermata::failure& why) {
          refused += why.type() + " ";
          if (std::string(why.what()).find("FER-3004") == std::string::npos) refused += "? ";
        }
      };
      asked([&] { (void)ctx.call(plain, 1, {.isolation = fermata::isolation::own_process}); });
      asked([&] { (void)ctx.call(plain, 1, {.undo = apart}); });
      asked([&] { (void)ctx.run("small", [] { return 1; }, apart.defaults()); });
      asked([&] { (void)ctx.run("small", [] { return 1; }, gpu.defaults()); });
      asked([&] { ctx.on_failure(apart, 1); });
      int n = co_await ctx.call(plain, 7, {.isolation = fermata::isolation::in_process});
      co_return refused + std::to_string(n);
    });

    std::string expected;
    for (int i = 0; i < 5; ++i) expected += "not_in_this_version ";
    CHECK(t.client.start(asks).result() == expected + "7");
  });

  fermata::worker one{fermata::open("memory:")};
  one.serve(apart, [](int n) { return n; });
  CHECK(code_of([&] { one.run(); }) == "FER-3004");
  fermata::worker two{fermata::open("memory:"),
                      {.steps = {.isolation = fermata::isolation::own_process}}};
  two.serve(plain, [](int n) { return n; });
  CHECK(code_of([&] { two.run(); }) == "FER-3004");
}

TEST_CASE("a step is tried max_attempts times, later and later") {
  every_way([](kit& t) {
    t.worker.serve(work, [](int n) { return n; });
    t.fail(work, fermata::failure("never", {.type = "worn_out"}));
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      fermata::outcome<int> how = co_await ctx.settle(
          ctx.call(work, n, {.retry = {.max_attempts = 3, .first_delay = 10s, .backoff = 10.0}}));
      co_return how.error().type() + ": " + how.error().what();
    });

    auto run = t.client.start(flow, 1);

    CHECK(run.result() == "worn_out: never");
    CHECK(t.attempts("work") >= 3);
    CHECK(t.attempts("work") <= 4);  // a crash may have taken one
    CHECK(t.now() - run.describe().created_at <= 110s);
  });
}

TEST_CASE("a failure that isn't retryable ends the step at once; any other exception is retried") {
  every_way([](kit& t) {
    bool first = true;
    t.worker.serve(work, [&](int n) {
      if (std::exchange(first, false)) throw std::out_of_range("not yet");
      return n;
    });
    t.worker.serve(shout, [](const std::string&) -> std::string {
      throw fermata::failure("quiet", {.retryable = false, .details = fermata::json(progress{3})});
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int done = co_await ctx.call(work, n);
      fermata::outcome<std::string> how = co_await ctx.settle(ctx.call(shout, "a"));
      co_return std::to_string(done + how.error().details_as<progress>().done);
    });

    CHECK(t.client.start(flow, 1).result() == "4");
    CHECK(t.attempts("shout") <= 2);
  });
}

TEST_CASE("retry_after picks the next delay") {
  every_way([](kit& t) {
    t.worker.serve(work, [](int n) { return n; });
    t.fail(work, fermata::failure("busy", {.retry_after = 3h}), 1);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      const fermata::time_point begun = ctx.now();
      int done = co_await ctx.call(work, n);
      co_return ctx.now() - begun >= 3h ? std::to_string(done) : "too early";
    });

    auto run = t.client.start(flow, 1);
    const std::string told = run.result();

    // When the crash took the very attempt that said so, nobody knows of it.
    CHECK((told == "1" || t.attempts("work") == 2));
  });
}

TEST_CASE("give_up_after bounds all attempts together") {
  every_way([](kit& t) {
    t.worker.serve(work, [](int n) { return n; });
    t.fail(work, fermata::failure("never"));
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      fermata::outcome<int> how = co_await ctx.settle(ctx.call(
          work, n, {.give_up_after = 1h, .retry = {.max_attempts = 1000, .first_delay = 1min}}));
      co_return how.error().what();
    });

    auto run = t.client.start(flow, 1);

    CHECK(contains(run.result(), "gave up after 3600000 ms"));
    CHECK(t.now() - run.describe().created_at <= 1h);
  });
}

TEST_CASE("an attempt that hangs is over after its timeout, and tried again") {
  every_way([](kit& t) {
    t.worker.serve(work, [](int n) { return n; });
    t.hang(work, 2);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int done = co_await ctx.call(work, n, {.timeout = 2h});
      co_return std::to_string(done);
    });

    auto run = t.client.start(flow, 1);

    CHECK(run.result() == "1");
    CHECK(t.attempts("work") >= 3);
  });
}

TEST_CASE("a step that always hangs fails with timed_out") {
  every_way([](kit& t) {
    t.worker.serve(work, [](int n) { return n; });
    t.hang(work);
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      std::string how = "?";
      try {
        (void)co_await ctx.call(work, n, {.timeout = 1min, .retry = {.max_attempts = 2}});
      } catch (const fermata::timed_out& why) {
        how = why.what();
      }
      co_return how;
    });

    CHECK(t.client.start(flow, 1).result() == "step 'work' took longer than 60000 ms");
  });
}

TEST_CASE("attempts share one key, count up, and find what the last one reported") {
  every_way([](kit& t) {
    std::set<std::string> keys;
    std::map<int, int> found;
    t.worker.serve(work, [&](int n, fermata::step_context& s) {
      keys.insert(std::string(s.idempotency_key()));
      const std::optional<progress> before = s.last_heartbeat<progress>();
      found[s.attempt()] = before ? before->done : -1;
      s.heartbeat(progress{s.attempt() * 10});
      if (s.attempt() < 3) throw fermata::failure("half done");
      return n;
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int done = co_await ctx.call(work, n, {.heartbeat_timeout = 1h});
      co_return std::to_string(done);
    });

    auto run = t.client.start(flow, 1);

    CHECK(run.result() == "1");
    CHECK(keys == std::set<std::string>{run.id() + "/1/work"});
    CHECK(found[2] >= 10);  // 20 when the crash took the second one itself
    CHECK(found[3] >= 20);
  });
}

TEST_CASE("a step may be an awaitable") {
  every_way([](kit& t) {
    t.worker.serve(shout, [](const std::string& what) -> boost::asio::awaitable<std::string> {
      co_return what + "!";
    });
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      co_return co_await ctx.call(shout, "hello");
    });

    CHECK(t.client.start(flow, 1).result() == "hello!");
  });
}

TEST_CASE("local work is recorded once, tried again when it throws, and may use locals") {
  every_way([](kit& t) {
    static int failures = 0;
    failures = 1;
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      std::vector<int> local{n, n + 1};
      auto sum = [&local] {
        if (failures-- > 0) throw fermata::failure("not yet");
        return local[0] + local[1];
      };
      auto attempt = [](fermata::step_context& s) { return std::string(s.idempotency_key()); };
      fermata::future<int> sums = ctx.run("sum", sum);
      fermata::future<std::string> key = ctx.run("key", attempt);
      int total = co_await sums;
      std::string said = co_await key;
      co_await ctx.sleep(1min);
      co_return std::to_string(total) + said.substr(said.find('/'));
    });

    CHECK(t.client.start(flow, 1).result() == "3/2/key");
  });
}

TEST_CASE("a transaction's effect and its outcome happen exactly once") {
  every_way([](kit& t) {
    shelf_transactor shelves;
    t.worker.connect(shelf_db, shelves);
    t.worker.serve(put_on_shelf, shelf_db, [](shelf& s, const std::string& what) {
      s.rows.push_back(what);
      return static_cast<int>(s.rows.size());
    });
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int first = co_await ctx.call(put_on_shelf, "step");
      auto put = [n](shelf& s) {
        s.rows.push_back("local " + std::to_string(n));
        return s.rows.size();
      };
      std::size_t second = co_await ctx.transaction("put", shelf_db, put);
      co_await ctx.sleep(1min);
      co_return std::to_string(first) + std::to_string(second);
    });

    CHECK(t.client.start(flow, 7).result() == "12");
    CHECK(shelves.data.rows == std::vector<std::string>{"step", "local 7"});
  });
}

TEST_CASE("the kit's faults reach transactional steps, too") {
  every_way([](kit& t) {
    shelf_transactor shelves;
    t.worker.connect(shelf_db, shelves);
    t.worker.serve(put_on_shelf, shelf_db, [](shelf& s, const std::string& what) {
      s.rows.push_back(what);
      return static_cast<int>(s.rows.size());
    });
    t.fail(put_on_shelf, fermata::failure("shelf is full", {.retryable = false}));
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      int n = co_await ctx.call(put_on_shelf, "a");
      co_return std::to_string(n);
    });

    CHECK(problem_of([&] { (void)t.client.start(flow, 1).result(); }) == "shelf is full");
    CHECK(shelves.data.rows.empty());
    CHECK(t.attempts("put_on_shelf") >= 1);
  });
}

TEST_CASE("a step in a database that nobody connected fails with a sentence") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int) -> fermata::task<std::string> {
      auto put = [](shelf& s) { return s.rows.size(); };
      fermata::outcome<std::size_t> how = co_await ctx.settle(
          ctx.transaction("put", shelf_db, put, {.retry = {.max_attempts = 1}}));
      co_return how.error().type() + ": " + how.error().what();
    });

    CHECK(contains(t.client.start(flow, 1).result(), "not_connected: step 'put' is in database"));
  });
}

TEST_CASE("a step that nobody serves waits, and says so; served later, it runs") {
  every_way([](kit& t) {
    t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<std::string> {
      int done = co_await ctx.call(work, n);
      co_return std::to_string(done);
    });

    auto run = t.client.start(flow, 1);
    CHECK(code_of([&] { (void)run.result(); }) == "FER-1103");
    CHECK(contains(run.describe().waiting_for, "no worker here serves step 'work'"));
    t.worker.serve(work, [](int n) { return n; });

    CHECK(run.result() == "1");
  });
}
