// SPDX-License-Identifier: Apache-2.0
// nth_error [--seed N] [--rounds N]: something that SQLite asks of its machine fails, at any moment of
// N days: memory, reads, writes, syncs, locks … README.md says what must be so.
#include "tests/attack/evidence.hpp"
#include "tests/attack/power/look.hpp"
#include "tests/attack/power/stage.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <cstdio>
#include <limits>
#include <map>
#include <utility>
#include <vector>

namespace fermata::attack::power {
namespace {

constexpr int orders = 2;
constexpr int failures_until_over = 3;  // of a fault that lasts, in one call
constexpr int failures_at_most = 8;     // in one call: then it doesn't go on by itself
constexpr int calls_between_looks = 4;

struct kind_of_fault {
  request what;
  int code;
  absl::StatusCode answer;
};

constexpr std::array<kind_of_fault, 15> kinds{{
    {request::memory, SQLITE_NOMEM, absl::StatusCode::kUnavailable},
    {request::open, SQLITE_CANTOPEN, absl::StatusCode::kUnavailable},
    {request::read, SQLITE_IOERR_READ, absl::StatusCode::kUnavailable},
    {request::read, SQLITE_CORRUPT, absl::StatusCode::kDataLoss},
    {request::write, SQLITE_IOERR_WRITE, absl::StatusCode::kUnavailable},
    {request::write, SQLITE_FULL, absl::StatusCode::kResourceExhausted},
    {request::sync, SQLITE_IOERR_FSYNC, absl::StatusCode::kUnavailable},
    {request::truncate, SQLITE_IOERR_TRUNCATE, absl::StatusCode::kUnavailable},
    {request::remove, SQLITE_IOERR_DELETE, absl::StatusCode::kUnavailable},
    {request::size, SQLITE_IOERR_FSTAT, absl::StatusCode::kUnavailable},
    {request::lock, SQLITE_BUSY, absl::StatusCode::kUnavailable},
    {request::lock, SQLITE_IOERR_LOCK, absl::StatusCode::kUnavailable},
    {request::shm_map, SQLITE_IOERR_SHMMAP, absl::StatusCode::kUnavailable},
    {request::shm_lock, SQLITE_BUSY, absl::StatusCode::kUnavailable},
    {request::shm_lock, SQLITE_IOERR_SHMLOCK, absl::StatusCode::kUnavailable},
}};

/// A disk from which a day begins: an empty one, or what a cut has left.
struct beginning {
  disk files;
  int generation = 0;
  std::size_t asked = 0;
  std::array<std::uint64_t, request_kinds> requests{};  // in a day without faults
  contents end;                                         // … and what then is there
};

struct counts {
  std::uint64_t rounds = 0;
  std::uint64_t struck = 0;  // rounds whose fault came to pass
  std::uint64_t faults = 0;  // a lasting one several times
  std::uint64_t errors = 0;  // that the store answered
  std::uint64_t acked = 0;
  std::map<request, std::uint64_t> by_request;
};

class attack {
 public:
  attack(std::uint64_t seed, std::uint64_t rounds) : seed_(seed), rounds_(rounds), chance_(seed) {}

  void run() {
    while (counts_.rounds < rounds_) {
      const std::uint64_t day = seed_ + counts_.rounds;
      beginning fresh;
      std::vector<std::pair<disk, std::size_t>> cuts = plan(day, fresh);
      fail_some(day, fresh, 60);
      beginning after_cut;
      const auto& [files, asked] = cuts[chance_.below(cuts.size())];
      after_cut = {.files = files, .generation = 1, .asked = asked};
      plan(day, after_cut);
      fail_some(day, after_cut, 60);
    }
  }
  const counts& found() const { return counts_; }

 private:
  std::vector<std::pair<disk, std::size_t>> plan(std::uint64_t day, beginning& from);
  void fail_some(std::uint64_t day, const beginning& from, std::uint64_t count);
  fault choose(const beginning& from, absl::StatusCode& answer);
  void work(std::uint64_t day, const beginning& from, const fault& fails, absl::StatusCode answer);

