// SPDX-License-Identifier: Apache-2.0
// A worker whose runs wait for time: clocks.py moves its clock.
#include <fermata/fermata.hpp>

#include <boost/describe.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace {

struct span {
  std::int64_t ms = 0;
};
BOOST_DESCRIBE_STRUCT(span, (), (ms))

constexpr fermata::workflow<int(span)> nap{"nap"};
constexpr fermata::workflow<std::string(span)> patient{"patient"};
constexpr fermata::signal<int> go{"go"};

fermata::task<int> run_nap(fermata::context& ctx, span how_long) {
  co_await ctx.sleep(std::chrono::milliseconds(how_long.ms));
  co_return 1;
}

fermata::task<std::string> run_patient(fermata::context& ctx, span how_long) {
  std::optional<int> told = co_await ctx.receive(go, std::chrono::milliseconds(how_long.ms));
  co_return told ? "told" : "nobody came";
}

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(nap, run_nap);
  worker.serve(patient, run_patient);
  return fermata::main(worker, argc, argv);
}
