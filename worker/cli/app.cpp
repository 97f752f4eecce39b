// SPDX-License-Identifier: Apache-2.0
// From arguments to a command, and from an error to a sentence.
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"
#include "worker/version.hpp"

#include <CLI/Config.hpp>
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

namespace fermata::cli {

parser::parser(const command& which) : app(std::string(which.summary)) {
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  act = which.declare(app);
  app.add_option("-j,--journal", common.journal,
                 "of the journal, such as sqlite:orders.db; else $FERMATA_JOURNAL")
      ->type_name("ADDRESS")
      ->group("Common");
  app.add_option("--namespace", common.ns, "namespace (default)")
      ->type_name("NAME")
      ->group("Common");
  app.add_option("-o,--output", common.output, "table, wide, json, jsonl or ids")
      ->type_name("FORMAT")
      ->group("Common");
  app.add_option("--time", common.times, "relative, iso or raw")
      ->type_name("STYLE")
      ->group("Common");
  app.add_flag("-y,--yes", common.yes, "don't ask before acting on several runs")->group("Common");
  app.add_flag("-h,--help", help, "this text")->group("Common");
}

namespace {

/// -o of the arguments, read before they are understood: errors are printed in that form, too.
bool wants_json(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& one = arguments[i];
    for (const std::string_view flag : {"-o", "--output"}) {
      std::string value;
      if (one == flag && i + 1 < arguments.size())
        value = arguments[i + 1];
      else if (one.starts_with(std::string(flag) + "="))
        value = one.substr(flag.size() + 1);
      else if (flag == "-o" && one.starts_with("-o") && one.size() > 2)
        value = one.substr(2);
      if (value == "json" || value == "jsonl") return true;
    }
  }
  return false;
}

int report(const error& problem, world& where, bool as_json) {
  const int code = exit_code_of(problem.code());
  if (as_json) {
    boost::json::object out = document("error");
    out["code"] = problem.code();
    out["message"] = bare_message(problem.what());
    if (const code_info* known = code_named(problem.code())) {
      out["meaning"] = known->meaning;
      out["remedy"] = known->remedy;
    }
    out["run"] =
        problem.run().empty() ? boost::json::value(nullptr) : boost::json::value(problem.run());
    out["exit"] = code;
    print_line(where.err, out);
    return code;
  }
  const bool colour = where.err_is_terminal && !where.variable("NO_COLOR");
  where.err << painted("fermata:", tint::red, colour) << ' ' << sentence_of(problem) << '\n';
  return code;
}

/// Global flags may stand before the verb: the first argument that isn't one of them is the verb.
std::size_t verb_at(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& one = arguments[i];
    if (!one.starts_with('-')) return i;
    const bool takes_value = one == "-j" || one == "--journal" || one == "--namespace" ||
                             one == "-o" || one == "--output" || one == "--time";
    if (takes_value) ++i;
  }
  return arguments.size();
}

[[noreturn]] void unknown_verb(const std::string& verb) {
  std::vector<std::string> names;
  for (const command& one : commands()) names.emplace_back(one.name);
  const std::string guess = did_you_mean(near_names(verb, names));
  throw usage_error(fmt::format("there is no command '{}'{}", clean(verb),
                                guess.empty() ? "; `fermata help` lists them" : guess));
}

/// Whoever reads a file or a pipe must not take half of it for the whole.
void check_written(std::ostream& out) {
  out.flush();
  if (out.fail())
    throw refusal(
        codes::output_lost,
        "standard output couldn't be written to: it is full or closed; what was asked for "
        "may have been done");
}

int carry_out(const command& which, std::vector<std::string> arguments, world& where) {
  parser p(which);
  const bool asks_help = std::ranges::any_of(
      arguments, [](const std::string& one) { return one == "-h" || one == "--help"; });
  if (asks_help) {
    print_help(where.out, which, where.out_is_terminal && !where.variable("NO_COLOR"));
    return done;
  }
  std::reverse(arguments.begin(), arguments.end());
  try {
    p.app.parse(arguments);
  } catch (const CLI::ParseError& problem) {
    std::string text = problem.what();
    if (const std::size_t end = text.find('\n'); end != std::string::npos) text.resize(end);
    throw usage_error(fmt::format("{}; the usual call is: {} (`fermata help {}` tells more)",
                                  bare_message(text), which.usage, which.name));
  }
  session s(where, p.common, which.journal);
  return p.act(s);
}

}  // namespace

int run(const std::vector<std::string>& arguments, world& where) {
  const bool colour = where.out_is_terminal && !where.variable("NO_COLOR");
  try {
    const std::size_t at = verb_at(arguments);
    const auto first = [&](std::string_view flag, std::string_view name) {
      return !arguments.empty() && (arguments[0] == flag || arguments[0] == name);
    };
    if (first("-V", "--version")) {
      where.out << detail::version_banner("fermata") << '\n';
      check_written(where.out);
      return done;
    }
    if (at == arguments.size()) {
      if (!arguments.empty() && !first("-h", "--help"))
        throw usage_error("a command is missing; `fermata help` lists them");
      print_overview(where.out, colour);
      check_written(where.out);
      return done;
    }
    const command* which = command_named(arguments[at]);
    if (which == nullptr) unknown_verb(arguments[at]);
    std::vector<std::string> rest = arguments;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
    const int code = carry_out(*which, std::move(rest), where);
    check_written(where.out);
    return code;
  } catch (const error& problem) {
    where.out.flush();
    return report(problem, where, wants_json(arguments));
  } catch (const std::exception& problem) {
    where.out.flush();
    return report(error(codes::input_output, problem.what()), where, wants_json(arguments));
  }
}

}  // namespace fermata::cli
