// SPDX-License-Identifier: Apache-2.0
// A worker that doesn't learn what a commit has taken for it.
#include "tests/unit/engine/postgres/wired.hpp"
#include "worker/log.hpp"

#include <doctest/doctest.h>

#include <fermata/fermata.hpp>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>

namespace fermata::postgres_tests {
namespace {

using namespace std::chrono_literals;

constexpr workflow<int(int)> doubled{"doubled"};

task<int> twice(context&, int n) { co_return 2 * n; }

void wait_until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (!holds() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(2ms);  // tidy: the worker's threads are real
  REQUIRE(holds());
}

/// A worker on a wire, without much patience; and a client beside it.
struct employed {
  employed() {
    made.fresh();
    setenv("FERMATA_BOUND", "database_patience_ms=300", 1);
    here.emplace(open(made.address()));
    unsetenv("FERMATA_BOUND");
    there.emplace(open(server_address() + "?schema=" + made.schema));
    hired.emplace(*here);
    hired->serve(doubled, twice);
    working = std::thread([this] { hired->run(); });
    CHECK(client(*there).start(doubled, 1).result(30s) == 2);
  }
  ~employed() {
    hired->stop();
    working.join();
  }

  bool said(std::string_view words) const {
    for (const std::string& line : log.lines())
      if (line.find(words) != std::string::npos) return true;
    return false;
  }

  /// The next commit that begins a run is done; its answer is lost, and the server is away from then on.
  void lose_beginning() {
    made.line.break_commit_of("INSERT INTO " + made.schema + ".runs(", wire::loses::answer,
                              [this] { made.line.refuse(true); });
  }

  detail::captured_log log;
  wired_factory made;
  std::optional<journal> here, there;
  std::optional<worker> hired;
  std::thread working;
};

}  // namespace

TEST_CASE("runs of a claim whose answer was lost for good go on when the database is back") {
  employed at;

  at.lose_beginning();
  const fermata::run<int> started = client(*at.there).start(doubled, 21);
  wait_until([&] { return at.said("the journal can't be written"); });
  CHECK(at.made.line.broke());
  at.made.line.refuse(false);

  CHECK(started.result(30s) == 42);
  CHECK(at.said("taken by a commit whose answer was lost"));
}

TEST_CASE(
    "a run that its starter's worker took unheard goes on, though its starter was told an error") {
  employed at;
  client beside(*at.here);

  at.lose_beginning();
  CHECK(code_thrown_by([&] { beside.start(doubled, 21, {.key = "order-42"}); }) == "FER-2105");
  CHECK(at.made.line.broke());
  at.made.line.refuse(false);

  CHECK(client(*at.there).start(doubled, 21, {.key = "order-42"}).result(30s) == 42);
}

}  // namespace fermata::postgres_tests
