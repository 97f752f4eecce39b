// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/simulation.hpp"

#include "tests/attack/simulation/checks.hpp"
#include "tests/attack/simulation/clients.hpp"
#include "tests/attack/simulation/nemesis.hpp"
#include "tests/attack/simulation/workload.hpp"
#include "tests/attack/simulation/world.hpp"

#include <memory>
#include <string>
#include <utility>

namespace fermata::simulation {

namespace {

/// From the end of all faults until all runs have ended. Most seeds take some seconds; a lease, a slow poll and a
/// step that hangs for a minute one after the other are within it.
constexpr micros heals_within = 400 * second;

/// Lets the simulation end when all is done, or the time for it is over.
void oversee(world& in, nemesis& fate, const clients& all, report& to) {
  fate.act();
  const micros healed = in.turns.now();
  while (!all.over() || !all_ended(in)) {
    if (in.turns.now() - healed > heals_within + fate.ahead()) {
      if (!all.over()) in.seen.complain("not ended", "a client isn't answered");
      complain_of_open(in);
      break;
    }
    in.turns.sleep(2 * second);
  }
  to.healed_in_ms = (in.turns.now() - healed) / 1'000;
  in.over = true;
  fate.stop();
}

}  // namespace

report simulate(std::uint64_t seed, const std::set<decision>* only,
                const std::function<void(std::string_view)>& say) {
  report made;
  world in(seed, only);
  if (say)
    in.say = [&](std::string_view line) {
      say(fmt::format("{:12.6f}  {}", static_cast<double>(in.turns.now()) / 1e6, line));
    };
  work_in(&in);
  {
    nemesis fate(in);
    const clients all(in, [&](std::size_t nth) { return fate.nth(nth); });
    in.turns.add("nemesis", 1, std::make_shared<place>(), [&] { oversee(in, fate, all, made); });
    in.turns.run();
    check_all(in, all);
    if (in.say) tell_journal(in);
    in.woken = {};
  }
  work_in(nullptr);
  made.hash = mixed(in.turns.hash() ^ hash_of_journal(in));
  made.seconds = in.turns.now() / second;
  made.steps = in.turns.steps();
  made.total = in.seen.total;
  made.complaints = in.seen.complaints();
  made.decisions = in.by.made();
  return made;
}

std::set<decision> minimise(std::uint64_t seed, const report& failed, int tries) {
  const std::string& kind = failed.complaints.at(0).kind;
  return shortest(failed.decisions, tries, [&](const std::set<decision>& only) {
    const report again = simulate(seed, &only);
    return again.failed() && again.complaints[0].kind == kind;
  });
}

}  // namespace fermata::simulation
