// SPDX-License-Identifier: Apache-2.0
// Whole programs as users write them: an order, a fan-out, an approval, deep recursion of tasks.
#include "semantics.hpp"

#include <fermata/asio.hpp>

using namespace semantics;

namespace {

struct order {
  std::string id, sku;
  int cents = 0;
};
struct hold {
  std::string id;
};
struct charge {
  std::string id;
};
struct parcel {
  std::string tracking;
};
struct receipt {
  std::string order_id, charge_id, tracking;
};
struct decline {
  std::string reason;
  int code = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, sku, cents))
BOOST_DESCRIBE_STRUCT(hold, (), (id))
BOOST_DESCRIBE_STRUCT(charge, (), (id))
BOOST_DESCRIBE_STRUCT(parcel, (), (tracking))
BOOST_DESCRIBE_STRUCT(receipt, (), (order_id, charge_id, tracking))
BOOST_DESCRIBE_STRUCT(decline, (), (reason, code))

constexpr fermata::step<hold(order)> reserve_stock{"reserve_stock"};
constexpr fermata::step<void(hold)> release_stock{"release_stock"};
constexpr fermata::step<charge(order)> charge_card{"charge_card",
                                                   {.timeout = 20s, .retry = {.max_attempts = 3}}};
constexpr fermata::step<void(charge)> refund_card{"refund_card"};
constexpr fermata::step<parcel(order)> ship_parcel{"ship_parcel"};
constexpr fermata::workflow<receipt(order)> place_order{"place_order"};

fermata::task<receipt> fulfil(fermata::context& ctx, order o) {
  hold held = co_await ctx.call(reserve_stock, o);
  ctx.on_failure(release_stock, held);

  charge paid = co_await ctx.call(charge_card, o);
  ctx.on_failure(refund_card, paid, {.retry = {.max_attempts = 100}});

  parcel sent = co_await ctx.call(ship_parcel, o, {.timeout = 5min});
  co_return receipt{.order_id = o.id, .charge_id = paid.id, .tracking = sent.tracking};
}

class bank_client {
 public:
  charge take(const order& o, fermata::step_context& s) {
    if (o.cents > 100000)
      throw fermata::failure("the card was declined",
                             {.type = "card_declined",
                              .retryable = false,
                              .details = fermata::json(decline{"limit", 51})});
    return charge{"c/" + std::string(s.idempotency_key())};
  }
};

void serve_orders(kit& t, bank_client& bank, outside& world) {
  t.worker.serve(reserve_stock, [](const order&) { return hold{"h1"}; });
  t.worker.serve(release_stock, [&](const hold& h) { world.note("release " + h.id); });
  t.worker.serve(charge_card,
                 [&](const order& o, fermata::step_context& s) { return bank.take(o, s); });
  t.worker.serve(refund_card, [&](const charge&) { world.note("refund"); });
  t.worker.serve(ship_parcel, [](const order& o) -> boost::asio::awaitable<parcel> {
    co_return parcel{"t-" + o.id};
  });
  t.worker.serve(place_order, fulfil);
}

struct document {
  std::string path;
};
struct summary {
  std::string text;
};
BOOST_DESCRIBE_STRUCT(document, (), (path))
BOOST_DESCRIBE_STRUCT(summary, (), (text))

constexpr fermata::step<summary(document)> summarize{"summarize"};
constexpr fermata::step<summary(std::vector<summary>)> merge{"merge"};
constexpr fermata::step<int()> count_shelves{"count_shelves"};
constexpr fermata::workflow<summary(document)> read_document{"read_document"};
constexpr fermata::workflow<summary(std::vector<document>)> digest{"digest"};
constexpr fermata::workflow<std::string(std::vector<document>)> digest_gently{"digest_gently"};

fermata::task<summary> digest_all(fermata::context& ctx, std::vector<document> documents) {
  std::vector<fermata::future<summary>> parts;
  for (const document& d : documents) parts.push_back(ctx.call(summarize, d));

  std::vector<summary> summaries = co_await ctx.all(parts);
  summary merged = co_await ctx.call(merge, summaries);
  co_return merged;
}

fermata::task<summary> read_one(fermata::context& ctx, document d) {
  co_return co_await ctx.call(summarize, d);
}

fermata::task<std::string> digest_a_few(fermata::context& ctx, std::vector<document> documents) {
  std::vector<summary> by_step = co_await ctx.map(summarize, documents, {.at_most = 2});
  std::vector<summary> by_child = co_await ctx.map(read_document, documents, {.at_most = 2});

  auto [merged, again, shelves] = co_await ctx.all(
      ctx.call(merge, by_step), ctx.call(merge, by_child), ctx.call(count_shelves));
  co_return merged.text + again.text + std::to_string(shelves);
}

struct review {
  bool approved = false;
  std::string notes;
};
BOOST_DESCRIBE_STRUCT(review, (), (approved, notes))

constexpr fermata::step<std::string(std::string)> write_draft{"write_draft", {.timeout = 2min}};
constexpr fermata::step<std::string(std::string)> publish_article{"publish_article"};
constexpr fermata::signal<review> reviewed{"reviewed"};
constexpr fermata::published<std::string> current_draft{"current_draft"};
constexpr fermata::workflow<std::string(std::string)> write_article{"write_article"};

