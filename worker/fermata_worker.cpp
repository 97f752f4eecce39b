// SPDX-License-Identifier: Apache-2.0
// fermata-worker: serves what the modules given have; see <fermata/module.hpp>.
#include "worker/command_line.hpp"

int main(int argc, char** argv) {
  fermata::worker serves;
  return fermata::detail::worker_main(serves, argc, argv, true);
}
