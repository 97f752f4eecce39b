// SPDX-License-Identifier: Apache-2.0
// fermata-bench: measures; README.md says what.
#include "bench/bench.hpp"
#include "bench/workers.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

namespace {

using fermata::bench::report;
using fermata::bench::settings;
using fermata::bench::store_kind;

struct question {
  const char* name;
  void (*ask)(const settings&, report&);
  bool about_sqlite_alone = false;  // left out of "all" on another store
};
constexpr question questions[] = {
    {"probe", fermata::bench::probe, true},
    {"probe-postgres", fermata::bench::probe_postgres},
    {"W1", fermata::bench::w1_sequential},
    {"W2", fermata::bench::w2_in_flight},
    {"W2-open-loop", fermata::bench::w2_open_loop},
    {"W2-across", fermata::bench::w2_across},
    {"W3", fermata::bench::w3_fan_out},
    {"W4", fermata::bench::w4_enqueue},
    {"W5", fermata::bench::w5_drain},
    {"W6", fermata::bench::w6_timers},
    {"W7", fermata::bench::w7_latency},
    {"W7-across", fermata::bench::w7_across},
    {"W8", fermata::bench::w8_replay, true},
    {"W9", fermata::bench::w9_recovery},
    {"W10", fermata::bench::w10_memory},
    {"W11", fermata::bench::w11_history},
    {"W12", fermata::bench::w12_footprint},
};

int say_usage() {
  std::fputs(
      "usage: fermata-bench probe|probe-postgres|W1|…|W12|all; also\n"
      "       W2-open-loop|W2-across|W7-across\n"
      "       [--on sqlite|postgres] [--postgres ADDRESS] [--seconds N] [--repeat N]\n"
      "       [--in-flight N,N…] [--clients N] [--payload BYTES] [--folder DIR] [--json|--table]\n"
      "       W3: [--width N]  W4, W5, W6, W8, W9: [--runs N]  W6: [--rate N,N…]  W8: [--events "
      "N,N…]\n"
      "       W12: [--idle "
      "SECONDS]\n"
      "       W5: [--slots N,N…] [--processes N,N…] [--old-snapshot]  W5, W11: [--finished N,N…]\n"
      "       W11: [--record-input full|hash]\n"
      "Postgres lies at ADDRESS (postgres://…) or $FERMATA_TEST_POSTGRES; see "
      "scripts/with_postgres.sh.\n",
      stderr);
  return 2;
}

std::vector<int> numbers(const std::string& list, int least = 1) {
  std::vector<int> found;
  for (std::size_t at = 0; at < list.size(); at = list.find(',', at) + 1) {
    found.push_back(std::max(least, std::atoi(list.c_str() + at)));
    if (list.find(',', at) == std::string::npos) break;
  }
  return found;
}

struct command {
  settings how;
  std::vector<question> what;
  bool table = false;
};

bool set(settings& how, const std::string& name, const std::string& value) {
  if (name == "--on") {
    how.on = value == "postgres" ? store_kind::postgres : store_kind::sqlite;
    return value == "postgres" || value == "sqlite";
  }
  if (name == "--seconds")
    how.seconds = std::atof(value.c_str());
  else if (name == "--repeat")
    how.repeat = std::max(1, std::atoi(value.c_str()));
  else if (name == "--in-flight")
    how.in_flight = numbers(value);
  else if (name == "--clients")
    how.clients = std::max(0, std::atoi(value.c_str()));
  else if (name == "--payload")
    how.payload_bytes = static_cast<std::size_t>(std::atoi(value.c_str()));
  else if (name == "--postgres")
    how.postgres = value;
  else if (name == "--runs")
    how.runs = std::max(1, std::atoi(value.c_str()));
  else if (name == "--finished")
    how.finished = numbers(value, 0);
  else if (name == "--events")
    how.events = numbers(value);
  else if (name == "--rate")
    how.rates = numbers(value);
  else if (name == "--idle")
    how.idle_seconds = std::atof(value.c_str());
  else if (name == "--width")
    how.width = std::max(1, std::atoi(value.c_str()));
  else if (name == "--slots")
    how.slots = numbers(value);
  else if (name == "--processes")
    how.processes = numbers(value);
  else if (name == "--record-input")
    how.record_hashes = value == "hash";
  else if (name == "--folder")
    how.folder = value;
  else
    return false;
  return true;
}

std::optional<command> read(int argc, char** argv) {
  command found;
  if (const char* given = std::getenv("FERMATA_TEST_POSTGRES")) found.how.postgres = given;
  bool all = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--table" || word == "--json") {
      found.table = word == "--table";
    } else if (word == "--old-snapshot") {
      found.how.old_snapshot = true;
    } else if (word.starts_with("--")) {
      if (i + 1 == argc || !set(found.how, word, argv[++i])) return std::nullopt;
    } else {
      const std::size_t before = found.what.size();
      for (const question& one : questions)
        if (word == one.name) found.what.push_back(one);
      all = all || word == "all";
      if (word != "all" && found.what.size() == before) return std::nullopt;
    }
  }
  const bool on_postgres = found.how.on == store_kind::postgres;
  if (on_postgres ? found.how.postgres.empty() : found.how.old_snapshot) return std::nullopt;
  for (const question& one : questions)
    if (all && !(on_postgres && one.about_sqlite_alone)) found.what.push_back(one);
  if (found.what.empty()) return std::nullopt;
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && argv[1] == std::string_view("serve"))  // one of our worker processes
    return fermata::bench::serve(argv[2], std::atoi(argv[3]), argv[4]);
  std::optional<command> asked = read(argc, argv);
  if (!asked) return say_usage();
  const bool own_folder = asked->how.folder.empty();
  if (own_folder)
    asked->how.folder =
        (std::filesystem::temp_directory_path() / ("fermata-bench-" + std::to_string(::getpid())))
            .string();
  // Apart from the journals, since a worker looks up when something is written beside its own.
  std::filesystem::create_directories(asked->how.folder + "/probe");
  // Where workers on Postgres keep their locks.
  ::setenv("FERMATA_STATE", (asked->how.folder + "/state").c_str(), 0);
  {
    report to(asked->table);
    for (const question& one : asked->what) one.ask(asked->how, to);
  }
  if (own_folder) std::filesystem::remove_all(asked->how.folder);
}
