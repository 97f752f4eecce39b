// SPDX-License-Identifier: Apache-2.0
// programs_client prepare                   makes the journal and the table of what is paid
// programs_client run FIRST COUNT AT_ONCE   starts the programs of these seeds, so many open at once,
//                                           each call until it is acknowledged; ends when they have
// programs_client check FIRST COUNT LOG [FREEZES]   everything that was predicted is there, once, and
//                                           nothing else; verify finds nothing. FREEZES: how many
//                                           workers were stopped past their lease
// The journal is FERMATA_JOURNAL's.
#include "check.hpp"
#include "interpreter.hpp"
#include "program.hpp"

#include <fermata/sqlite.hpp>

#include <libpq-fe.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

namespace {

std::string table_sql() {
  return "CREATE TABLE IF NOT EXISTS " + std::string(programs::paid_table) +
         " (place TEXT PRIMARY KEY, times INTEGER NOT NULL)";
}

void prepare_postgres(const std::string& address) {
  PGconn* db = PQconnectdb(address.c_str());
  PGresult* done = PQexec(db, table_sql().c_str());
  const bool ok = PQresultStatus(done) == PGRES_COMMAND_OK;
  const std::string why = PQerrorMessage(db);
  PQclear(done);
  PQfinish(db);
  if (!ok) throw std::runtime_error(why);
}

void prepare_sqlite(const std::string& address) {
  sqlite3* db = nullptr;
  const std::string path = address.substr(std::string_view("sqlite:").size());
  if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) throw std::runtime_error("no " + path);
  sqlite3_exec(db, "PRAGMA synchronous=FULL", nullptr, nullptr, nullptr);
  {
    fermata::sqlite_transaction with(db, address);
    if (sqlite3_exec(db, table_sql().c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(sqlite3_errmsg(db));
    with.commit();
  }
  sqlite3_close(db);
}

// Patience is counted in tries: a machine that stands still for minutes makes nothing fail.
constexpr int tries = 2000;

/// Answers what was acknowledged at last; the journal may be away meanwhile.
template <class Call>
auto until_acknowledged(Call&& call) {
  for (int left = tries;; --left) {
    try {
      return call();
    } catch (const fermata::error&) {
      if (left == 0) throw;
      std::this_thread::sleep_for(20ms);
    }
  }
}

class feeder {
 public:
  explicit feeder(const fermata::journal& where) : to_(where) {}

  void start(std::int64_t seed) {
    const std::string key = programs::key_of(seed);
    open_.push_back({seed, until_acknowledged([&] {
                       return to_.start(programs::run_program, {seed, "", ""}, {.key = key});
                     })});
  }

  /// Some wait for their hints for a while, others find them when they come to it.
  void send_hints(std::size_t behind) {
    if (open_.size() <= behind) return;
    const opened& one = open_[open_.size() - 1 - behind];
    for (const auto& [place, value] : programs::predict(programs::made_from(one.seed)).hints)
      until_acknowledged([&] {
        try {
          one.run.signal(programs::hinted, {place, value});
        } catch (const fermata::error& why) {
          // It doesn't end without them: an earlier call came there, whatever it answered.
          if (why.code() != fermata::codes::run_ended.code) throw;
        }
        return 0;
      });
  }

  /// Until at most so many are open.
  void await(std::size_t left) {
    while (open_.size() > left) {
      int left_to_try = tries / 5;
      while (!until_acknowledged([&] { return has_ended(open_.front().run); }))
        if (--left_to_try == 0)
          throw std::runtime_error("program " + std::to_string(open_.front().seed) +
                                   " doesn't end: " + open_.front().run.id());
      open_.pop_front();
    }
  }

 private:
  struct opened {
    std::int64_t seed;
    fermata::run<int> run;
  };
  static bool has_ended(const fermata::run<int>& run) {
    try {
      (void)run.result(500ms);
    } catch (const fermata::timed_out&) {
      return false;
    } catch (const fermata::failure&) {
      return true;
    }
    return true;
  }

  fermata::client to_;
  std::deque<opened> open_;
};

int run(const fermata::journal& where, std::int64_t first, std::int64_t count,
        std::size_t at_once) {
  feeder feed(where);
  const std::size_t behind = at_once / 4;
  for (std::int64_t seed = first; seed < first + count; ++seed) {
    feed.start(seed);
    feed.send_hints(behind);
    feed.await(at_once);
  }
  for (std::size_t left = behind; left-- > 0;) feed.send_hints(left);
  feed.await(0);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const char* address = std::getenv("FERMATA_JOURNAL");
  if (argc < 2 || address == nullptr) return 2;
  const fermata::journal where = fermata::open(address);
  const std::string verb = argv[1];
  if (verb == "prepare") {
    const bool on_postgres = std::string_view(address).starts_with("postgres");
    on_postgres ? prepare_postgres(address) : prepare_sqlite(address);
    return 0;
  }
  if (verb == "run" && argc > 4)
    return run(where, std::stoll(argv[2]), std::stoll(argv[3]), std::stoul(argv[4]));
  if (verb == "check" && argc > 4)
    return programs::check(where, std::stoll(argv[2]), std::stoll(argv[3]), argv[4],
                           argc > 5 ? std::stoi(argv[5]) : 0);
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "programs_client: %s\n", e.what());
  return 1;
}
