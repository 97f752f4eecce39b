// SPDX-License-Identifier: Apache-2.0
// The smallest program that is a worker: W12 says how large it is, and what it takes.
#include <fermata/fermata.hpp>

constexpr fermata::workflow<int(int)> no_op{"no_op"};

fermata::task<int> end_at_once(fermata::context&, int input) { co_return input; }

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(no_op, end_at_once);
  return fermata::main(worker, argc, argv);
}
