// SPDX-License-Identifier: Apache-2.0
// Every call of the store beside every other one, each held between any two of its steps while the other
// goes on. FERMATA_SEED; FERMATA_SECONDS: some by chance, so long; 0: all of them. FERMATA_FIRST,
// FERMATA_SECOND: all of these two calls, by their names.
#include "engine/operate/verify.hpp"
#include "tests/attack/evidence.hpp"
#include "tests/attack/interleavings/world.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

using namespace fermata;
using namespace fermata::interleavings;
using steady = std::chrono::steady_clock;

namespace {

std::int64_t number_of(const char* name, std::int64_t usual) {
  const char* given = std::getenv(name);
  return given == nullptr ? usual : std::atoll(given);
}

/// A call in a thread of its own, through one of the two stores.
class party {
 public:
  party(ground& on, int whose, call what)
      : on_(on),
        whose_(whose),
        gate_(on.gates[static_cast<std::size_t>(whose)]),
        what_(std::move(what)) {}
  ~party() { join(); }

  void begin(int hold_at) {
    gate_.begin();
    gate_.hold(hold_at);
    thread_ = std::thread([this] {
      on_.enter(whose_);
      told_ = what_(*on_.stores[static_cast<std::size_t>(whose_)]);
      gate_.done();
    });
  }
  /// Until it is held, done, or waits for the other.
  void settle() {
    while (!gate_.rests_within(std::chrono::microseconds(300)))
      if (on_.waits_for_other(whose_)) return;
  }
  bool was_held() const { return gate_.is_held(); }
  void join() {
    gate_.open();
    if (thread_.joinable()) thread_.join();
  }
  const truth& told() const { return told_; }
  void go_on() { gate_.open(); }

 private:
  ground& on_;
  int whose_;
  gate& gate_;
  call what_;
  truth told_;
  std::thread thread_;
};

struct order {
  const act* first = nullptr;   // held before its step `at`
  const act* second = nullptr;  // held before its step `then`; 0: it isn't
  int at = 1;
  int then = 0;
  bool told = false;
};

class orders {
 public:
  /// Which of them were held.
  std::pair<bool, bool> carry_out(const order& what) {
    const auto began = steady::now();
    world at(scene_, "i" + std::to_string(++count_), what.told);
    const bool turned = what.second->by == caller::one && what.first->by == caller::anybody;
    const int left = what.first->by == caller::two || turned ? 1 : 0;
    party first(on_, left, what.first->prepare(at));
    party second(on_, 1 - left, what.second->prepare(at));
    first.begin(what.at);
    first.settle();
    const bool first_held = first.was_held();
    second.begin(what.then);
    second.settle();
    const bool second_held = second.was_held();
    first.go_on();
    first.settle();
    second.join();
    first.join();
    first.told()(at);
    second.told()(at);
    at.check();
    for (const std::string& one : at.complaints()) {
      ++wrong_;
      const std::string unread = what.told ? ", with a message unread: " : ": ";
      MESSAGE(what.first->name << " held before its step " << what.at << " beside "
                               << what.second->name << " held before its step " << what.then
                               << unread << one);
    }
    if (steady::now() - began > std::chrono::milliseconds(900)) ++slow_;
    return {first_held, second_held};
  }
  bool may_meet(const act& first, const act& second) const {
    if (first.by == caller::anybody || second.by == caller::anybody) return true;
    return first.by != second.by || on_.is_concurrent_within_worker();
  }
  void verify_all() {
    engine::verify_options how;
    how.found = [this](const engine::finding& what) {
      ++wrong_;
      MESSAGE(what.run.text() << " " << what.position << ": " << what.what);
    };
    CHECK(engine::verify(*scene_.journal, how).ok());
  }

  int count() const { return count_; }
  int wrong() const { return wrong_; }
  int slow() const { return slow_; }
  std::string name() const { return std::string(on_.name()); }

 private:
  conformance::scene scene_;
  ground& on_ = static_cast<ground&>(*scene_.factory);
  int count_ = 0;
  int wrong_ = 0;
  int slow_ = 0;
};

std::vector<act> all_acts() {
  std::vector<act> all = acts_on_runs();
  for (const auto& more : {acts_of_others(), acts_of_workers()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool is_wanted(const char* variable, const act& one) {
  const char* name = std::getenv(variable);
  return name == nullptr || one.name == name;
}

void all_orders(orders& on, const std::vector<act>& acts) {
  for (const act& first : acts)
    for (const act& second : acts)
      for (const bool told : {false, true}) {
        if (!is_wanted("FERMATA_FIRST", first) || !is_wanted("FERMATA_SECOND", second)) continue;
        if (!on.may_meet(first, second)) continue;
        order what{.first = &first, .second = &second, .told = told};
        for (bool held = true; held; ++what.at) {
          what.then = 0;
          held = on.carry_out(what).first;
          for (bool other = held; other;) {
            ++what.then;
            other = on.carry_out(what).second;
          }
        }
      }
}

void some_orders(orders& on, const std::vector<act>& acts, std::uint64_t seed,
                 steady::time_point end) {
  std::mt19937_64 chance(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(chance() % n); };
  while (steady::now() < end) {
    order what{.first = &acts[below(acts.size())], .second = &acts[below(acts.size())]};
    what.at = 1 + static_cast<int>(below(4));
    what.then = static_cast<int>(below(4));
    what.told = below(2) == 1;
    if (on.may_meet(*what.first, *what.second)) on.carry_out(what);
  }
}

}  // namespace

TEST_CASE("whatever order two calls' steps come in, what they were told is true") {
  const auto seed = static_cast<std::uint64_t>(number_of("FERMATA_SEED", 1));
  const std::int64_t seconds = number_of("FERMATA_SECONDS", 12);
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  orders on;
  const std::vector<act> acts = all_acts();
  if (seconds == 0 || std::getenv("FERMATA_FIRST") != nullptr)
    all_orders(on, acts);
  else
    some_orders(on, acts, seed, steady::now() + std::chrono::seconds(seconds));
  on.verify_all();
  std::printf("%s: %d interleavings of %zu calls, %d wrong, %d took longer than 0.9 s\n",
              on.name().c_str(), on.count(), acts.size(), on.wrong(), on.slow());
  REQUIRE(on.wrong() == 0);
  attack::keep("interleavings_" + on.name(), seed, {{"rounds", on.count()}, {"wrong", on.wrong()}});
}
