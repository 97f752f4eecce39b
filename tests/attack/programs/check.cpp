// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include "engine/operate/verify.hpp"
#include "interpreter.hpp"
#include "program.hpp"
#include "src/journal_impl.hpp"
#include "tests/attack/step_ends.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>

namespace programs {

namespace {

using namespace fermata;

struct tally {
  std::int64_t operations = 0, runs = 0, attempts = 0;
  int wrong = 0, repeated = 0, attention = 0, findings = 0;
  int stale = 0;  // begun late by an owner of before
};

void complain(int& count, const std::string& what) {
  if (++count <= 20) std::fprintf(stderr, "not so: %s\n", what.c_str());
}

/// What all attempts of one program did.
struct logged {
  std::map<std::string, std::set<std::string>> keys;  // place → idempotency keys
};

std::map<std::int64_t, logged> read_log(engine::store& store, const std::string& log, int freezes,
                                        tally& t) {
  using verdict = attack::step_ends::verdict;
  attack::step_ends ends(store);
  std::map<std::int64_t, logged> found;
  std::ifstream lines(log);
  std::int64_t seed = 0;
  std::string place;
  attack::beginning b;
  while (lines >> seed >> place >> b.key >> b.attempt >> b.at_us >> b.epoch) {
    ++t.attempts;
    found[seed].keys[place].insert(b.key);
    const verdict v = ends.judge(b);
    if (v == verdict::stale && ++t.stale <= attack::step_ends::stale_at_most(freezes)) continue;
    if (v == verdict::stale || v == verdict::repeated)
      complain(t.repeated, b.key + " began again (attempt " + std::to_string(b.attempt) + ") " +
                               std::to_string(ends.late_us(b)) +
                               " us after its outcome was committed");
  }
  return found;
}

std::map<std::string, int> read_paid(engine::store& store, tally& t) {
  std::map<std::string, int> paid;
  bool names = true;
  const absl::Status read =
      store.query("SELECT place, times FROM " + std::string(paid_table), engine::payloads::revealed,
                  [&](const std::vector<engine::sql_value>& row) {
                    if (!names) paid[row[0].text] = std::stoi(row[1].text);
                    names = false;
                    return true;
                  });
  if (!read.ok()) complain(t.wrong, std::string(read.message()));
  return paid;
}

void check_end(client& client, std::int64_t seed, const program& of, const prediction& wanted,
               tally& t) {
  const std::string who = "program " + std::to_string(seed);
  try {
    const run<int> done = client.attach(run_program, key_of(seed));
    const std::optional<int> published = done.published(sum_so_far);
    if (published != wanted.result)
      complain(t.wrong, who + " published " + std::to_string(published.value_or(-1)) + ", not " +
                            std::to_string(wanted.result));
    if (of.fails) {
      const run_info info = done.describe();
      if (info.state != run_state::failed || info.error.find(doom) == std::string::npos)
        complain(t.wrong,
                 who + " is " + std::string(text_of(info.state)) + ", not failed: " + info.error);
    } else if (const int got = done.result(std::chrono::seconds(1)); got != wanted.result) {
      complain(t.wrong,
               who + " gave " + std::to_string(got) + ", not " + std::to_string(wanted.result));
    }
  } catch (const std::exception& e) {
    complain(t.wrong, who + ": " + e.what());
  }
}

void check_counters(std::int64_t seed, const logged& did, std::map<std::string, int>& paid,
                    const prediction& wanted, tally& t) {
  const std::string who = "program " + std::to_string(seed) + " at ";
  const auto compare = [&](const std::string& place, std::size_t got, std::size_t predicted) {
    if (got != predicted)
      complain(t.wrong, who + place + " counted " + std::to_string(got) + ", not " +
                            std::to_string(predicted));
  };
  for (const auto& [place, times] : wanted.logged) {
    const auto found = did.keys.find(place);
    compare(place, found == did.keys.end() ? 0 : found->second.size(),
            static_cast<std::size_t>(times));
  }
  for (const auto& [place, keys] : did.keys)
    if (!wanted.logged.contains(place)) compare(place, keys.size(), 0);
  for (const auto& [place, times] : wanted.paid) {
    const auto found = paid.find(paid_place(seed, place));
    compare(place, found == paid.end() ? 0 : static_cast<std::size_t>(found->second),
            static_cast<std::size_t>(times));
    if (found != paid.end()) paid.erase(found);
  }
}

/// Gives how many runs there are.
std::int64_t check_runs(client& client, tally& t) {
  std::int64_t runs = 0;
  std::string after;
  for (;;) {
    const run_page page = client.list({.at_most = 1'000, .cursor = after});
    for (const run_info& run : page) {
      ++runs;
      if (!run.ended_at) complain(t.wrong, run.id + " is open, waits for " + run.waiting_for);
      if (run.attention != attention::none)
        complain(t.attention,
                 run.id + " is " + std::string(text_of(run.attention)) + ": " + run.error);
    }
    if (page.next.empty()) return runs;
    after = page.next;
  }
}

}  // namespace

int check(const journal& where, std::int64_t first, std::int64_t count, const std::string& log,
          int freezes) {
  client client{where};
  engine::store& store = detail::inside(where).store();
  tally t;
  const std::map<std::int64_t, logged> all = read_log(store, log, freezes, t);
  std::map<std::string, int> paid = read_paid(store, t);
  for (std::int64_t seed = first; seed < first + count; ++seed) {
    const program of = made_from(seed);
    const prediction wanted = predict(of);
    t.runs += wanted.runs;
    t.operations += wanted.operations;
    check_end(client, seed, of, wanted, t);
    const auto did = all.find(seed);
    check_counters(seed, did == all.end() ? logged() : did->second, paid, wanted, t);
  }
  for (const auto& [place, times] : paid)
    complain(t.wrong, place + " was paid by nobody's program");
  if (const std::int64_t runs = check_runs(client, t); runs != t.runs)
    complain(t.wrong, "there are " + std::to_string(runs) + " runs, not " + std::to_string(t.runs));
  engine::verify_options options;
  options.found = [&](const engine::finding& f) {
    complain(t.findings, "verify: " + (f.run.empty() ? std::string("store") : f.run.text()) + " " +
                             std::to_string(f.position) + ": " + f.what);
  };
  const bool verified = engine::verify(store, options).ok();
  std::printf(
      "%lld programs, %lld operations, %lld runs, %lld attempts: %d wrong, %d repeated, "
      "%d with attention, %d findings, %d stale\n",
      static_cast<long long>(count), static_cast<long long>(t.operations),
      static_cast<long long>(t.runs), static_cast<long long>(t.attempts), t.wrong, t.repeated,
      t.attention, t.findings, t.stale);
  return verified && t.wrong + t.repeated + t.attention + t.findings == 0 ? 0 : 1;
}

}  // namespace programs
