// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"

int main(int argc, char** argv) {
  fermata::cli::world where = fermata::cli::real_world();
  fermata::cli::end_on_interrupt();
  return fermata::cli::run({argv + 1, argv + argc}, where);
}
