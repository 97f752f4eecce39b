// SPDX-License-Identifier: Apache-2.0
// New code and new types under running workflows.
#include "engine/operate/operate.hpp"
#include "semantics.hpp"
#include "src/journal_impl.hpp"

using namespace semantics;

namespace {

// Two versions of the types, with the same durable names.
namespace v1 {
struct order {
  std::string id;
  int cents = 0;
};
struct receipt {
  std::string id;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents))
BOOST_DESCRIBE_STRUCT(receipt, (), (id))
constexpr fermata::step<receipt(order)> charge{"charge"};
constexpr fermata::workflow<receipt(order)> buy{"buy"};
}  // namespace v1
namespace v2 {
struct order {
  std::string id;
  int cents = 0;
  std::string currency = "EUR";
};
struct receipt {
  std::string id;
  int points = 7;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents, currency))
BOOST_DESCRIBE_STRUCT(receipt, (), (id, points))
constexpr fermata::step<receipt(order)> charge{"charge"};
constexpr fermata::workflow<receipt(order)> buy{"buy"};
}  // namespace v2
namespace strange {
struct receipt {
  int id = 0;
};
BOOST_DESCRIBE_STRUCT(receipt, (), (id))
constexpr fermata::workflow<receipt(v1::order)> buy{"buy"};
constexpr fermata::workflow<receipt(int)> buy_by_number{"buy"};
}  // namespace strange

constexpr fermata::step<int(int)> twice{"twice"}, thrice{"thrice"};
constexpr fermata::workflow<int(int)> flow{"flow"};

template <class Order, class Receipt>
fermata::task<Receipt> shop(fermata::context& ctx, Order o) {
  fermata::step<Receipt(Order)> charge{"charge"};
  Receipt first = co_await ctx.call(charge, o);
  co_await ctx.sleep(1h);
  Receipt second = co_await ctx.call(charge, o);
  co_await ctx.sleep(1h);
  first.id = first.id + second.id;
  co_return first;
}

void serve_v1(kit& t) {
  t.worker.serve(v1::charge, [](const v1::order& o) { return v1::receipt{"c-" + o.id}; });
  t.worker.serve(v1::buy, shop<v1::order, v1::receipt>);
}
void serve_v2(kit& t) {
  t.worker.serve(v2::charge,
                 [](const v2::order& o) { return v2::receipt{"c-" + o.id + o.currency, 9}; });
  t.worker.serve(v2::buy, shop<v2::order, v2::receipt>);
}

fermata::task<int> before(fermata::context& ctx, int n) {
  int a = co_await ctx.call(twice, n);
  int b = co_await ctx.call(thrice, a);
  co_await ctx.sleep(1h);
  co_return b;
}
fermata::task<int> renamed(fermata::context& ctx, int n) {
  int a = co_await ctx.call(thrice, n);
  int b = co_await ctx.call(thrice, a);
  co_await ctx.sleep(1h);
  co_return b;
}
fermata::task<int> other_input(fermata::context& ctx, int n) {
  int a = co_await ctx.call(twice, n);
  int b = co_await ctx.call(thrice, a + 1);
  co_await ctx.sleep(1h);
  co_return b;
}
fermata::task<int> sleeps_first(fermata::context& ctx, int n) {
  co_await ctx.sleep(1h);
  int a = co_await ctx.call(twice, n);
  int b = co_await ctx.call(thrice, a);
  co_return b;
}
fermata::task<int> returns_early(fermata::context& ctx, int n) {
  int a = co_await ctx.call(twice, n);
  co_return a;
}
fermata::task<int> cured(fermata::context& ctx, int n) {
  int a = 0;
  if (ctx.patched("thrice-first"))
    a = co_await ctx.call(thrice, n);
  else
    a = co_await ctx.call(twice, n);
  int b = co_await ctx.call(thrice, a);
  co_await ctx.sleep(1h);
  co_return b;
}

