// SPDX-License-Identifier: Apache-2.0
// A program in two versions, whose types differ by a field more and a field less.
//
//   worker --journal ADDRESS …           works
//   worker start ADDRESS KEY CENTS       starts a run as a typed client
//   worker read ADDRESS KEY              prints its result as a typed client
#include "types.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

constexpr fermata::step<charge(bill)> charge_card{"charge_card"};
constexpr fermata::step<void(bill)> refund_card{"refund_card"};
constexpr fermata::step<deploy::slip(deploy::slip)> print_slip{"print_slip"};
constexpr fermata::signal<review> reviewed{"reviewed"};
constexpr fermata::workflow<receipt(order)> wrap{"wrap"};
constexpr fermata::workflow<receipt(order)> sell{"sell"};

namespace {

/// A child: what goes in and what comes out are read by other versions, too.
fermata::task<receipt> run_wrap(fermata::context& ctx, order o) {
  charge paid = co_await ctx.call(charge_card, bill_of(o));
  review said = co_await ctx.receive(reviewed);
  co_return receipt_of("wrap " + text_of(o) + " " + text_of(paid) + " " + text_of(said));
}

fermata::task<receipt> run_sell(fermata::context& ctx, order o) {
  std::string key = "wrap-" + o.id;
  fermata::future<receipt> wrapped = ctx.call(wrap, o, {.key = key});
  charge first = co_await ctx.call(charge_card, bill_of(o));
  ctx.on_failure(refund_card, bill_of(o));
  deploy::slip paper = co_await ctx.call(print_slip, slip_of(o.id, o.cents));
  review said = co_await ctx.receive(reviewed);
  charge second = co_await ctx.call(charge_card, bill_of(o));
  deploy::slip again = co_await ctx.call(print_slip, paper);
  if (!said.approved) throw fermata::failure("nobody approved it");
  receipt inner = co_await wrapped;
  co_return receipt_of(text_of(o) + " " + text_of(first) + " " + text_of(paper) + " " +
                       text_of(said) + " " + text_of(second) + " " + text_of(again) + " [" +
                       text_of(inner) + "]");
}

/// One write: lines of several processes don't mix.
void note(const std::string& line) {
  const char* place = std::getenv("PLACE");
  const std::string path = std::string(place != nullptr ? place : ".") + "/refunds";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0 || ::write(file, line.data(), line.size()) < 0) std::abort();
  ::close(file);
}

int work(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(charge_card, charge_of);
  worker.serve(refund_card, [](const bill& b) {
    note("v" + std::to_string(VERSION) + " refunds " + std::to_string(b.cents) + " " + text_of(b) +
         "\n");
  });
  worker.serve(print_slip, [](const deploy::slip& s) {
    deploy::slip printed = s;
    printed.set_cents(s.cents() + 1);
    return printed;
  });
  worker.serve(wrap, run_wrap);
  worker.serve(sell, run_sell);
  return fermata::main(worker, argc, argv);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb != "start" && verb != "read") return work(argc, argv);
  fermata::client client{fermata::open(argv[2])};
  if (verb == "start") {
    order o{.id = argv[3], .cents = std::atoi(argv[4])};
    client.start(sell, o, {.key = argv[3]});
  } else {
    std::cout << text_of(client.attach(sell, argv[3]).result(std::chrono::seconds(30))) << '\n';
  }
}
