// SPDX-License-Identifier: Apache-2.0
// Three workflows in three states: as first deployed (CODE 1), changed without a thought (2), and
// changed with `patched` (3). The comments at the ends of lines are what changed.py looks for.
#include <fermata/fermata.hpp>

constexpr fermata::step<std::string(std::string)> reserve_stock{"reserve_stock"};
constexpr fermata::step<std::string(std::string)> charge_card{"charge_card"};
constexpr fermata::step<std::string(std::string)> charge_account{"charge_account"};
constexpr fermata::signal<void> go{"go"};
constexpr fermata::workflow<std::string(std::string)> renames{"renames"};
constexpr fermata::workflow<std::string(std::string)> swaps{"swaps"};
constexpr fermata::workflow<std::string(std::string)> asks_otherwise{"asks_otherwise"};

namespace {

#if CODE == 1

fermata::task<std::string> run_renames(fermata::context& ctx, std::string id) {
  std::string paid = co_await ctx.call(charge_card, id);  // renames before
  co_await ctx.receive(go);
  std::string held = co_await ctx.call(reserve_stock, id);
  co_return paid + " " + held;
}

fermata::task<std::string> run_swaps(fermata::context& ctx, std::string id) {
  std::string held = co_await ctx.call(reserve_stock, id);  // swaps before
  std::string paid = co_await ctx.call(charge_card, id);
  co_await ctx.receive(go);
  co_return held + " " + paid;
}

fermata::task<std::string> run_asks_otherwise(fermata::context& ctx, std::string id) {
  std::string held = co_await ctx.call(reserve_stock, id);
  std::string paid = co_await ctx.call(charge_card, held);  // asks_otherwise before
  co_await ctx.receive(go);
  co_return paid;
}

#elif CODE == 2

fermata::task<std::string> run_renames(fermata::context& ctx, std::string id) {
  std::string paid = co_await ctx.call(charge_account, id);  // renames after
  co_await ctx.receive(go);
  std::string held = co_await ctx.call(reserve_stock, id);
  co_return paid + " " + held;
}

fermata::task<std::string> run_swaps(fermata::context& ctx, std::string id) {
  std::string paid = co_await ctx.call(charge_card, id);  // swaps after
  std::string held = co_await ctx.call(reserve_stock, id);
  co_await ctx.receive(go);
  co_return held + " " + paid;
}

fermata::task<std::string> run_asks_otherwise(fermata::context& ctx, std::string id) {
  std::string held = co_await ctx.call(reserve_stock, id);
  std::string paid = co_await ctx.call(charge_card, held + "!");  // asks_otherwise after
  co_await ctx.receive(go);
  co_return paid;
}

#else

fermata::task<std::string> run_renames(fermata::context& ctx, std::string id) {
  const bool by_account = ctx.patched("by-account");
  std::string paid = co_await ctx.call(by_account ? charge_account : charge_card, id);
  co_await ctx.receive(go);
  std::string held = co_await ctx.call(reserve_stock, id);
  co_return paid + " " + held;
}

fermata::task<std::string> run_swaps(fermata::context& ctx, std::string id) {
  std::string held, paid;
  if (ctx.patched("charge-first")) {
    paid = co_await ctx.call(charge_card, id);
    held = co_await ctx.call(reserve_stock, id);
  } else {
    held = co_await ctx.call(reserve_stock, id);
    paid = co_await ctx.call(charge_card, id);
  }
  co_await ctx.receive(go);
  co_return held + " " + paid;
}

fermata::task<std::string> run_asks_otherwise(fermata::context& ctx, std::string id) {
  std::string held = co_await ctx.call(reserve_stock, id);
  if (ctx.patched("with-an-exclamation-mark")) held += "!";
  std::string paid = co_await ctx.call(charge_card, held);
  co_await ctx.receive(go);
  co_return paid;
}

#endif

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(reserve_stock, [](const std::string& id) { return "held(" + id + ")"; });
  worker.serve(charge_card, [](const std::string& id) { return "card(" + id + ")"; });
  worker.serve(charge_account, [](const std::string& id) { return "account(" + id + ")"; });
  worker.serve(renames, run_renames);
  worker.serve(swaps, run_swaps);
  worker.serve(asks_otherwise, run_asks_otherwise);
  return fermata::main(worker, argc, argv);
}
