// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/host.hpp"
#include "bench/marks.hpp"

#include <fermata/fermata.hpp>

#include <boost/describe.hpp>
#include <memory>
#include <string>
#include <vector>

namespace fermata::bench {

/// A run that ends at once.
constexpr inline workflow<int(int)> no_op{"no_op"};

/// A run that sleeps until it is due, notes its number, and waits for ever.
struct nap {
  std::int64_t number = 0;
  std::int64_t due_ms = 0;  // since 1970
  std::string text;
};
BOOST_DESCRIBE_STRUCT(nap, (), (number, due_ms, text))
constexpr inline workflow<int(nap)> sleeper{"sleeper"};

/// A run that notes 0 when it begins, and n when the n-th of `step` signals has come.
constexpr inline fermata::signal<int> wake{"wake"};
constexpr inline workflow<int(work)> listener{"listener"};

/// Worker processes: this program anew, with the verb `serve`.
class workers {
 public:
  /// They serve `no_op`; with marks also `sleeper`, `listener`, and `ten_steps`, whose steps note
  /// themselves as `mark_of`. Returns when all have opened the journal.
  workers(const std::string& journal, int processes, int slots, const marks* noted = nullptr);
  ~workers();
  workers(const workers&) = delete;

  /// Lets them work.
  void go();
  /// Lets them drain and waits until they have ended. Returns the seconds of processor time that they
  /// took altogether. A worker that failed ends this program.
  double stop();
  /// Kills them (SIGKILL) and waits until they are gone.
  void kill();
  /// Megabytes in memory, of all.
  double resident_mb() const;

 private:
  struct process {
    int id = 0;
    int to = -1;    // a byte: work; the end: stop
    int from = -1;  // a byte: ready
  };
  std::vector<process> all_;
};

/// Of a step of `ten_steps`.
constexpr std::size_t mark_of(std::int64_t run, int step) {
  return static_cast<std::size_t>(run) * steps_per_run + static_cast<std::size_t>(step);
}

/// What such a process does: works between the byte that lets it and the end of its input.
/// `marks_at`: empty, or the address of marks.
/// Returns: the exit code.
int serve(const std::string& journal, int slots, const std::string& marks_at);

}  // namespace fermata::bench
