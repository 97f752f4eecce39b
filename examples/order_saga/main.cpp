// SPDX-License-Identifier: Apache-2.0
// Reserve, charge, ship. When the shipment fails, what was done is undone, the newest first.
#include <fermata/fermata.hpp>

#include <iostream>
#include <map>
#include <mutex>
#include <thread>

using namespace std::chrono_literals;

struct order {
  std::string id, destination;
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
BOOST_DESCRIBE_STRUCT(order, (), (id, destination, cents))
BOOST_DESCRIBE_STRUCT(hold, (), (id))
BOOST_DESCRIBE_STRUCT(charge, (), (id))
BOOST_DESCRIBE_STRUCT(parcel, (), (tracking))

constexpr fermata::step<hold(order)> reserve_stock{"reserve_stock"};
constexpr fermata::step<void(hold)> release_stock{"release_stock"};
constexpr fermata::step<charge(order)> charge_card{"charge_card", {.timeout = 20s}};
constexpr fermata::step<void(order)> refund_card{"refund_card", {.retry = {.max_attempts = 100}}};
constexpr fermata::step<parcel(order)> ship_parcel{"ship_parcel"};
constexpr fermata::workflow<parcel(order)> place_order{"place_order"};

fermata::task<parcel> fulfil(fermata::context& ctx, order o) {
  hold held = co_await ctx.call(reserve_stock, o);
  ctx.on_failure(release_stock, held);

  // If the process dies during the charge, nobody knows whether the money moved. `.undo` is
  // recorded before the step begins, so the refund will look, whatever happened.
  charge paid = co_await ctx.call(charge_card, o, {.undo = refund_card});
  ctx.status("paid by " + paid.id);

  parcel sent = co_await ctx.call(ship_parcel, o);
  co_return sent;
}

/// Stands for the outside world, which knows nothing of journals. It charges once for a key,
/// however often it is asked.
class bank {
 public:
  charge take(const order& o, fermata::step_context& s) {
    const std::lock_guard lock(mutex_);
    taken_[std::string(s.idempotency_key())] = o.cents;
    std::cout << "  bank: takes " << o.cents << " cents for " << o.id << "\n";
    return charge{"charge of " + o.id};
  }

  void give_back(const order& o, fermata::step_context& s) {
    const std::lock_guard lock(mutex_);
    if (taken_.erase(std::string(s.undoes())) == 0) return;  // it never happened
    std::cout << "  bank: gives back " << o.cents << " cents for " << o.id << "\n";
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> taken_;
};

hold reserve(const order& o) {
  std::cout << "  warehouse: holds the goods of " << o.id << "\n";
  return hold{"hold of " + o.id};
}

void release(const hold& h) { std::cout << "  warehouse: releases the " << h.id << "\n"; }

parcel ship(const order& o) {
  if (o.destination == "Atlantis")
    throw fermata::failure("no carrier goes to Atlantis", {.type = "no_route", .retryable = false});
  std::cout << "  carrier: takes the parcel of " << o.id << "\n";
  return parcel{"T-" + o.id};
}

void tell(const fermata::run<parcel>& run) {
  try {
    const parcel sent = run.result();
    std::cout << "shipped as " << sent.tracking << "\n";
  } catch (const fermata::failure& why) {
    std::cout << "not shipped: " << why.what() << " (" << why.type() << ")\n";
  }
}

int main() {
  fermata::journal journal = fermata::open("sqlite:order_saga.db");

  bank bank;
  fermata::worker worker{journal};
  worker.serve(reserve_stock, reserve);
  worker.serve(release_stock, release);
  worker.serve(charge_card, bank, &bank::take);
  worker.serve(refund_card, bank, &bank::give_back);
  worker.serve(ship_parcel, ship);
  worker.serve(place_order, fulfil);
  std::jthread working([&] { worker.run(); });

  fermata::client client{journal};
  std::cout << "order-1, to Lisbon\n";
  tell(client.start(place_order, order{"order-1", "Lisbon", 1999}, {.key = "order-1"}));

  std::cout << "order-2, to Atlantis\n";
  tell(client.start(place_order, order{"order-2", "Atlantis", 4900}, {.key = "order-2"}));

  worker.stop();
}
