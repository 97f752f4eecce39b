// SPDX-License-Identifier: Apache-2.0
// A saga over a bank and a warehouse that know nothing of journals: a file, $PLACE/ledger, with a
// line a call. While $PLACE/hold-NAME exists, the step NAME doesn't come back, although it has had
// its effect; with hold-NAME-before it waits before that.
#include <fermata/fermata.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

using namespace std::chrono_literals;

struct order {
  std::string id;
  int cents = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents))

constexpr fermata::step<void(order)> reserve_stock{"reserve_stock"};
constexpr fermata::step<void(order)> release_stock{"release_stock"};
constexpr fermata::step<std::string(order)> charge_card{"charge_card"};
constexpr fermata::step<void(order)> refund_card{"refund_card"};
constexpr fermata::workflow<std::string(order)> place_order{"place_order"};
constexpr fermata::workflow<std::string(order)> place_hasty_order{"place_hasty_order"};

namespace {

fermata::task<std::string> fulfil(fermata::context& ctx, order o) {
  co_await ctx.call(reserve_stock, o);
  ctx.on_failure(release_stock, o);
  std::string paid = co_await ctx.call(charge_card, o, {.undo = refund_card});
  co_return "paid " + paid;
}

/// Gives the bank a second, once.
fermata::task<std::string> fulfil_hastily(fermata::context& ctx, order o) {
  co_await ctx.call(reserve_stock, o);
  ctx.on_failure(release_stock, o);
  std::string paid = co_await ctx.call(
      charge_card, o, {.timeout = 1s, .retry = {.max_attempts = 1}, .undo = refund_card});
  co_return "paid " + paid;
}

std::filesystem::path in_place(const std::string& name) {
  const char* place = std::getenv("PLACE");
  return std::filesystem::path(place != nullptr ? place : ".") / name;
}

/// One write: lines of several processes don't mix.
void note(const std::string& what, const order& o, fermata::step_context& s) {
  const std::string line = what + " " + o.id + " " + std::to_string(o.cents) + " " +
                           std::string(s.idempotency_key()) + " " +
                           (s.undoes().empty() ? "-" : std::string(s.undoes())) + "\n";
  const int file =
      ::open(in_place("ledger").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0 || ::write(file, line.data(), line.size()) < 0) std::abort();
  ::close(file);
}

/// False when the attempt was told to stop meanwhile.
bool wait_while(const std::string& name, fermata::step_context& s) {
  while (std::filesystem::exists(in_place(name))) {
    if (s.stop_token().stop_requested()) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

/// Waits, has its effect, waits. Told to stop, it leaves as a client of a bank does whose call was
/// cancelled: without an answer.
void act(const std::string& name, const order& o, fermata::step_context& s) {
  if (!wait_while("hold-" + name + "-before", s)) throw fermata::failure("interrupted");
  note(name, o, s);
  if (!wait_while("hold-" + name, s)) throw fermata::failure("interrupted");
}

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(reserve_stock,
               [](const order& o, fermata::step_context& s) { act("reserve", o, s); });
  worker.serve(release_stock,
               [](const order& o, fermata::step_context& s) { act("release", o, s); });
  worker.serve(charge_card, [](const order& o, fermata::step_context& s) {
    act("charge", o, s);
    return std::to_string(o.cents);
  });
  worker.serve(refund_card, [](const order& o, fermata::step_context& s) { act("refund", o, s); });
  worker.serve(place_order, fulfil);
  worker.serve(place_hasty_order, fulfil_hastily);
  return fermata::main(worker, argc, argv);
}
