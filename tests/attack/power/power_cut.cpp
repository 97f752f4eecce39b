// SPDX-License-Identifier: Apache-2.0
// power_cut [--seed N] [--rounds N] [--lies 1]: cuts the power under a journal at each thing that its
// disk is told, N times in all. README.md says what must be so afterwards.
#include "tests/attack/evidence.hpp"
#include "tests/attack/power/stage.hpp"

#include "engine/operate/verify.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

namespace fermata::attack::power {
namespace {

constexpr int orders = 2;
constexpr std::uint64_t cuts_of_recoveries = 12;  // for each recovery whose own cuts are tried
constexpr int depth_max = 3;                      // a cut while recovering from one while …

/// An answered call: what the disk had been told by then, and what the journal then held.
struct answer {
  std::string call;
  std::size_t told = 0;
  std::size_t asked = 0;  // of the client's wishes
  contents holds;
};

/// A day's work as it was, with the power on.
struct day {
  disk began;
  std::vector<operation> told;
  std::vector<answer> answers;  // the first: the journal was opened
  event_rows events;            // at its end
};

/// What a cut left.
struct rest {
  disk files;
  std::uint64_t seed = 0;
  std::optional<contents> before;  // all that was answered
  std::optional<contents> after;   // … and the call that was under way
  std::string under_way;
  std::size_t asked = 0;
};

struct counts {
  std::uint64_t points = 0;
  std::uint64_t again = 0;  // of these, while recovering
  std::uint64_t acked = 0;
  std::uint64_t unsynced = 0;
  std::uint64_t under_way = 0;  // the call that was under way is there
  // Under a disk that lies:
  std::uint64_t refused = 0;
  std::uint64_t named = 0;
  std::uint64_t older = 0;
  std::uint64_t mixed = 0;
};

class attack {
 public:
  attack(std::uint64_t seed, std::uint64_t rounds) : seed_(seed), rounds_(rounds), chance_(seed) {}

  void honest() {
    for (std::uint64_t i = 0; !over(); ++i) cut_day(begin_day(seed_ + i), seed_ + i, 1);
  }
  void lying() {
    for (std::uint64_t i = 0; !over(); ++i) lie(begin_day(seed_ + i), seed_ + i);
  }
  const counts& found() const { return counts_; }

 private:
  bool over() const { return counts_.points >= rounds_; }

  /// From nothing to the end, all of it answered.
  day begin_day(std::uint64_t seed) { return work({.files = {}, .seed = seed}, seed, 0, true); }
  day work(const rest& from, std::uint64_t seed, int generation, bool remember);
  void cut_day(const day& of, std::uint64_t seed, int depth);
  rest cut(const day& of, const disk& at, std::size_t told);
  void lie(const day& of, std::uint64_t seed);
  void look_at(const day& of, disk files, std::uint64_t seed);

