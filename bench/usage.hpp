// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/report.hpp"

#include <chrono>
#include <cstdint>

namespace fermata::bench {

/// Steady seconds.
inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What this process has used since it began: client, engine and database together.
struct used {
  double cpu_s = 0;
  std::uint64_t syncs = 0;       // fsync and fdatasync
  std::uint64_t wal_bytes = 0;   // written to files named *-wal
  std::uint64_t statements = 0;  // SQL statements, counted when they are reset
  std::uint64_t switches = 0;    // of threads: a wake-up costs one at least
};
used used_until_now();

/// Megabytes in memory: now, and at most since `forget_peak`.
double resident_mb();
double peak_mb();
void forget_peak();

/// What was used between its making and `put`, per completed workflow.
class meter {
 public:
  meter();
  void put(line& to, double runs) const;

 private:
  used before_;
};

}  // namespace fermata::bench
