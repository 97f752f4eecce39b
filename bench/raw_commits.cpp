// SPDX-License-Identifier: Apache-2.0
#include "bench/raw_commits.hpp"

#include <chrono>
#include <thread>

namespace fermata::bench {

std::vector<double> raw_commits::idle(int count) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    times.push_back(commit());
  }
  return times;
}

std::vector<double> raw_commits::back_to_back(int count) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) times.push_back(commit());
  return times;
}

}  // namespace fermata::bench
