// SPDX-License-Identifier: Apache-2.0
// attack_client JOURNAL start FROM COUNT   starts that many of each workflow
// attack_client JOURNAL feed FROM COUNT ANSWERS   the same, each call until it is acknowledged; every
//                                          answer, also "don't know", is a line in ANSWERS
// attack_client JOURNAL feed_twice FROM COUNT ANSWERS   says "fed", and feeds again after a line on stdin
// attack_client JOURNAL answers ANSWERS    what was acknowledged is there, once
// attack_client JOURNAL wait SECONDS       until no run is open
// attack_client JOURNAL check COUNT LOG [FREEZES]   every end is the expected one, no finished step
//                                          was repeated, verify finds nothing; prints the counts.
//                                          FREEZES: how many workers were stopped past their lease
#include "engine/operate/verify.hpp"
#include "mix.hpp"
#include "src/journal_impl.hpp"
#include "tests/attack/step_ends.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

using namespace fermata;

namespace {

struct tally {
  int runs = 0, wrong = 0, missing = 0, repeated = 0, attention = 0, attempts = 0, findings = 0;
  int stale = 0;  // begun late by an owner of before
};

void complain(int& count, const std::string& what) {
  ++count;
  std::fprintf(stderr, "not so: %s\n", what.c_str());
}

template <class Name>
void check_value(client& client, const Name& name, int n, int wanted, tally& t) {
  const std::string key = "k" + std::to_string(n);
  ++t.runs;
  try {
    const int got = client.attach(name, key).result(std::chrono::seconds(1));
    if (got != wanted)
      complain(t.wrong, std::string(name.name()) + "/" + key + " gave " + std::to_string(got) +
                            ", not " + std::to_string(wanted));
  } catch (const std::exception& e) {
    complain(t.missing, std::string(name.name()) + "/" + key + ": " + e.what());
  }
}

void check_saga(client& client, int n, tally& t) {
  ++t.runs;
  auto run = client.attach(mix::saga, "k" + std::to_string(n));
  const run_info info = run.describe();
  if (info.state != run_state::failed)
    complain(t.wrong, "saga " + info.id + " is " + std::string(text_of(info.state)));
  else if (info.error.find("no room") == std::string::npos)
    complain(t.wrong, "saga " + info.id + " failed with " + info.error);
}

void check_undone(engine::store& store, tally& t) {
  std::map<engine::run_id, int> undone;
  attack::for_each_event(store, [&](const engine::run_id& run, const engine::event& e) {
    if (e.operation.starts_with("c.") && e.kind == engine::event_kind::step_completed)
      ++undone[run];
  });
  for (const auto& [run, times] : undone)
    if (times != 2)
      complain(t.wrong, run.text() + " undid " + std::to_string(times) + " steps, not 2");
}

void check_attempts(engine::store& store, const std::string& log, int freezes, tally& t) {
  using verdict = attack::step_ends::verdict;
  attack::step_ends ends(store);
  std::ifstream lines(log);
  attack::beginning b;
  while (lines >> b.key >> b.attempt >> b.at_us >> b.epoch) {
    ++t.attempts;
    const verdict v = ends.judge(b);
    if (v == verdict::open) complain(t.missing, "an attempt of " + b.key + " has no outcome");
    if (v == verdict::stale && ++t.stale <= attack::step_ends::stale_at_most(freezes)) continue;
    if (v == verdict::stale || v == verdict::repeated)
      complain(t.repeated, b.key + " began again (attempt " + std::to_string(b.attempt) + ") " +
                               std::to_string(ends.late_us(b)) +
                               " us after its outcome was committed");
  }
}

/// What it fails with is thrown when `again` says no to it, or after two minutes.
template <class Call, class Again>
auto again_for_two_minutes(Call&& call, Again&& again) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  for (;;) {
    try {
      return call();
    } catch (const error& why) {
      if (!again(why) || std::chrono::steady_clock::now() > end) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

/// Every call until it is acknowledged, with what it answered on the way.
class feeder {
 public:
  feeder(client& to, const std::string& answers) : to_(to), answers_(answers, std::ios::app) {}

  template <class Workflow>
  auto start(const Workflow& name, const mix::job& what, const std::string& key) {
    const std::string call = std::string(name.name()) + "/" + key;
    return until_acknowledged("start " + call, [&] {
      auto run = to_.start(name, what, {.key = key});
      answer("acked " + call + " " + std::string(run.id()));
      return run;
    });
  }
  template <class Run>
  void signal(const Run& run, int value) {
    until_acknowledged("signal", [&] {
      try {
        run.signal(mix::go, value);
      } catch (const error& why) {
        // It doesn't end without one: an earlier call came there, whatever it answered.
        if (why.code() != codes::run_ended.code) throw;
      }
      return 0;
    });
  }

 private:
  template <class Call>
  auto until_acknowledged(const std::string& what, Call&& call) {
    return again_for_two_minutes(call, [&](const error& why) {
      answer("unknown " + what + " " + std::string(why.code()));
      return true;
    });
  }
  void answer(const std::string& line) { answers_ << line << '\n' << std::flush; }

  client& to_;
  std::ofstream answers_;
};

int feed(const journal& where, int from, int count, const std::string& answers) {
  client client{where};
  feeder calls(client, answers);
  for (int n = from; n < from + count; ++n) {
    const std::string key = "k" + std::to_string(n);
    const mix::job j{.number = n, .size = 3};
    calls.start(mix::steps, j, key);
    calls.start(mix::timers, j, key);
    auto waiting = calls.start(mix::signals, j, key);
    calls.start(mix::children, j, key);
    calls.start(mix::saga, j, key);
    calls.signal(waiting, 7);
  }
  return 0;
}

int feed_twice(const journal& where, int from, int count, const std::string& answers) {
  feed(where, from, count, answers);
  std::puts("fed");
  std::fflush(stdout);
  std::getchar();
  return feed(where, from, count, answers);
}

int check_answers(const journal& where, const std::string& answers) {
  client client{where};
  std::map<std::string, std::map<std::string, int>> runs;  // workflow/key → run → how many
  std::string after;
  for (;;) {
    const run_page page = client.list({.at_most = 1'000, .cursor = after});
    for (const run_info& run : page)
      if (!run.key.empty()) ++runs[run.workflow + "/" + run.key][run.id];
    if (page.next.empty()) break;
    after = page.next;
  }
  std::ifstream lines(answers);
  std::string line;
  int acked = 0, unknown = 0, wrong = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string how, call, run;
    words >> how >> call >> run;
    if (how == "unknown") ++unknown;
    if (how != "acked") continue;
    ++acked;
    const auto& known = runs[call];
    if (known.size() != 1 || known.begin()->first != run)
      complain(wrong, call + " was acknowledged as " + run + ", and there are " +
                          std::to_string(known.size()) + " runs of it");
  }
  std::printf(
      "%d answers kept, %d calls whose end wasn't known and that were made again, %d wrong\n",
      acked, unknown, wrong);
  return wrong == 0 ? 0 : 1;
}

int check(const journal& where, int count, const std::string& log, int freezes) {
  client client{where};
  tally t;
  for (int n = 0; n < count; ++n) {
    check_value(client, mix::steps, n, 1 + 2 + 3, t);
    check_value(client, mix::timers, n, 2 * (n + 1), t);
    check_value(client, mix::signals, n, 2 * (n + 1) + 7, t);
    check_value(client, mix::children, n, 3 * (1 + 2), t);
    check_saga(client, n, t);
  }
  for (const run_info& run : client.list({.at_most = 1'000'000}))
    if (run.attention != attention::none)
      complain(t.attention,
               run.id + " is " + std::string(text_of(run.attention)) + ": " + run.error);
  engine::store& store = detail::inside(where).store();
  check_undone(store, t);
  check_attempts(store, log, freezes, t);
  engine::verify_options options;
  options.found = [&](const engine::finding& f) {
    complain(t.findings, "verify: " + (f.run.empty() ? std::string("store") : f.run.text()) + " " +
                             std::to_string(f.position) + ": " + f.what);
  };
  auto verified = engine::verify(store, options);
  std::printf(
      "%d runs, %d attempts: %d wrong, %d missing, %d repeated, %d with attention, %d findings, "
      "%d stale\n",
      t.runs, t.attempts, t.wrong, t.missing, t.repeated, t.attention, t.findings, t.stale);
  return verified.ok() && t.wrong + t.missing + t.repeated + t.attention + t.findings == 0 ? 0 : 1;
}

/// Faults begin whenever they like: a database that is away just then will be there again.
journal open_once_it_is_there(const std::string& address) {
  return again_for_two_minutes(
      [&] { return open(address); },
      [](const error& why) { return why.code() == codes::database_away.code; });
}

int wait(const journal& where, int seconds) {
  client client{where};
  for (int i = 0; i < seconds * 5; ++i) {
    std::size_t open = 0;
    for (run_state state :
         {run_state::waiting_to_start, run_state::running, run_state::compensating})
      open += client.list({.state = state, .at_most = 1'000'000}).size();
    if (open == 0) return 0;
    if (i % 25 == 0) std::fprintf(stderr, "%zu runs are open\n", open);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  for (run_state state : {run_state::waiting_to_start, run_state::running, run_state::compensating})
    for (const run_info& run : client.list({.state = state, .at_most = 20}))
      std::fprintf(stderr, "open: %s %s/%s %s, waits for: %s\n", run.id.c_str(),
                   run.workflow.c_str(), run.key.c_str(), std::string(text_of(run.state)).c_str(),
                   run.waiting_for.c_str());
  return 5;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) return 2;
  const journal where = open_once_it_is_there(argv[1]);
  const std::string verb = argv[2];
  if (verb == "start") {
    client client{where};
    mix::start(client, std::stoi(argv[3]), std::stoi(argv[4]));
    return 0;
  }
  if (verb == "feed" && argc > 5)
    return feed(where, std::stoi(argv[3]), std::stoi(argv[4]), argv[5]);
  if (verb == "feed_twice" && argc > 5)
    return feed_twice(where, std::stoi(argv[3]), std::stoi(argv[4]), argv[5]);
  if (verb == "answers") return check_answers(where, argv[3]);
  if (verb == "wait") return wait(where, std::stoi(argv[3]));
  if (verb == "check" && argc > 4)
    return check(where, std::stoi(argv[3]), argv[4], argc > 5 ? std::stoi(argv[5]) : 0);
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "attack_client: %s\n", e.what());
  return 1;
}
