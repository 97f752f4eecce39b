// SPDX-License-Identifier: Apache-2.0
// Clocks that jump: a host that slept, a wall clock that was set.
#include "engine/limits.hpp"
#include "engine/store/host/suspend.hpp"
#include "place.hpp"

#include <memory>

using namespace fermata::conformance;

namespace {

constexpr std::int64_t lease = limits::lease_ms * 1'000;
constexpr std::int64_t hour = 3'600 * second;

/// As on a host that can sleep: the time since boot goes on meanwhile, the steady clock doesn't.
class sleepy_clock final : public fermata::engine::clock {
 public:
  void pass(std::int64_t us) { awake_.advance(us); }
  void sleep(std::int64_t us) { slept_ += us; }
  void set(time_us wall) { awake_.set(wall - slept_); }

  time_us wall_now() override { return awake_.wall_now() + slept_; }
  std::int64_t boot_now_us() override { return awake_.boot_now_us() + slept_; }
  std::int64_t steady_now_us() override { return awake_.steady_now_us(); }

 private:
  manual_clock awake_;
  std::int64_t slept_ = 0;
};

/// A journal on such a host, with a worker that looks after the others, and one that owns something.
struct machine {
  machine() {
    open_options how;
    how.time = time;
    sqlite::surroundings around;
    around.say = [this](std::string_view what) { said.emplace_back(what); };
    auto opened = open_sqlite_store(at.address(), how, around);
    REQUIRE(opened.ok());
    journal = std::move(*opened);
    me = of.join(*journal).row;
    other = of.join(*journal).row;
    renew();
    CHECK(dead() == 0);
  }
  void renew() const { CHECK(journal->renew(other, time->boot_now_us() + lease).ok()); }
  std::size_t dead() const {
    const auto found = journal->rescue(me);
    REQUIRE(found.ok());
    return found->size();
  }

  void start() {
    start_request what = of.request();
    what.requested = journal->now();
    batch one;
    one.starts.push_back(of.item(what));
    CHECK(journal->commit(std::move(one)).ok());
  }

  place at;
  scene of;
  std::vector<std::string> said;
  std::shared_ptr<sleepy_clock> time = std::make_shared<sleepy_clock>();
  std::shared_ptr<store> journal;
  std::int64_t me = 0;
  std::int64_t other = 0;
};

}  // namespace

TEST_CASE("a lease that ended while the host was awake has ended") {
  machine of;

  of.time->pass(lease + 1);

  CHECK(of.dead() == 1);
}

TEST_CASE("after the host has slept nobody is dead who renews within a lease") {
  machine of;

  of.time->sleep(10 * hour);
  CHECK(of.dead() == 0);
  of.time->pass(lease / 3);
  of.renew();
  of.time->pass(lease * 9 / 10);

  CHECK(of.dead() == 0);
}

TEST_CASE("after the host has slept a worker that never renews is dead a lease later") {
  machine of;

  of.time->sleep(10 * hour);
  CHECK(of.dead() == 0);
  of.time->pass(lease - 1);
  CHECK(of.dead() == 0);
  of.time->pass(1);

  CHECK(of.dead() == 1);
}

TEST_CASE(
    "a nap shorter than a lease excuses nobody; each long sleep begins another lease of doubt") {
  sleepy_clock time;
  host::suspend_watch watch(time);

  time.sleep(lease);
  CHECK(watch.leases_count(time));
  time.sleep(lease + 1);
  CHECK_FALSE(watch.leases_count(time));
  time.pass(lease - 1);
  time.sleep(hour);
  CHECK_FALSE(watch.leases_count(time));
  time.pass(lease - 1);
  CHECK_FALSE(watch.leases_count(time));
  time.pass(1);
  CHECK(watch.leases_count(time));
}

TEST_CASE(
    "a wall clock that is set, forwards or back, ends no lease, and stored time never goes back") {
  machine of;
  const time_us before = of.journal->now();

  of.time->set(before + 24 * hour);
  CHECK(of.dead() == 0);
  of.start();
  of.time->set(before - 24 * hour);

  CHECK(of.dead() == 0);
  CHECK(of.journal->now() >= before + 24 * hour);
}

TEST_CASE("a clock that was set back is told once, until it is right again") {
  machine of;
  of.start();
  const time_us right = of.journal->now();
  of.time->set(right - limits::clock_warning_ms * 1'000);
  of.start();
  CHECK(of.said.empty());

  of.time->set(right - hour);
  of.start();
  of.start();
  REQUIRE(of.said.size() == 1);
  CHECK(of.said.front().find("clock is 3600 s behind the newest time in ") != std::string::npos);

  of.time->set(right);
  of.start();
  of.time->set(right - hour);
  of.start();
  CHECK(of.said.size() == 2);
}