void serve_steps(kit& t) {
  t.worker.serve(twice, [](int n) { return 2 * n; });
  t.worker.serve(thrice, [](int n) { return 3 * n; });
}

/// Starts with the old code, goes on with the new one.
template <class Flow>
fermata::run<int> changed(kit& t, Flow body) {
  serve_steps(t);
  t.worker.serve(flow, before);
  auto run = t.client.start(flow, 3, {.key = "order-42"});
  t.advance(1min);
  t.worker.serve(flow, body);
  t.advance(2h);
  return run;
}

absl::Status retry(kit& t, const fermata::any_run& run) {
  fermata::engine::store& store = fermata::detail::inside(t.journal).store();
  const auto id = fermata::engine::run_id::parse(run.id());
  return fermata::engine::retry(store, *id, {.who = "test", .why = "rolled back"}, false).status();
}

}  // namespace

TEST_CASE("a field may be added to inputs and results under a running workflow") {
  every_way([](kit& t) {
    serve_v1(t);
    auto old = t.client.start(v1::buy, v1::order{"o1", 5});
    t.advance(30min);
    serve_v2(t);

    CHECK(fermata::run<v2::receipt>(t.journal, old.id()).result().id == "c-o1c-o1EUR");
    CHECK(fermata::run<v2::receipt>(t.journal, old.id()).result().points == 7);
    CHECK(old.describe().attention == fermata::attention::none);
  });
}

TEST_CASE("and removed again") {
  every_way([](kit& t) {
    serve_v2(t);
    auto old = t.client.start(v2::buy, v2::order{"o1", 5, "USD"});
    t.advance(30min);
    serve_v1(t);

    CHECK(fermata::run<v1::receipt>(t.journal, old.id()).result().id == "c-o1USDc-o1");
  });
}

TEST_CASE("a key is bound to the input as it was written, whatever the type is today") {
  every_way([](kit& t) {
    serve_v1(t);
    auto old = t.client.start(v1::buy, v1::order{"o1", 5}, {.key = "k"});

    CHECK(t.client.start(v1::buy, v1::order{"o1", 5}, {.key = "k"}).id() == old.id());
    (void)old.result();
  });
}

TEST_CASE("a recorded result that can't be read blocks the run, and fails nothing") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    serve_v1(t);
    auto run = t.client.start(v1::buy, v1::order{"o1", 5});
    t.advance(30min);
    t.worker.serve(strange::buy, shop<v1::order, strange::receipt>);
    t.advance(1h);

    const fermata::run_info info = run.describe();
    CHECK(info.state == fermata::run_state::running);
    CHECK(info.attention == fermata::attention::blocked);
    CHECK(contains(info.error, "the result of step 'charge' can't be read"));
    CHECK(contains(info.error, "FER-1201"));
    CHECK(contains(info.error, "change_test.cpp:"));

    serve_v1(t);
    CHECK(retry(t, run).ok());
    CHECK(run.result().id == "c-o1c-o1");
  }
}

TEST_CASE("an input that can't be read blocks the run, too") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    serve_v1(t);
    auto run = t.client.start(v1::buy, v1::order{"o1", 5});
    t.worker.serve(strange::buy_by_number,
                   [](fermata::context& ctx, int n) -> fermata::task<strange::receipt> {
                     co_await ctx.sleep(1min);
                     co_return strange::receipt{n};
                   });
    t.advance(1min);
    CHECK(run.describe().attention == fermata::attention::blocked);
    CHECK(contains(run.describe().error, "the input of workflow 'buy' can't be read"));

    serve_v1(t);
    CHECK(retry(t, run).ok());
    CHECK(run.result().id == "c-o1c-o1");
  }
}

TEST_CASE("a step whose server can't read the input blocks the run, and uses up no attempt") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    serve_v1(t);
    constexpr fermata::step<v1::receipt(int)> by_number{"charge"};
    t.worker.serve(by_number, [](int) { return v1::receipt{"never"}; });
    auto run = t.client.start(v1::buy, v1::order{"o1", 5});
    t.advance(1min);
    CHECK(run.describe().attention == fermata::attention::blocked);
    CHECK(contains(run.describe().error, "the input of step 'charge' can't be read"));
    CHECK(!contains(t.history(run), "attempt_failed"));

    serve_v1(t);
    CHECK(retry(t, run).ok());
    CHECK(run.result().id == "c-o1c-o1");
  }
}

