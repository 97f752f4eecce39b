// SPDX-License-Identifier: Apache-2.0
// A module of a stranger's: it links nothing; whoever loads it has the library.
#include <fermata/module.hpp>

using namespace std::chrono_literals;

struct parcel {
  std::string to;
  int grams = 0;
};
BOOST_DESCRIBE_STRUCT(parcel, (), (to, grams))

constexpr fermata::step<int(parcel)> weigh{"weigh"};
constexpr fermata::step<std::string(parcel)> ship{"ship"};
constexpr fermata::workflow<std::string(parcel)> send_parcel{"send_parcel"};

static fermata::task<std::string> send(fermata::context& ctx, parcel p) {
  p.grams = co_await ctx.call(weigh, p);
  co_await ctx.sleep(10ms);
  fermata::outcome<std::string> shipped = co_await ctx.settle(ctx.call(ship, p));
  co_return shipped ? shipped.value() : std::string("kept here: ") + shipped.error().what();
}

extern "C" int fermata_module_v1(fermata_module_info* info, fermata::worker* worker) {
  fermata::describe(*info, "parcels");
  if (worker == nullptr) return 0;
  worker->serve(weigh, [](const parcel& p) { return static_cast<int>(p.to.size()) * 100; });
  worker->serve(ship, [](const parcel& p) {
    if (p.to == "nowhere") throw fermata::failure("no such town", {.retryable = false});
    return std::to_string(p.grams) + " g to " + p.to;
  });
  worker->serve(send_parcel, send);
  return 0;
}
