// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"

#include <google/protobuf/stubs/logging.h>

int main(int argc, char** argv) {
  fermata::cli::world where = fermata::cli::real_world();
  fermata::cli::end_on_interrupt();
  google::protobuf::SetLogHandler(nullptr);  // what it would say of an event, we say better
  return fermata::cli::run({argv + 1, argv + argc}, where);
}