  const std::uint64_t seed_;
  const std::uint64_t rounds_;
  dice chance_;
  counts counts_;
  folder where_;
};

/// A day without faults: what it asks for, and how it ends. Gives disks that a cut would have left.
std::vector<std::pair<disk, std::size_t>> attack::plan(std::uint64_t day, beginning& from) {
  std::vector<std::pair<disk, std::size_t>> cuts;
  machine runs(from.files, day);
  runs.arm({.nth = std::numeric_limits<std::uint64_t>::max()});
  office work(day, from.generation, orders, from.asked);
  auto journal = open(where_, work);
  if (!journal.ok()) throw broken_promise(journal.status().ToString());
  work.work_on(journal->get());
  for (int calls = 0; auto next = work.next(); ++calls) {
    if (const absl::Status done = next->make(); !done.ok()) throw broken_promise(done.ToString());
    if (calls % calls_between_looks == 0) static_cast<void>(look_at(**journal));
    cuts.emplace_back(runs.files.cut(chance_, {.kept_of_16 = 8}), work.asked());
  }
  for (std::size_t i = 0; i < request_kinds; ++i)
    from.requests[i] = runs.asked(static_cast<request>(i));
  const machine::truce looks_on(runs);
  census rows(where_.journal());
  check_the_end(**journal, work, rows);
  from.end = rows.take();
  return cuts;
}

fault attack::choose(const beginning& from, absl::StatusCode& answer) {
  while (true) {
    // Of memory there are some hundred requests for each other one.
    const kind_of_fault& kind = kinds[chance_.one_in(3) ? 0 : chance_.below(kinds.size())];
    const std::uint64_t asked = from.requests[static_cast<std::size_t>(kind.what)];
    if (asked == 0) continue;
    answer = kind.answer;
    // Opening is a small part of a day, and a large one of what can go wrong.
    const std::uint64_t up_to = chance_.one_in(3) ? asked / 8 + 1 : asked;
    return {.what = kind.what,
            .nth = 1 + chance_.below(up_to),
            .code = kind.code,
            .lasting = chance_.one_in(3)};
  }
}

void attack::fail_some(std::uint64_t day, const beginning& from, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count && counts_.rounds < rounds_; ++i) {
    absl::StatusCode answer{};
    const fault fails = choose(from, answer);
    ++counts_.rounds;
    try {
      work(day, from, fails, answer);
    } catch (const broken_promise& failed) {
      throw broken_promise(
          fmt::format("day {}, generation {}, {} number {} fails {}with code {}: {}", day,
                      from.generation, text_of(fails.what), fails.nth,
                      fails.lasting ? "and goes on failing, " : "", fails.code, failed.what()));
    }
  }
}

/// One day, and how the store bears its fault.
class day_with_fault {
 public:
  day_with_fault(machine& runs, const folder& where, office& work, absl::StatusCode answer,
                 counts& counted)
      : runs_(runs), where_(where), work_(work), answer_(answer), counts_(counted) {}

  void open_journal() {
    for (int failures = 0;;) {
      auto opened = open(where_, work_);
      if (opened.ok()) {
        journal_ = *opened;
        break;
      }
      bear("open", opened.status(), ++failures);
    }
    work_.work_on(journal_.get());
    const machine::truce looks_on(runs_);
    rows_.emplace(where_.journal());
    before_ = rows_->take();
  }

  void work() {
    for (int calls = 0; auto next = work_.next(); ++calls) {
      make(*next);
      if (calls % calls_between_looks == 0) look();
    }
  }

  contents end() {
    runs_.disarm();
    check_the_end(*journal_, work_, *rows_);
    return rows_->take();
  }

 private:
  void make(const call& next) {
    for (int failures = 0;;) {
      const absl::Status done = next.make();
      const machine::truce looks_on(runs_);
      const contents now = rows_->take();
      if (done.ok()) {
        before_ = now;
        ++counts_.acked;
        return;
      }
      if (now != before_)
        throw broken_promise(fmt::format("{} answered {}, and yet wrote to {}", next.name,
                                         done.ToString(), difference(now, before_)));
      bear(next.name, done, ++failures);
    }
  }

