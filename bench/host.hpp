// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/ground.hpp"

#include <fermata/fermata.hpp>

#include <atomic>
#include <boost/describe.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

namespace fermata::bench {

/// Input and result of every step: as JSON of so many bytes.
struct work {
  std::int64_t run = 0;
  int step = 0;
  std::string text;
};
BOOST_DESCRIBE_STRUCT(work, (), (run, step, text))

/// The padding lets run and step grow to five digits each before the size does.
work make_work(std::int64_t run, int step, std::size_t bytes);

inline constexpr int steps_per_run = 10;
inline constexpr step<work(work)> do_nothing{"do_nothing"};
inline constexpr workflow<work(work)> ten_steps{"ten_steps"};
task<work> run_ten_steps(context& ctx, work input);

/// How often each step of each run was begun.
class executions {
 public:
  void note(const work& what) noexcept;
  /// Of the runs 1 … `completed`: steps that never ran, and steps that ran again.
  struct verdict {
    std::int64_t lost = 0, repeated = 0;
  };
  verdict judge(std::int64_t completed) const;
  executions();
  ~executions();
  executions(const executions&) = delete;

 private:
  std::atomic<std::uint8_t>* const counts_;
};

/// A new journal, and a worker on it in this process.
class host {
 public:
  host(ground& on, worker_options options);
  ~host();
  host(const host&) = delete;

  /// Once the worker serves all it should.
  void run();
  /// Until nothing has been committed for a while.
  void wait_until_quiet();

  fermata::journal journal;
  fermata::worker worker;
  fermata::client client;
  executions ran;

 private:
  ground& on_;
  std::thread working_;
};

}  // namespace fermata::bench
