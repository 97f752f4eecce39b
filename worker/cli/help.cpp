// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"
#include "worker/version.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <ostream>

namespace fermata::cli {

namespace json = boost::json;

namespace {

bool is_positional(const CLI::Option& option) { return option.get_positional(); }

/// "-j, --journal ADDRESS"
std::string flag_text(const CLI::Option& option) {
  if (is_positional(option)) return option.get_name(true);
  std::vector<std::string> names;
  for (const std::string& one : option.get_snames()) names.push_back("-" + one);
  for (const std::string& one : option.get_lnames()) names.push_back("--" + one);
  std::string text = join(names, ", ");
  if (option.get_items_expected_max() == 0) return text;
  const bool may_be_bare = option.get_items_expected_min() == 0;
  return text + (may_be_bare ? " [" + option.get_type_name() + "]" : " " + option.get_type_name());
}

std::vector<std::string> groups_of(const CLI::App& app) {
  std::vector<std::string> groups;
  for (const CLI::Option* one : app.get_options())
    if (!is_positional(*one) && std::ranges::find(groups, one->get_group()) == groups.end())
      groups.push_back(one->get_group());
  return groups;
}

void print_flags(std::ostream& out, const std::string& title,
                 const std::vector<const CLI::Option*>& options, bool colour, std::size_t wide) {
  if (options.empty()) return;
  out << '\n' << painted(title, tint::bold, colour) << '\n';
  for (const CLI::Option* one : options) {
    const std::string name = flag_text(*one);
    out << "  " << name << std::string(wide > name.size() ? wide - name.size() : 0, ' ') << "  "
        << one->get_description() << '\n';
  }
}

json::object flag_json(const CLI::Option& option) {
  json::object out;
  out["name"] = is_positional(option)         ? option.get_name(true)
                : option.get_lnames().empty() ? "-" + option.get_snames().front()
                                              : "--" + option.get_lnames().front();
  if (!is_positional(option) && !option.get_snames().empty())
    out["short"] = "-" + option.get_snames().front();
  out["description"] = option.get_description();
  out["positional"] = is_positional(option);
  out["required"] = option.get_required();
  out["value"] = option.get_items_expected_max() == 0 ? json::value(nullptr)
                                                      : json::value(option.get_type_name());
  out["several"] = option.get_items_expected_max() > 1;
  out["group"] = option.get_group();
  return out;
}

json::object command_json(const command& which) {
  const parser p(which);
  json::object out;
  out["name"] = which.name;
  out["group"] = which.group;
  out["summary"] = which.summary;
  out["usage"] = which.usage;
  json::array& examples = out["examples"].emplace_array();
  for (const std::string_view one : which.examples) examples.emplace_back(one);
  out["needs_journal"] = which.journal != opening::none;
  out["creates_journal"] = which.journal == opening::creating;
  out["document"] = which.document.empty() ? json::value(nullptr) : json::value(which.document);
  json::array& flags = out["flags"].emplace_array();
  for (const CLI::Option* one : p.app.get_options())
    if (one->get_group() != "Common") flags.push_back(flag_json(*one));
  return out;
}

int explain_code(session& s, const code_info& code) {
  if (s.as_json()) {
    json::object out = document("code");
    out["code"] = code.code;
    out["meaning"] = code.meaning;
    out["remedy"] = code.remedy;
    out["exit"] = exit_code_of(code);
    s.print(out);
    return done;
  }
  s.out() << s.paint(code.code, tint::bold) << "  " << code.meaning << "\n\n  " << code.remedy
          << '\n';
  return done;
}

/// "fer-1202" and "1202" mean FER-1202.
std::string code_of(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const bool number = text.size() == 4 && std::ranges::all_of(text, [](unsigned char c) {
                        return std::isdigit(c) != 0;
                      });
  return number ? "FER-" + text : text;
}

int list_codes(session& s) {
  if (s.as_json()) {
    json::object out = document("codes");
    json::array& all = out["codes"].emplace_array();
    for (const code_info& one : all_codes())
      all.push_back({{"code", one.code}, {"meaning", one.meaning}, {"remedy", one.remedy}});
    s.print(out);
    return done;
  }
  table t = s.make_table({{"CODE", false, 8}, {"MEANING", false, 20, true}});
  for (const code_info& one : all_codes())
    t.add({{std::string(one.code), tint::bold}, {std::string(one.meaning)}});
  t.print(s.out());
  return done;
}

}  // namespace

void print_overview(std::ostream& out, bool colour) {
  out << painted("fermata", tint::bold, colour)
      << ": durable workflows. It shows, explains and repairs runs in a journal.\n";
  std::string_view group;
  for (const command& one : commands()) {
    if (one.group != group) out << '\n' << painted(one.group, tint::bold, colour) << '\n';
    group = one.group;
    out << "  " << painted(one.name, tint::cyan, colour) << std::string(12 - one.name.size(), ' ')
        << one.summary << '\n';
  }
  out << '\n'
      << painted("First steps", tint::bold, colour) << '\n'
      << "  export FERMATA_JOURNAL=sqlite:orders.db    the journal that your worker uses\n"
      << "  fermata status                             is everything well?\n"
      << "  fermata list                               the newest runs\n"
      << "  fermata show KEY                           what happened to one of them\n"
      << "  fermata explain KEY                        why it isn't further\n\n"
      << painted(
             "`fermata help COMMAND` shows flags and examples. A run is named by its key, or by "
             "the\nbeginning of its id.",
             tint::dim, colour)
      << '\n';
}

void print_help(std::ostream& out, const command& which, bool colour) {
  const parser p(which);
  out << which.summary << ".\n\n"
      << painted("Usage", tint::bold, colour) << "\n  " << which.usage << '\n';
  std::vector<const CLI::Option*> positionals;
  std::size_t wide = 0;
  for (const CLI::Option* one : p.app.get_options()) {
    wide = std::max(wide, flag_text(*one).size());
    if (is_positional(*one)) positionals.push_back(one);
  }
  wide = std::min<std::size_t>(wide, 26);
  print_flags(out, "Arguments", positionals, colour, wide);
  for (const std::string& group : groups_of(p.app)) {
    std::vector<const CLI::Option*> options;
    for (const CLI::Option* one : p.app.get_options())
      if (!is_positional(*one) && one->get_group() == group) options.push_back(one);
    print_flags(out, group == "Options" ? "Flags" : group, options, colour, wide);
  }
  out << '\n' << painted("Examples", tint::bold, colour) << '\n';
  for (const std::string_view one : which.examples) out << "  " << one << '\n';
}

json::object describe_all() {
  json::object out = document("commands");
  out["version"] = detail::version_banner("fermata");
  json::array& verbs = out["commands"].emplace_array();
  for (const command& one : commands()) verbs.push_back(command_json(one));
  json::array& common = out["common_flags"].emplace_array();
  const parser p(commands().front());
  for (const CLI::Option* one : p.app.get_options())
    if (one->get_group() == "Common") common.push_back(flag_json(*one));
  json::array& exits = out["exit_codes"].emplace_array();
  for (const exit_meaning& one : exit_meanings)
    exits.push_back({{"code", one.code}, {"meaning", one.meaning}});
  json::array& errors = out["error_codes"].emplace_array();
  for (const code_info& one : all_codes())
    errors.push_back({{"code", one.code},
                      {"meaning", one.meaning},
                      {"remedy", one.remedy},
                      {"exit", exit_code_of(one)}});
  return out;
}

action declare_help(CLI::App& flags) {
  struct options {
    std::string what;
    bool as_json = false;
  };
  const auto o = std::make_shared<options>();
  flags.add_option("COMMAND", o->what,
                   "a command, an error code such as FER-1203, or codes: all of them");
  flags.add_flag("--json", o->as_json, "describe all commands, flags and codes for programs");
  return [o](session& s) -> int {
    if (o->as_json || (s.as_json() && o->what.empty())) {
      print_json(s.out(), describe_all());
      return done;
    }
    if (o->what.empty()) {
      print_overview(s.out(), s.colour());
      return done;
    }
    if (o->what == "codes") return list_codes(s);
    if (const code_info* code = code_named(code_of(o->what))) return explain_code(s, *code);
    const command* which = command_named(o->what);
    if (which == nullptr)
      throw usage_error(
          fmt::format("there is no command and no code '{}'; `fermata help` lists the "
                      "commands",
                      clean(o->what)));
    print_help(s.out(), *which, s.colour());
    return done;
  };
}

}  // namespace fermata::cli
