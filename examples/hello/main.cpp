// SPDX-License-Identifier: Apache-2.0
// One step, one workflow, one process. Kill it at any moment and start it again: it goes on.
#include <fermata/fermata.hpp>

#include <iostream>
#include <thread>

// [hello]
constexpr fermata::step<std::string(std::string)> greet{"greet"};
constexpr fermata::workflow<std::string(std::string)> hello{"hello"};

fermata::task<std::string> say_hello(fermata::context& ctx, std::string name) {
  std::string greeting = co_await ctx.call(greet, name);
  co_return greeting;
}

int main() {
  fermata::journal journal = fermata::open("sqlite:hello.db");

  fermata::worker worker{journal};
  worker.serve(greet, [](const std::string& name) { return "Hello, " + name + "!"; });
  worker.serve(hello, say_hello);
  std::jthread working([&] { worker.run(); });

  fermata::client client{journal};
  auto run = client.start(hello, "Ada", {.key = "hello-1"});
  std::cout << run.result() << "\n";

  worker.stop();
}
