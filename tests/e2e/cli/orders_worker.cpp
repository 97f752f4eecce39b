// SPDX-License-Identifier: Apache-2.0
// A small worker for the command's tests. The carrier is down while $CARRIER_DOWN names a file that
// exists.
#include <fermata/fermata.hpp>

#include <boost/describe.hpp>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

using namespace std::chrono_literals;

struct order {
  std::string id;
  std::string sku;
  int cents = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, sku, cents))
struct hold {
  std::string place;
};
BOOST_DESCRIBE_STRUCT(hold, (), (place))
struct card {
  std::string number;
};
BOOST_DESCRIBE_STRUCT(card, (), (number))
template <>
inline constexpr bool fermata::sensitive<card> = true;
struct charge {
  std::string id;
};
BOOST_DESCRIBE_STRUCT(charge, (), (id))
struct review {
  bool approved = false;
};
BOOST_DESCRIBE_STRUCT(review, (), (approved))
struct receipt {
  std::string order, tracking;
};
BOOST_DESCRIBE_STRUCT(receipt, (), (order, tracking))

constexpr fermata::step<hold(order)> reserve_stock{"reserve_stock"};
constexpr fermata::step<void(hold)> release_stock{"release_stock"};
constexpr fermata::step<charge(card)> charge_card{"charge_card"};
constexpr fermata::step<std::string(order)> ship_parcel{
    "ship_parcel", {.retry = {.max_attempts = 3, .first_delay = 50ms}}};
constexpr fermata::workflow<std::string(order)> bill{"bill"};
constexpr fermata::workflow<receipt(order)> place_order{"place_order"};
constexpr fermata::workflow<receipt(order)> ship_order{"ship_order"};
constexpr fermata::signal<review> reviewed{"reviewed"};

namespace {

/// Ships at once, without a way back: what `retry` goes on with.
fermata::task<receipt> ship(fermata::context& ctx, order o) {
  hold held = co_await ctx.call(reserve_stock, o);
  std::string tracking = co_await ctx.call(ship_parcel, o);
  co_return receipt{held.place, tracking};
}

fermata::task<std::string> send_bill(fermata::context& ctx, order o) {
  co_await ctx.sleep(50ms);
  co_return "bill-" + o.id;
}

fermata::task<receipt> fulfil(fermata::context& ctx, order o) {
  ctx.log("order " + o.id + " came in");
  ctx.tag("sku", o.sku);
  hold held = co_await ctx.call(reserve_stock, o);
  ctx.on_failure(release_stock, held);
  card payer{"4111111111111111"};
  charge paid = co_await ctx.call(charge_card, payer);
  std::string billed = co_await ctx.call(bill, o);
  std::optional<review> verdict = co_await ctx.receive(reviewed, 72h);
  if (!verdict || !verdict->approved) throw fermata::failure("nobody approved it");
  std::string tracking = co_await ctx.call(ship_parcel, o);
  co_return receipt{o.id + "/" + paid.id + "/" + billed, tracking};
}

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(reserve_stock, [](const order& o) { return hold{"shelf " + o.sku}; });
  worker.serve(release_stock, [](const hold&) {});
  worker.serve(charge_card, [](const card&) { return charge{"ch_1"}; });
  worker.serve(ship_parcel, [](const order& o) {
    const char* down = std::getenv("CARRIER_DOWN");
    if (down != nullptr && std::filesystem::exists(down))
      throw fermata::failure("no pickup today", {.type = "carrier_down"});
    if (o.sku == "latin") throw fermata::failure("d\xe9lai", {.retryable = false});
    return "T-" + o.id;
  });
  worker.serve(bill, send_bill);
  worker.serve(place_order, fulfil);
  worker.serve(ship_order, ship);
  return fermata::main(worker, argc, argv);
}