  const std::uint64_t seed_;
  const std::uint64_t rounds_;
  dice chance_;
  counts counts_;
  folder where_;
};

/// Opens what a cut has left, looks at it, works to the end, looks again.
day attack::work(const rest& from, std::uint64_t seed, int generation, bool remember) {
  day made;
  if (remember) made.began = from.files;
  machine runs(from.files, from.seed);
  runs.keeps_log = remember;
  office work(seed, generation, orders, from.asked);
  auto journal = open(where_, work);
  if (!journal.ok()) throw broken_promise("it doesn't open: " + journal.status().ToString());
  work.work_on(journal->get());
  census rows(where_.journal());
  const contents found = rows.take();
  if (!rows.error().empty()) throw broken_promise("it can't be read: " + rows.error());
  if (from.before && found != *from.before) {
    // A rescue is a transaction for each worker that it marks.
    const bool in_part =
        from.under_way == "rescue" && difference(found, *from.before) == "workers ";
    if (found != from.after && !in_part)
      throw broken_promise(fmt::format("what was answered isn't there; tables: {}",
                                       difference(found, *from.before)));
    ++counts_.under_way;
  }
  const auto note = [&](std::string call) {
    if (remember)
      made.answers.push_back({std::move(call), runs.log.size(), work.asked(), rows.take()});
  };
  note("open");
  while (auto next = work.next()) {
    if (const absl::Status done = next->make(); !done.ok())
      throw broken_promise(next->name + ": " + done.ToString());
    note(next->name);
  }
  check_the_end(**journal, work, rows);
  if (!remember) return made;
  made.told = runs.log;
  made.events = rows.events();
  return made;
}

/// Cuts the power behind each thing that the disk was told.
void attack::cut_day(const day& of, std::uint64_t seed, int depth) {
  disk at = of.began;
  for (std::size_t told = 1; told <= of.told.size() && !over(); ++told) {
    at.apply(of.told[told - 1]);
    // Of a recovery some.
    if (depth > 1 && !chance_.one_in(of.told.size() / cuts_of_recoveries + 1)) continue;
    ++counts_.points;
    if (depth > 1) ++counts_.again;
    counts_.unsynced += at.unsynced();
    const rest left = cut(of, at, told);
    const bool deeper = depth < depth_max && chance_.one_in(40);
    try {
      const day next = work(left, seed, depth, deeper);
      if (deeper) cut_day(next, seed, depth + 1);
    } catch (const broken_promise& failed) {
      throw broken_promise(fmt::format("day {}, depth {}, cut behind operation {} of {}: {}", seed,
                                       depth, told, of.told.size(), failed.what()));
    }
  }
}

rest attack::cut(const day& of, const disk& at, std::size_t told) {
  rest left;
  left.seed = chance_.next();
  dice cut(left.seed);
  constexpr std::array<std::uint64_t, 5> shares{0, 2, 8, 14, 16};
  left.files = at.cut(cut, {.tear = true, .kept_of_16 = shares[cut.below(shares.size())]});
  for (std::size_t i = 0; i < of.answers.size(); ++i) {
    const answer& one = of.answers[i];
    if (one.told > told) break;
    left.asked = one.asked;
    left.before = one.holds;
    left.after = i + 1 < of.answers.size() ? of.answers[i + 1].holds : one.holds;
    left.under_way = i + 1 < of.answers.size() ? of.answers[i + 1].call : "";
    if (i + 1 == of.answers.size() || of.answers[i + 1].told > told) counts_.acked += i;
  }
  return left;
}

// ---- a disk that says that it has synced ----

void attack::lie(const day& of, std::uint64_t seed) {
  disk at = of.began;
  // From somewhere on; before that it was honest, or nothing would ever be there.
  const std::size_t from = of.answers.front().told + chance_.below(of.told.size() / 2);
  for (std::size_t told = 1; told <= of.told.size() && !over(); ++told) {
    const operation& one = of.told[told - 1];
    const bool is_sync = one.what == operation::kind::sync;
    const bool lies = is_sync && told > from && !chance_.one_in(4);
    if (!lies) at.apply(one);
    if (told <= from) continue;
    ++counts_.points;
    const std::uint64_t cut_seed = chance_.next();
    dice cut(cut_seed);
    constexpr std::array<std::uint64_t, 3> shares{2, 8, 14};
    try {
      look_at(of, at.cut(cut, {.tear = true, .kept_of_16 = shares[cut.below(3)]}), cut_seed);
    } catch (const broken_promise& failed) {
      throw broken_promise(fmt::format("day {}, a lying disk, cut behind operation {}: {}", seed,
                                       told, failed.what()));
    }
  }
}

/// It refuses, or says what is wrong, or is as it once was; and no event that it still has is
/// another than was written.
void attack::look_at(const day& of, disk files, std::uint64_t seed) {
  machine runs(std::move(files), seed);
  office nobody(seed, 1, orders, 0);
  const auto journal = open(where_, nobody);
  if (!journal.ok()) {
    ++counts_.refused;
    return;
  }
  bool finds = false;
  engine::verify_options how;
  how.found = [&](const engine::finding&) { finds = true; };
  const auto verified = engine::verify(**journal, how);
  if (!verified.ok() || finds) {
    ++counts_.named;
    return;
  }
  census rows(where_.journal());
  const contents found = rows.take();
  for (const auto& [place, digest] : rows.events()) {
    const auto wrote = of.events.find(place);
    if (wrote == of.events.end() || wrote->second != digest)
      throw broken_promise(
          fmt::format("event {} of run {} is another than was written, and verify "
                      "finds nothing",
                      place.second, place.first));
  }
  const bool older =
      std::ranges::any_of(of.answers, [&](const answer& one) { return one.holds == found; });
  ++(older ? counts_.older : counts_.mixed);
}

int run(int argc, char** argv) {
  const std::uint64_t seed = option(argc, argv, "--seed", 1);
  const std::uint64_t rounds = option(argc, argv, "--rounds", 2'000);
  const bool lies = option(argc, argv, "--lies", 0) != 0;
  std::puts(fmt::format("power_cut: seed {}", seed).c_str());
  std::fflush(stdout);
  checkpoint_often();
  take_over_sqlite();
  attack on(seed, rounds);
  try {
    lies ? on.lying() : on.honest();
  } catch (const broken_promise& failed) {
    std::printf("seed %llu: BROKEN: %s\n", static_cast<unsigned long long>(seed), failed.what());
    return 1;
  }
  const counts& found = on.found();
  const auto number = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
  if (lies) {
    std::puts(fmt::format("{} cuts of a disk that lies: {} refused, {} named by verify, {} as the "
                          "journal once was, {} with an older part beside the events; 0 events "
                          "damaged silently",
                          found.points, found.refused, found.named, found.older, found.mixed)
                  .c_str());
    keep("power_cut_lying", seed,
         {{"rounds", number(found.points)},
          {"faults", number(found.points)},
          {"refused", number(found.refused)},
          {"named", number(found.named)},
          {"older", number(found.older)},
          {"mixed", number(found.mixed)}});
    return 0;
  }
  std::puts(
      fmt::format("{} cuts ({} while recovering), {} unsynced writes; {} answered calls looked "
                  "for, 0 lost; {} times the call under way was there, whole",
                  found.points, found.again, found.unsynced, found.acked, found.under_way)
          .c_str());
  keep("power_cut", seed,
       {{"rounds", number(found.points)},
        {"faults", number(found.points)},
        {"cuts_while_recovering", number(found.again)},
        {"acked", number(found.acked)}});
  return 0;
}

}  // namespace
}  // namespace fermata::attack::power

int main(int argc, char** argv) { return fermata::attack::power::run(argc, argv); }
