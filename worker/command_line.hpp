// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/log.hpp"

#include <fermata/worker.hpp>

#include <string>
#include <vector>

namespace fermata::detail {

/// Exit codes of all our programs.
enum exit_code : int { exit_done = 0, exit_failed = 1, exit_usage = 2, exit_not_found = 4 };

/// What a worker's command line says beyond `worker_options`.
struct worker_line {
  std::string journal;  // empty: neither --journal nor $FERMATA_JOURNAL
  bool create = true;
  std::vector<std::string> modules;
  log_format format = log_format::text;
  level least = level::info;
};

/// The command line is answered already: --help, --version, or a mistake in it.
struct answered {
  int code = exit_done;
  std::string text;  // for standard output when the code is 0, else for standard error
};

/// Reads the standard flags into `line` and, only those given, into `options`, whose values are the
/// defaults in --help. Empty: go on.
std::optional<answered> read_command_line(int argc, const char* const* argv, bool takes_modules,
                                          worker_options& options, worker_line& line);

/// "default gpu=4".
std::string queues_text(const std::vector<served_queue>& queues);

/// "orders-worker" of "/usr/bin/orders-worker".
std::string program_name(int argc, const char* const* argv);

/// One sentence for a person, its code at the end, once.
std::string sentence_of(const error& why);

/// `fermata::main`, also of `fermata-worker`, which loads modules before.
int worker_main(worker& serves, int argc, char** argv, bool takes_modules);

}  // namespace fermata::detail
