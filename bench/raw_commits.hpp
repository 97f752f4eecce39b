// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace fermata::bench {

/// Commits of one 120-byte row each, as durable as the engine's, by one bare connection: what a store
/// gives without an engine, in the minute of a measurement. Everything is held against these.
class raw_commits {
 public:
  virtual ~raw_commits() = default;

  /// Commits one row. Returns seconds.
  virtual double commit() = 0;
  /// Commits after the disk has rested, seconds each.
  std::vector<double> idle(int count);
  /// Commits one after the other, seconds each.
  std::vector<double> back_to_back(int count);
};

}  // namespace fermata::bench
