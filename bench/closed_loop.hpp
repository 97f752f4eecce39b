// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/host.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fermata::bench {

struct completed {
  double per_s = 0;
  std::vector<double> latencies;  // from start to result, of all that completed
};

/// Keeps so many ten-step runs in flight for that time: whenever one has ended, another is started, as
/// the next of `numbers`. `clients`: threads that start and await; 0: one for each run.
completed closed_loop(client& by, std::atomic<std::int64_t>& numbers, int in_flight, int clients,
                      double seconds, std::size_t payload_bytes);

}  // namespace fermata::bench