  /// What is read is so, or isn't answered.
  void look() {
    for (int failures = 0;;) {
      const auto seen = look_at(*journal_);
      const machine::truce looks_on(runs_);
      if (!seen.ok()) {
        bear("look", seen.status(), ++failures);
        continue;
      }
      const auto is = look_at(*journal_);
      if (!is.ok() || *is != *seen)
        throw broken_promise("what was read isn't so:\n" + *seen + "instead of\n" +
                             (is.ok() ? *is : is.status().ToString()));
      return;
    }
  }

  /// An error says what it is, and goes by when the fault does.
  void bear(const std::string& what, const absl::Status& status, int failures) {
    ++counts_.errors;
    if (status.code() != answer_)
      throw broken_promise(fmt::format("{} answered {}", what, status.ToString()));
    if (failures >= failures_until_over) runs_.disarm();
    if (failures >= failures_at_most)
      throw broken_promise(
          fmt::format("{} doesn't go on after the fault: {}", what, status.ToString()));
  }

  machine& runs_;
  const folder& where_;
  office& work_;
  const absl::StatusCode answer_;
  counts& counts_;
  std::shared_ptr<engine::store> journal_;
  std::optional<census> rows_;
  contents before_;
};

void attack::work(std::uint64_t day, const beginning& from, const fault& fails,
                  absl::StatusCode answer) {
  disk left;
  contents end;
  {
    machine runs(from.files, day);
    office work(day, from.generation, orders, from.asked);
    day_with_fault bears(runs, where_, work, answer, counts_);
    runs.arm(fails);
    bears.open_journal();
    bears.work();
    counts_.struck += runs.struck() != 0 ? 1 : 0;
    counts_.faults += runs.struck();
    counts_.by_request[fails.what] += runs.struck();
    end = bears.end();
    dice chance(day);
    left = runs.files.cut(chance, {.tear = false, .kept_of_16 = 0});
  }
  if (end != from.end)
    throw broken_promise("the day ended otherwise: " + difference(end, from.end));
  // What a failed sync was about was synced later, or wasn't promised.
  machine runs(std::move(left), day + 1);
  office nobody(day, 9, orders, 0);
  const auto journal = open(where_, nobody);
  if (!journal.ok()) throw broken_promise("after a power cut: " + journal.status().ToString());
  census rows(where_.journal());
  if (rows.take() != end)
    throw broken_promise("a power cut at the end has taken what was answered: " +
                         difference(rows.take(), end));
}

int run(int argc, char** argv) {
  const std::uint64_t seed = option(argc, argv, "--seed", 1);
  const std::uint64_t rounds = option(argc, argv, "--rounds", 1'000);
  std::puts(fmt::format("nth_error: seed {}", seed).c_str());
  std::fflush(stdout);
  checkpoint_often();
  take_over_memory();
  take_over_sqlite();
  attack on(seed, rounds);
  try {
    on.run();
  } catch (const broken_promise& failed) {
    std::printf("seed %llu: BROKEN: %s\n", static_cast<unsigned long long>(seed), failed.what());
    return 1;
  }
  const counts& found = on.found();
  std::string kinds_text;
  for (const auto& [what, count] : found.by_request)
    kinds_text += fmt::format("{}{} {}", kinds_text.empty() ? "" : ", ", count, text_of(what));
  std::puts(
      fmt::format("{} days, {} faults in {} of them ({}): {} errors answered; {} calls answered, "
                  "0 lost",
                  found.rounds, found.faults, found.struck, kinds_text, found.errors, found.acked)
          .c_str());
  const auto number = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
  keep("nth_error", seed,
       {{"rounds", number(found.rounds)},
        {"faults", number(found.faults)},
        {"errors", number(found.errors)},
        {"acked", number(found.acked)}});
  return 0;
}

}  // namespace
}  // namespace fermata::attack::power

int main(int argc, char** argv) { return fermata::attack::power::run(argc, argv); }