TEST_CASE("changed code is blocked with a report that names both places") {
  struct {
    const char* what;
    fermata::task<int> (*code)(fermata::context&, int);
    const char* says;
  } changes[] = {
      {"renamed", renamed, "the journal has step 'twice' (change_test.cpp:"},
      {"other input", other_input, "is asked with another input than the journal has"},
      {"another order", sleeps_first, "the code asks"},
      {"an end", returns_early, "the journal has step 'thrice' (change_test.cpp:"},
  };
  for (way how : {way::kept, way::evicted})
    for (const auto& change : changes) {
      CAPTURE(change.what);
      kit t(how);
      auto run = changed(t, change.code);

      const fermata::run_info info = run.describe();
      CAPTURE(info.error);
      CHECK(info.state == fermata::run_state::running);
      CHECK(info.attention == fermata::attention::blocked);
      CHECK(contains(info.error, change.says));
      CHECK(contains(info.error, "FER-1203"));
      CHECK(contains(info.error, "ctx.patched()"));
      CHECK(code_of([&] { (void)run.result(); }) == "FER-1103");
      CHECK_THROWS_AS(t.replay_all(), fermata::testing::mismatch);
    }
}

TEST_CASE("a blocked run goes on with the old code after retry, or is terminated") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    auto run = changed(t, renamed);
    CHECK(run.describe().attention == fermata::attention::blocked);
    t.worker.serve(flow, before);
    CHECK(retry(t, run).ok());
    CHECK(run.result() == 18);
    CHECK(run.describe().attention == fermata::attention::none);
    t.replay_all();

    kit u(how);
    auto lost = changed(u, renamed);
    lost.terminate("nobody wants it");
    CHECK(code_of([&] { (void)lost.result(); }) == "FER-1104");
  }
}

TEST_CASE("a blocked run takes signals and cancels, for later") {
  for (way how : {way::kept, way::evicted}) {
    kit t(how);
    auto run = changed(t, renamed);
    run.cancel();
    t.advance(1h);
    CHECK(run.describe().attention == fermata::attention::blocked);
    t.worker.serve(flow, before);
    CHECK(retry(t, run).ok());
    CHECK(code_of([&] { (void)run.result(); }) == "FER-1101");
  }
}

TEST_CASE("patched keeps running workflows on the old way, new ones take the new") {
  every_way([](kit& t) {
    auto old = changed(t, cured);

    CHECK(old.result() == 18);
    CHECK(t.client.start(flow, 3).result() == 27);
  });
}

// Each look finds another, however often the journal has the code run again.
constexpr fermata::step<int(int)> found[] = {
    fermata::step<int(int)>{"found-0"}, fermata::step<int(int)>{"found-1"},
    fermata::step<int(int)>{"found-2"}, fermata::step<int(int)>{"found-3"},
    fermata::step<int(int)>{"found-4"}, fermata::step<int(int)>{"found-5"},
    fermata::step<int(int)>{"found-6"}};

TEST_CASE("a workflow that looks at something that isn't recorded is caught") {
  static std::size_t looks = 0;
  const std::string caught = problem_of([&] {
    every_way([](kit& t) {
      for (const auto& one : found) t.worker.serve(one, [](int n) { return n; });
      t.worker.serve(flow, [](fermata::context& ctx, int n) -> fermata::task<int> {
        int a = co_await ctx.call(found[looks++ % std::size(found)], n);
        co_await ctx.sleep(1s);
        co_return a;
      });
      (void)problem_of([&] { (void)t.client.start(flow, 3).result(); });
    });
  });
  CHECK(contains(caught, "the journal has step"));
}
