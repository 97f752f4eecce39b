// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/limits.hpp"
#include "engine/replay/operation.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fermata::runtime {

/// A queue whose steps have places of their own.
struct own_places {
  std::string queue;
  int concurrency = 0;
};

struct loop_options {
  int concurrency = 64;
  std::vector<own_places> places;
  int max_runs = 1000;
  std::vector<std::string> queues = {"default"};
  std::string build;
  engine::step_plan defaults;
  std::size_t record_input_max = engine::limits::recorded_input_max;
  std::size_t frames_max = engine::limits::live_frames;
  bool own_build_only = false;
  bool evict_always = false;    // the testing kit: frames leave memory after every append
  bool inline_commits = false;  // the testing kit: everything on one thread
  std::int64_t retry_us = engine::limits::store_retry_ms * 1000;  // while the store can't be used
};

}  // namespace fermata::runtime
