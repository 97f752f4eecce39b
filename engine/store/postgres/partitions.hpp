// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/server.hpp"

#include <cstdint>
#include <mutex>

namespace fermata::engine::postgres {

inline constexpr int partitions_ahead = 3;  // months, this one included

/// Sees to it that the events of the months to come have partitions of their own.
/// Threads: any.
class partitions {
 public:
  /// Asks the server when a month has begun that this process hasn't asked for; else does nothing. Where it
  /// can't be done just now, `events_rest` is there.
  void make_in_time(server& at);

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::int64_t month_ = 0;       // since 1970, that it was done for
  std::int64_t not_before_ = 0;  // steady µs
  bool said_ = false;
};

}  // namespace fermata::engine::postgres
