// SPDX-License-Identifier: Apache-2.0
// Looks from the beginning that cost the server much take a fiftieth of its time; what must not wait for that.
#include "engine/ports/real.hpp"
#include "tests/unit/engine/postgres/wired.hpp"

#include <doctest/doctest.h>

#include <memory>

namespace fermata::postgres_tests {

using namespace fermata::conformance;

namespace {

/// Starts that no worker here serves: whoever looks walks over all of them.
void put_many_for_others(scene& at) {
  for (int i = 0; i < 200; ++i) {
    batch some;
    for (int k = 0; k < 1'000; ++k) some.starts.push_back(at.item(at.request("elsewhere")));
    REQUIRE(at.journal->commit(std::move(some)).ok());
  }
}

/// A worker of another process; its looks cost what the server says.
struct asker {
  explicit asker(wired_scene& at) {
    open_options real;  // in a test's time no look is dear
    real.time = std::make_shared<real_clock>();
    const auto opened = open_store(server_address() + "?schema=" + at.made.schema, real);
    REQUIRE(opened.ok());
    mine = *opened;
    me = at.join(*mine);
  }

  std::size_t claims(wired_scene& at) const {
    batch one;
    one.worker = me.row;
    one.claim = at.wants();
    const auto done = mine->commit(std::move(one));
    REQUIRE_MESSAGE(done.ok(), done.status().ToString());
    return done->claimed.size();
  }

  std::shared_ptr<store> mine;
  worker_row me;
};

}  // namespace

TEST_CASE("a worker's first start doesn't wait because its first look was dear") {
  wired_scene at;
  put_many_for_others(at);
  const asker one(at);
  REQUIRE(one.claims(at) == 0);

  (void)at.start(at.request());

  CHECK(one.claims(at) == 1);
}

TEST_CASE("a dead worker's runs are claimed at once, though the looks before were dear") {
  wired_scene at;
  std::shared_ptr<store> theirs = at.made.beside();
  const worker_row dying = at.join(*theirs);
  (void)at.begin(dying);
  const run_id given_back = at.begin(dying).run.run;
  put_many_for_others(at);
  const asker one(at);
  for (int i = 0; i < 2; ++i) REQUIRE(one.claims(at) == 0);
  REQUIRE(at.journal->release(dying.row, {given_back}).ok());
  CHECK_MESSAGE(one.claims(at) == 0, "the looks weren't dear: there should be more to walk over");

  theirs.reset();
  REQUIRE(one.mine->rescue(one.me.row)->size() == 1);
  REQUIRE(one.mine->release_dead(dying.row)->size() == 1);

  CHECK(one.claims(at) == 2);
}

}  // namespace fermata::postgres_tests
