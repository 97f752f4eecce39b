// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/fermata.hpp>

#include <memory>
#include <string>
#include <vector>

namespace fermata::bench {

/// A run that ends at once.
constexpr inline workflow<int(int)> no_op{"no_op"};

/// Worker processes: this program anew, with the verb `serve`.
class workers {
 public:
  /// Returns when all have opened the journal.
  workers(const std::string& journal, int processes, int slots);
  ~workers();
  workers(const workers&) = delete;

  /// Lets them work.
  void go();
  /// Lets them drain and waits until they have ended. Returns the seconds of processor time that they
  /// took altogether. A worker that failed ends this program.
  double stop();

 private:
  struct process {
    int id = 0;
    int to = -1;    // a byte: work; the end: stop
    int from = -1;  // a byte: ready
  };
  std::vector<process> all_;
};

/// What such a process does: works on `no_op` between the byte that lets it and the end of its input.
/// Returns: the exit code.
int serve(const std::string& journal, int slots);

}  // namespace fermata::bench
