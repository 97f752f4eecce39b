// SPDX-License-Identifier: Apache-2.0
#include "mix.hpp"

#include <cstdlib>

int main(int argc, char** argv) {
  const char* log = std::getenv("MIX_LOG");
  fermata::worker worker;
  mix::serve(worker, log != nullptr ? log : "mix.log");
  return fermata::main(worker, argc, argv);
}
