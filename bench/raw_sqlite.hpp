// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

/// What the disk and SQLite give without an engine, in the minute of a measurement. Everything is
/// held against these.
namespace fermata::bench {

/// A journal-like database of one table: 120-byte rows in log order, WAL, synchronous=FULL.
class raw_commits {
 public:
  explicit raw_commits(const std::string& path);
  ~raw_commits();
  raw_commits(const raw_commits&) = delete;

  /// Commits one row. Returns seconds.
  double commit();
  /// A commit after the disk has rested, seconds each.
  std::vector<double> idle(int count);
  /// Commits one after the other, seconds each.
  std::vector<double> back_to_back(int count);

 private:
  struct files;
  files* const files_;
};

/// A single-threaded program that writes just what an engine must: events in log order with a unique
/// index on (run, seq) and an append-only trigger, a row of `runs` with a unique key at the start,
/// updated at the end; 180 bytes an event, 12 events a run, one commit a round.
/// Returns: completed runs per second.
double raw_workflows(const std::string& path, int in_flight, double seconds);

}  // namespace fermata::bench
