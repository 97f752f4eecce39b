// SPDX-License-Identifier: Apache-2.0
// A program without Postgres: it has its journals in files.
#include <fermata/fermata.hpp>

#include <iostream>
#include <thread>

constexpr fermata::workflow<int(int)> doubled{"doubled"};

int main(int, char** argv) {
  try {
    (void)fermata::open("postgres://nobody@nowhere/films");
  } catch (const fermata::error& why) {
    std::cout << why.what() << "\n";
  }
  const fermata::journal journal = fermata::open(std::string("sqlite:") + argv[1]);
  fermata::worker worker{journal};
  worker.serve(doubled, [](fermata::context&, int n) -> fermata::task<int> { co_return 2 * n; });
  std::thread running([&] { worker.run(); });
  std::cout << fermata::client(journal).start(doubled, 21).result() << "\n";
  worker.stop();
  running.join();
}
