// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <CLI/App.hpp>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::cli {

/// What a command does; returns the exit code, or throws `error`.
using action = std::function<int(session&)>;

/// One verb. `commands()` is the only place that knows them all: help, completion and `help --json`
/// are made from it.
struct command {
  std::string_view name;
  std::string_view group;    // of the overview
  std::string_view summary;  // one sentence, without its full stop
  std::string_view usage;    // the usual call
  std::string_view examples[3];
  opening journal;
  std::string_view document;  // the `$type` that -o json prints; empty: none
  /// Adds its flags, and gives what runs once they are read.
  action (*declare)(CLI::App& flags);
};

std::span<const command> commands();
const command* command_named(std::string_view name);

/// The whole command: reads the arguments (without the program's name), does what they say.
int run(const std::vector<std::string>& arguments, world& where);

/// An app with one command and the flags that all have; for help and completion.
struct parser {
  explicit parser(const command& which);
  CLI::App app;
  common_flags common;
  bool help = false;
  action act;
};

// ---- help ----
void print_overview(std::ostream& out, bool colour);
void print_help(std::ostream& out, const command& which, bool colour);
boost::json::object describe_all();

// One file each.
action declare_start(CLI::App& flags);
action declare_list(CLI::App& flags);
action declare_show(CLI::App& flags);
action declare_trace(CLI::App& flags);
action declare_logs(CLI::App& flags);
action declare_result(CLI::App& flags);
action declare_signal(CLI::App& flags);
action declare_cancel(CLI::App& flags);
action declare_terminate(CLI::App& flags);
action declare_retry(CLI::App& flags);
action declare_explain(CLI::App& flags);
action declare_verify(CLI::App& flags);
action declare_sql(CLI::App& flags);
action declare_backup(CLI::App& flags);
action declare_migrate(CLI::App& flags);
action declare_status(CLI::App& flags);
action declare_doctor(CLI::App& flags);
action declare_completion(CLI::App& flags);
action declare_help(CLI::App& flags);

}  // namespace fermata::cli
