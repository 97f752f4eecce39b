// SPDX-License-Identifier: Apache-2.0
#include "worker/command_line.hpp"

#include "worker/durations.hpp"
#include "worker/version.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <memory>

namespace fermata::detail {

namespace {

constexpr int concurrency_max = 10'000;
constexpr int max_runs_max = 1'000'000;

CLI::Validator is_duration() {
  return CLI::Validator(
      [](std::string& text) {
        return parse_duration(text) ? std::string()
                                    : fmt::format("'{}' isn't {}", text, duration_example);
      },
      "DURATION");
}

/// "gpu", "gpu=4".
served_queue read_queue(const std::string& text) {
  const std::size_t at = text.rfind('=');
  if (at == std::string::npos) return text;
  return {text.substr(0, at), std::atoi(text.c_str() + at + 1)};
}

CLI::Validator is_queue() {
  return CLI::Validator(
      [](std::string& text) {
        const std::size_t at = text.rfind('=');
        if (at == std::string::npos) return std::string();
        const std::string number = text.substr(at + 1);
        const bool digits = !number.empty() && number.size() <= 5 &&
                            number.find_first_not_of("0123456789") == std::string::npos;
        const int places = digits ? std::atoi(number.c_str()) : 0;
        return places >= 1 && places <= concurrency_max
                   ? std::string()
                   : fmt::format(
                         "'{}' isn't a queue: NAME, or NAME=N for N of its steps at once, "
                         "1 to {}",
                         text, concurrency_max);
      },
      "");
}

std::string examples(const std::string& program, bool takes_modules) {
  const std::string call = program + (takes_modules ? " --module liborders.so" : "");
  return fmt::format(
      "Examples:\n"
      "  {0} --journal sqlite:orders.db\n"
      "  FERMATA_JOURNAL=sqlite:orders.db {0} --queue default --queue mail --concurrency 16\n"
      "  {0} --journal sqlite:orders.db --queue gpu=4\n"
      "  {0} --journal sqlite:orders.db --own-build-only --drain-grace 30s\n"
      "\n"
      "SIGTERM or SIGINT: claims no more, lets attempts in flight end, gives its runs back.\n"
      "The second one gives everything back at once.\n"
      "Exit codes: 0 stopped, 1 failed, 2 usage, 4 not found.",
      call);
}

/// Texts that are converted when all is read.
struct raw_flags {
  std::string build, drain_grace;
  std::vector<std::string> queues;
  std::string record_input, format = "text", least = "info";
  bool no_create = false, version = false;
};

void add_flags(CLI::App& app, raw_flags& raw, worker_options& options, worker_line& line) {
  app.add_option("--journal", line.journal,
                 "Where runs are kept: sqlite:FILE, postgres://… or memory:")
      ->envname("FERMATA_JOURNAL")
      ->type_name("ADDRESS");
  app.add_flag("--no-create", raw.no_create, "Fail when the journal isn't there");
  app.add_option("--namespace", options.ns, "Its namespace; it sees no other")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--queue", raw.queues,
                 "Serve this queue; may be repeated. With a number, so many of its steps at once")
      ->type_name("NAME[=N]")
      ->allow_extra_args(false)
      ->check(is_queue())
      ->default_str(queues_text(options.queues));
  app.add_option("--concurrency", options.concurrency,
                 "Steps at once, those of queues with a number apart")
      ->check(CLI::Range(1, concurrency_max))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--max-runs", options.max_runs, "Runs that it owns at once")
      ->check(CLI::Range(1, max_runs_max))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--build", raw.build, "Stamped on runs instead of the binary's build id")
      ->type_name("TEXT");
  app.add_flag("--own-build-only", options.own_build_only,
               "Take only runs that its own build began");
  app.add_option("--record-input", raw.record_input,
                 "What a step that has ended keeps of its input: full (up to 1 KB) or hash")
      ->check(CLI::IsMember({"full", "hash"}))
      ->default_str(options.record_input == record_input::hash ? "hash" : "full");
  app.add_option("--drain-grace", raw.drain_grace, "For attempts in flight when it stops")
      ->check(is_duration())
      ->default_str(format_duration(options.drain_grace));
  app.add_option("--log-format", raw.format, "text or json, on standard error")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--log-level", raw.least, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app.add_flag("--version", raw.version, "Print the version and end");
}

void apply(const raw_flags& raw, worker_options& options, worker_line& line) {
  if (!raw.queues.empty()) options.queues.clear();
  for (const std::string& queue : raw.queues) options.queues.push_back(read_queue(queue));
  if (!raw.build.empty()) options.build = raw.build;
  if (!raw.record_input.empty())
    options.record_input = raw.record_input == "hash" ? record_input::hash : record_input::full;
  if (const auto grace = parse_duration(raw.drain_grace)) options.drain_grace = *grace;
  line.create = !raw.no_create;
  line.format = raw.format == "json" ? log_format::json : log_format::text;
  line.least = level_named(raw.least).value_or(level::info);
}

}  // namespace

std::string queues_text(const std::vector<served_queue>& queues) {
  std::string text;
  for (const served_queue& queue : queues) {
    text += (text.empty() ? "" : " ") + queue.name;
    if (queue.concurrency > 0) text += fmt::format("={}", queue.concurrency);
  }
  return text;
}

std::string program_name(int argc, const char* const* argv) {
  const std::string_view path = argc > 0 ? argv[0] : "fermata-worker";
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string sentence_of(const error& why) {
  const std::string what = why.what();
  const std::string code = "[" + why.code() + "]";
  return what.find(code) != std::string::npos ? what : what + " " + code;
}

std::optional<answered> read_command_line(int argc, const char* const* argv, bool takes_modules,
                                          worker_options& options, worker_line& line) {
  const std::string program = program_name(argc, argv);
  CLI::App app("Claims runs of a journal and executes their workflows and steps.", program);
  app.footer(examples(program, takes_modules));
  raw_flags raw;
  if (takes_modules)
    app.add_option("--module", line.modules, "Serve what this library has; may be repeated")
        ->type_name("FILE")
        ->allow_extra_args(false);
  add_flags(app, raw, options, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return answered{exit_done, app.help()};
  } catch (const CLI::ParseError& why) {
    return answered{exit_usage, fmt::format("{}: {}; see {} --help [FER-4001]\n", program,
                                            why.what(), program)};
  }
  if (raw.version) return answered{exit_done, version_banner(program) + "\n"};
  if (takes_modules && line.modules.empty())
    return answered{exit_usage, fmt::format("{}: it needs a module to serve: --module FILE; see {} "
                                            "--help [FER-4001]\n",
                                            program, program)};
  apply(raw, options, line);
  return std::nullopt;
}

}  // namespace fermata::detail
