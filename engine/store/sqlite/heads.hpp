// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"
#include "engine/event/kind.hpp"

#include <cstdint>
#include <unordered_map>

namespace fermata::engine::sqlite {

class connection;

/// What an append asks of a run before it is written: where its journal ends, and whose it is.
struct run_head {
  run_id run;
  chain_id chain;
  position_t position = 0;
  chain_hash hash{};
  std::int64_t owner = 0;
  epoch_t epoch = 0;
  std::int64_t space = 0;
  bool ended = false;
};

/// Heads of runs that this connection has lately written. True as long as nobody else has written,
/// which `PRAGMA data_version` tells under the lock: then all are forgotten.
/// So a plain step's append reads nothing before it inserts.
class heads {
 public:
  /// The head of this row; null when there is no such run. Valid until the next call.
  run_head* find(connection& db, std::int64_t row);
  run_head& put(std::int64_t row, const run_head& head);
  void erase(std::int64_t row) { known_.erase(row); }
  void clear() { known_.clear(); }

 private:
  std::unordered_map<std::int64_t, run_head> known_;
};

}  // namespace fermata::engine::sqlite
