// SPDX-License-Identifier: Apache-2.0
// Steps, waits and facts: runs without branches that complete.
#include "scenes.hpp"

#include <map>
#include <memory>
#include <utility>

namespace replay {

namespace {

struct answer {
  bool yes = false;
  std::string by;
};
struct draft {
  std::string text;
  int round = 0;
};
BOOST_DESCRIBE_STRUCT(answer, (), (yes, by))
BOOST_DESCRIBE_STRUCT(draft, (), (text, round))

constexpr fermata::step<int(int)> twice{"twice"}, flaky{"flaky"}, slow{"slow"}, broken{"broken"};
constexpr fermata::step<std::string(std::string)> echo{"echo"};
constexpr fermata::signal<answer> said{"said"};
constexpr fermata::signal<> poke{"poke"};
constexpr fermata::published<draft> current_draft{"current_draft"};
constexpr fermata::workflow<std::string(int)> flow{"flow"};

void serve_steps(kit& t) {
  t.worker.serve(twice, [](int n) { return 2 * n; });
  t.worker.serve(flaky, [](int n) { return n + 1; });
  t.worker.serve(slow, [](int n) { return n; });
  t.worker.serve(broken, [](int) -> int {
    throw fermata::failure("out of order", {.type = "broken", .retryable = false});
  });
  t.worker.serve(echo, [](const std::string& text) { return text + text; });
}

// ---- retries, time-outs, a large value, local work ----

fermata::task<std::string> try_steps(fermata::context& ctx, int n) {
  int a = co_await ctx.call(twice, n);
  int b = co_await ctx.call(flaky, a,
                            {.retry = {.max_attempts = 5, .first_delay = 10min, .backoff = 3.0}});
  fermata::outcome<int> c = co_await ctx.settle(ctx.call(broken, b));
  fermata::outcome<int> d =
      co_await ctx.settle(ctx.call(slow, b, {.timeout = 1min, .retry = {.max_attempts = 2}}));
  auto add = [a, b] { return a + b; };
  int e = co_await ctx.run("add", add);
  std::string large = co_await ctx.call(echo, std::string(4000, 'x'));
  co_return std::to_string(e) + " " + (c ? "fine" : c.error().type()) + " " +
      (d ? "fine" : d.error().type()) + " " + std::to_string(large.size());
}

void serve_tries(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, try_steps);
}

void act_tries(kit& t) {
  t.fail(flaky, fermata::failure("not yet", {.type = "early"}), 3);
  t.hang(slow);
  (void)end_of(t.client.start(flow, 3));
}

// ---- timers ----

fermata::task<std::string> wait_often(fermata::context& ctx, int) {
  const fermata::time_point begun = ctx.now();
  co_await ctx.sleep(1h);
  co_await ctx.sleep_until(begun + 3h);
  co_await ctx.sleep(0s);
  std::string how = "in time";
  try {
    co_await ctx.timeout(ctx.sleep(10h), 30min);
  } catch (const fermata::timed_out&) {
    how = "too late";
  }
  fermata::future<void> one = ctx.sleep(2min);
  fermata::future<void> other = ctx.sleep(1min);
  co_await ctx.all(one, other);
  co_await ctx.timeout(ctx.sleep(1min), 1h);
  co_return how;
}

void serve_waits(kit& t) { t.worker.serve(flow, wait_often); }

void act_waits(kit& t) { (void)end_of(t.client.start(flow, 0)); }

// ---- signals ----

fermata::task<std::string> listen(fermata::context& ctx, int) {
  answer early = co_await ctx.receive(said);
  std::optional<answer> in_time = co_await ctx.receive(said, 1h);
  std::optional<answer> late = co_await ctx.receive(said, 1h);
  bool poked = co_await ctx.receive(poke, 10h);
  bool again = co_await ctx.receive(poke, 1min);
  co_await ctx.receive(poke);
  co_return early.by + (in_time ? in_time->by : "nobody") + (late ? late->by : "nobody") +
      (poked ? " poked" : "") + (again ? " again" : "");
}

void serve_listening(kit& t) { t.worker.serve(flow, listen); }

void act_listening(kit& t) {
  auto run = t.client.start(flow, 0);
  run.signal(said, answer{true, "Ada"});
  t.work();
  t.advance(10min);
  run.signal(said, answer{false, "Grace"});
  t.advance(2h);
  run.signal(poke);
  t.advance(10min);
  run.signal(poke);
  run.signal(poke);  // nobody asks for it any more: unread
  (void)end_of(run);
}

// ---- what a run knows and shows ----

fermata::task<std::string> show_facts(fermata::context& ctx, int n) {
  std::string told = ctx.uuid() + " " + std::to_string(ctx.random());
  auto branch = [](fermata::context& in) -> fermata::task<std::string> {
    std::string mine = in.uuid();
    co_await in.sleep(1h);
    mine += " " + std::to_string(in.random(1, 6));
    co_return mine;
  };
  ctx.tag("customer", "c-7");
  ctx.publish(current_draft, draft{"first", 1});
  ctx.status("round 1");
  ctx.log("begun");
  fermata::future<std::string> inside = ctx.spawn(branch);
  (void)co_await ctx.call(twice, n);
  ctx.publish(current_draft, draft{"second", 2});
  ctx.tag("customer", "c-8");
  std::string theirs = co_await inside;
  told += " " + theirs + " " + std::to_string(ctx.now().time_since_epoch().count());
  co_return told + " " + ctx.uuid();
}

void serve_facts(kit& t) {
  serve_steps(t);
  t.worker.serve(flow, show_facts);
}

void act_facts(kit& t) {
  (void)end_of(t.client.start(flow, 1, {.key = "facts-1", .tags = {{"region", "north"}}}));
}

// ---- transactions ----

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
    if (auto known = receipts_.find(key); known != receipts_.end()) return known->second;
    return receipts_[key] = body(data_);
  }

 private:
  shelf data_;
  std::map<std::string, std::string> receipts_;
};

fermata::task<std::string> keep_books(fermata::context& ctx, int n) {
  int first = co_await ctx.call(put_on_shelf, "step");
  auto put = [n](shelf& s) {
    s.rows.push_back("local " + std::to_string(n));
    return s.rows.size();
  };
  std::size_t second = co_await ctx.transaction("put", shelf_db, put);
  auto refuse = [](shelf& s) {
    if (s.rows.size() < 100) throw fermata::failure("full", {.type = "full", .retryable = false});
    return s.rows.size();
  };
  fermata::outcome<std::size_t> third =
      co_await ctx.settle(ctx.transaction("refuse", shelf_db, refuse));
  co_await ctx.sleep(1min);
  co_return std::to_string(first) + std::to_string(second) + third.error().type();
}

void serve_books(kit& t) {
  t.worker.connect(shelf_db, std::make_unique<shelf_transactor>());
  t.worker.serve(put_on_shelf, shelf_db, [](shelf& s, const std::string& what) {
    s.rows.push_back(what);
    return static_cast<int>(s.rows.size());
  });
  t.worker.serve(flow, keep_books);
}

void act_books(kit& t) { (void)end_of(t.client.start(flow, 7)); }

}  // namespace

const std::vector<scene>& step_scenes() {
  static const std::vector<scene> all{
      {"steps", serve_tries, act_tries},           {"timers", serve_waits, act_waits},
      {"signals", serve_listening, act_listening}, {"facts", serve_facts, act_facts},
      {"transactions", serve_books, act_books},
  };
  return all;
}

}  // namespace replay
