// SPDX-License-Identifier: Apache-2.0
// A worker that interprets programs. MIX_LOG: where its steps count; the journal is FERMATA_JOURNAL's.
#include "interpreter.hpp"

#include <cstdlib>
#include <string_view>

int main(int argc, char** argv) {
  const char* log = std::getenv("MIX_LOG");
  const char* journal = std::getenv("FERMATA_JOURNAL");
  if (log == nullptr || journal == nullptr) return 2;
  fermata::worker worker;
  programs::serve(worker, log, std::string_view(journal).starts_with("postgres"));
  return fermata::main(worker, argc, argv);
}
