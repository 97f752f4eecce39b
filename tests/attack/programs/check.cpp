// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include "engine/event/encode.hpp"
#include "engine/operate/verify.hpp"
#include "interpreter.hpp"
#include "program.hpp"
#include "src/journal_impl.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>

namespace programs {

namespace {

using namespace fermata;
using engine::time_us;

struct tally {
  std::int64_t operations = 0, runs = 0, attempts = 0;
  int wrong = 0, repeated = 0, attention = 0, findings = 0;
};

void complain(int& count, const std::string& what) {
  if (++count <= 20) std::fprintf(stderr, "not so: %s\n", what.c_str());
}

/// What all attempts of one program did.
struct logged {
  std::map<std::string, std::set<std::string>> keys;  // place → idempotency keys
};

struct step_end {
  time_us at = 0;
  int attempt = 0;  // whose it is
};

/// By idempotency key.
std::map<std::string, step_end> finished_steps(engine::store& store) {
  std::map<std::string, step_end> finished;
  std::map<engine::run_id, std::string> origins;
  std::string cursor;
  for (;;) {
    auto some = store.changes(cursor, 1000);
    if (!some.ok() || some->empty()) return finished;
    for (const engine::stored_event& s : *some) {
      cursor = s.cursor;
      auto e = engine::decode(s.run, s.what);
      if (!e.ok()) continue;  // verify says so
      if (e->kind == engine::event_kind::run_started)
        origins[s.run] =
            engine::run_id::of(engine::ulid::from_view(e->details.started().origin())).text();
      if (e->kind == engine::event_kind::step_completed ||
          e->kind == engine::event_kind::step_failed)
        finished[origins[s.run] + "/" + e->operation + "/" + e->name] = {
            e->at, e->details.step().attempts()};
    }
  }
}

std::map<std::int64_t, logged> read_log(engine::store& store, const std::string& log, tally& t) {
  const std::map<std::string, step_end> finished = finished_steps(store);
  std::map<std::int64_t, logged> found;
  std::map<std::pair<std::string, int>, int> begun;  // key and attempt → how often
  std::ifstream lines(log);
  std::int64_t seed = 0;
  std::string place, key;
  int attempt = 0;
  time_us at = 0;
  while (lines >> seed >> place >> key >> attempt >> at) {
    ++t.attempts;
    found[seed].keys[place].insert(key);
    const bool first = ++begun[{key, attempt}] == 1;
    const auto known = finished.find(key);
    if (known == finished.end()) continue;
    // An outcome's time is that of its owner's look at the inbox, which may begin before it came there:
    // the attempt whose outcome it is may seem to be later.
    if (first && attempt == known->second.attempt) continue;
    if (at > known->second.at + 2000)
      complain(t.repeated, key + " began again (attempt " + std::to_string(attempt) + ") " +
                               std::to_string(at - known->second.at) +
                               " us after its outcome (of " +
                               std::to_string(known->second.attempt) + ") was committed");
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

int check(const journal& where, std::int64_t first, std::int64_t count, const std::string& log) {
  client client{where};
  engine::store& store = detail::inside(where).store();
  tally t;
  const std::map<std::int64_t, logged> all = read_log(store, log, t);
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
      "%d with attention, %d findings\n",
      static_cast<long long>(count), static_cast<long long>(t.operations),
      static_cast<long long>(t.runs), static_cast<long long>(t.attempts), t.wrong, t.repeated,
      t.attention, t.findings);
  return verified && t.wrong + t.repeated + t.attention + t.findings == 0 ? 0 : 1;
}

}  // namespace programs
