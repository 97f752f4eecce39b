// SPDX-License-Identifier: Apache-2.0
#include "worker/build_id.hpp"
#include "worker/command_line.hpp"
#include "worker/module_host.hpp"
#include "worker/stop_signals.hpp"
#include "worker/worker_impl.hpp"

#include <fermata/journal.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace fermata::detail {

namespace {

/// The process log of `main`; the one before comes back at its end.
class main_log {
 public:
  explicit main_log(const worker_line& line)
      : sink_(STDERR_FILENO, line.format, line.least), before_(set_log_sink(&sink_)) {}
  ~main_log() { set_log_sink(before_); }
  main_log(const main_log&) = delete;
  main_log& operator=(const main_log&) = delete;

 private:
  line_sink sink_;
  log_sink* before_;
};

std::string names_of(std::string_view one, std::string_view many, const auto& table) {
  std::vector<std::string_view> names;
  for (const auto& [name, entry] : table) names.push_back(name);
  if (names.empty()) return fmt::format("no {}", one);
  return fmt::format("{} {}", names.size() == 1 ? one : many, fmt::join(names, ", "));
}

std::string build_of(const worker_options& options) {
  const std::string build = options.build ? *options.build : own_build_id();
  return build.empty() ? "unknown" : build;
}

/// "works on sqlite:orders.db as process 4711 (build 1f3a…): workflow place_order, steps charge_card,
/// ship; queue default, namespace default".
std::string start_sentence(worker::impl& inside, const worker_line& line) {
  const worker_options& options = inside.options();
  return fmt::format(
      "works on {} as process {} (build {}): {}, {}; {} {}, namespace {}",
      line.journal.empty() ? "its program's journal" : line.journal, ::getpid(), build_of(options),
      names_of("workflow", "workflows", inside.serves().workflows()),
      names_of("step", "steps", inside.serves().steps()),
      options.queues.size() == 1 ? "queue" : "queues", queues_text(options.queues), options.ns);
}

/// The journal of the command line, unless the program gave one and nobody asks for another.
void open_journal(worker::impl& inside, const worker_line& line) {
  if (line.journal.empty() && inside.where()) return;
  if (line.journal.empty())
    throw error(codes::no_journal,
                "the worker needs a journal: give --journal sqlite:FILE or "
                "postgres://USER@HOST/DATABASE, or set FERMATA_JOURNAL");
  for (;;) {
    try {
      return inside.open(fermata::open(
          line.journal, {.ns = inside.options().ns,
                         .create = line.create,
                         .warn = [](std::string_view what) { say(level::warning, what); }}));
    } catch (const error& why) {
      // Whoever starts first, database or worker: it begins when both are there.
      if (why.code() != codes::database_away.code) throw;
      say(level::warning, fmt::format("waiting for the database: {}", why.what()));
    }
  }
}

bool is_missing_file(const error& why, const worker_line& line) {
  constexpr std::string_view scheme = "sqlite:";
  if (why.code() != codes::not_a_journal.code || !line.journal.starts_with(scheme)) return false;
  const std::string path =
      line.journal.substr(scheme.size(), line.journal.find('?') - scheme.size());
  std::error_code ignored;
  return !std::filesystem::exists(path, ignored);
}

int exit_code_of(const error& why, const worker_line& line) {
  if (dynamic_cast<const module_not_found*>(&why) || is_missing_file(why, line))
    return exit_not_found;
  return why.code() == codes::no_journal.code ? exit_usage : exit_failed;
}

void complain(const std::string& program, const worker_line& line, const std::string& sentence,
              const std::string& code) {
  if (line.format == log_format::json)
    say(level::error, sentence, {{"code", code}});
  else
    fmt::print(stderr, "{}: {}\n", program, sentence);
}

void work(worker& serves, const worker_line& line) {
  worker::impl& inside = serves.inside();
  module_host modules(serves);
  for (const std::string& file : line.modules) {
    const loaded_module& now = modules.load(file);
    say(level::debug, "loaded a module",
        {{"module", now.name}, {"file", file}, {"build", now.build}});
  }
  if (inside.serves().steps().empty() && inside.serves().workflows().empty())
    throw error(codes::worker_misuse,
                "this worker serves nothing: call worker.serve before fermata::main");
  open_journal(inside, line);
  const bool tell = line.format == log_format::text && ::isatty(STDERR_FILENO) == 1;
  const stop_signals signals(
      &inside, [](void* whom) noexcept { static_cast<worker::impl*>(whom)->stop(); },
      [](void* whom) noexcept { static_cast<worker::impl*>(whom)->stop_now(); }, tell);
  say(level::info, start_sentence(inside, line));
  serves.run();
  say(level::info, signals.came() ? "stopped by a signal" : "stopped");
}

}  // namespace

int worker_main(worker& serves, int argc, char** argv, bool takes_modules) {
  worker_line line;
  if (const auto answer =
          read_command_line(argc, argv, takes_modules, serves.inside().options(), line)) {
    fmt::print(answer->code == exit_done ? stdout : stderr, "{}", answer->text);
    return answer->code;
  }
  const main_log log(line);
  const std::string program = program_name(argc, argv);
  try {
    work(serves, line);
    return exit_done;
  } catch (const error& why) {
    complain(program, line, sentence_of(why), why.code());
    return exit_code_of(why, line);
  } catch (const std::exception& why) {
    complain(program, line, why.what(), "");
    return exit_failed;
  }
}

}  // namespace fermata::detail

namespace fermata {

int main(worker& serves, int argc, char** argv) {
  return detail::worker_main(serves, argc, argv, false);
}

}  // namespace fermata