fermata::task<std::string> edit_and_publish(fermata::context& ctx, std::string topic) {
  std::string current = co_await ctx.call(write_draft, topic);
  for (int round = 1; round <= 3; ++round) {
    ctx.publish(current_draft, current);
    ctx.status("waiting for a reviewer, round " + std::to_string(round));
    std::optional<review> verdict = co_await ctx.receive(reviewed, 72h);
    if (!verdict) throw fermata::failure("no reviewer answered within 72 hours");
    if (verdict->approved) co_return co_await ctx.call(publish_article, current);
    current = co_await ctx.call(write_draft, current + ", " + verdict->notes);
  }
  throw fermata::failure("not approved after three rounds");
}

constexpr fermata::workflow<int(int)> deep{"deep"};
fermata::task<int> leaf(fermata::context&, int i) { co_return i & 1; }
fermata::task<int> loop(fermata::context& ctx, int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    int one = co_await leaf(ctx, i);
    sum += one;
  }
  co_return sum;
}
constexpr fermata::workflow<int(int)> nested{"nested"};
fermata::task<int> nest(fermata::context& ctx, int n) {
  if (n == 0) {
    co_await ctx.sleep(1s);
    co_return 0;
  }
  int below = co_await nest(ctx, n - 1);
  co_return below + 1;
}

}  // namespace

TEST_CASE("an order is reserved, charged and shipped, and found by its tag") {
  every_way([](kit& t) {
    outside world;
    bank_client bank;
    serve_orders(t, bank, world);

    auto good = t.client.start(place_order, order{.id = "o1", .cents = 1999},
                               {.key = "order-1", .tags = {{"customer", "c-7"}}});

    const receipt r = good.result();
    CHECK(r.tracking == "t-o1");
    CHECK(r.charge_id == "c/" + good.id() + "/3/charge_card");
    CHECK(t.client.list({.tags = {{"customer", "c-7"}}}).size() == 1);
    CHECK(world.story() == "");
  });
}

TEST_CASE("an order that can't be shipped is refunded and released") {
  every_way([](kit& t) {
    outside world;
    bank_client bank;
    serve_orders(t, bank, world);
    t.fail(ship_parcel, fermata::failure("carrier is down", {.type = "carrier"}));

    auto bad = t.client.start(place_order, order{.id = "o1", .cents = 1999});

    CHECK(problem_of([&] { (void)bad.result(); }) == "carrier is down");
    CHECK(world.story() == "refund, release h1");
  });
}

TEST_CASE("type and details of a declined card survive the journal") {
  every_way([](kit& t) {
    outside world;
    bank_client bank;
    serve_orders(t, bank, world);

    auto declined = t.client.start(place_order, order{.id = "o1", .cents = 200000});

    try {
      (void)declined.result();
      FAIL("a declined card fails the run");
    } catch (const fermata::failure& why) {
      CHECK(why.type() == "card_declined");
      CHECK(why.details_as<decline>().code == 51);
      CHECK(why.run() == declined.id());
    }
    CHECK(world.story() == "release h1");
  });
}

TEST_CASE("documents are summarised at once, a few at a time, and by children") {
  every_way([](kit& t) {
    t.worker.serve(summarize, [](const document& d) { return summary{d.path}; });
    t.worker.serve(merge, [](const std::vector<summary>& all) {
      summary merged;
      for (const summary& s : all) merged.text += s.text;
      return merged;
    });
    t.worker.serve(count_shelves, [] { return 3; });
    t.worker.serve(read_document, read_one);
    t.worker.serve(digest, digest_all);
    t.worker.serve(digest_gently, digest_a_few);
    const std::vector<document> documents{{"a"}, {"b"}, {"c"}, {"d"}};

    CHECK(t.client.start(digest, documents).result().text == "abcd");
    CHECK(t.client.start(digest_gently, documents).result() == "abcdabcd3");
    t.fail(summarize, fermata::failure("unreadable", {.retryable = false}));
    CHECK(problem_of([&] { (void)t.client.start(digest_gently, documents).result(); }) ==
          "unreadable");
  });
}

TEST_CASE("a reviewer sends a draft back, then approves; one who is silent ends it") {
  every_way([](kit& t) {
    t.worker.serve(write_draft, [](const std::string& topic) { return "on " + topic; });
    t.worker.serve(publish_article, [](const std::string& text) { return "/" + text; });
    t.worker.serve(write_article, edit_and_publish);

    auto run = t.client.start(write_article, "time");
    t.advance(24h);
    CHECK(run.describe().status == "waiting for a reviewer, round 1");
    CHECK(run.published(current_draft) == "on time");
    run.signal(reviewed, review{false, "with an end"});
    run.signal(reviewed, review{true, ""});
    CHECK(run.result() == "/on on time, with an end");

    auto forgotten = t.client.start(write_article, "nothing");
    CHECK(problem_of([&] { (void)forgotten.result(); }) == "no reviewer answered within 72 hours");
  });
}

TEST_CASE("a hundred thousand awaits need no stack, nor do deep calls") {
  kit t;
  t.worker.serve(deep, loop);
  t.worker.serve(nested, nest);

  CHECK(t.client.start(deep, 100000).result() == 50000);
  CHECK(t.client.start(nested, 500).result() == 500);
}
