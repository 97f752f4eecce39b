// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/ground.hpp"
#include "bench/report.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>

namespace fermata::bench {

/// Steady seconds.
inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Looks until it is so, or `limit_s` have passed; for a quarter of the time at most, since looks take
/// the processors from what is looked at. Returns the seconds until then.
template <class Condition>
double watch(Condition&& is_so, double limit_s) {
  const double began = now_s();
  for (;;) {
    const double looked = now_s();
    const bool over = is_so();
    const double now = now_s();
    if (over || now - began > limit_s) return now - began;
    std::this_thread::sleep_for(std::chrono::duration<double>(std::max(0.001, 3 * (now - looked))));
  }
}

/// What this process has used since it began: client, engine and database together.
struct used {
  double cpu_s = 0;
  std::uint64_t syncs = 0;      // fsync and fdatasync
  std::uint64_t wal_bytes = 0;  // written to files named *-wal
  std::uint64_t statements =
      0;                       // of SQL: SQLite's when they are reset, Postgres' when they are sent
  std::uint64_t switches = 0;  // of threads: a wake-up costs one at least
};
used used_until_now();

/// Megabytes in memory: now, and at most since `forget_peak`.
double resident_mb();
double peak_mb();
void forget_peak();
/// Of another process.
double resident_mb_of(int process);

/// Seconds of processor time of a process, and of all that it began, also those that have ended.
double cpu_s_of_family(int process);
/// The process that began this backend, if it is a Postgres server on this machine.
std::optional<int> server_on_this_machine(int backend);

/// What was used between `begin` and `end`, however often, per completed workflow.
class meter {
 public:
  explicit meter(ground& on);
  void begin();
  void end(double runs);
  /// `what`: of which there were so many.
  void put(line& to, const std::string& what = "run") const;

 private:
  ground& on_;
  used before_, sum_;
  written wrote_before_, wrote_;
  double runs_ = 0;
};

}  // namespace fermata::bench
