// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

std::vector<std::string> flags_of(const command& which) {
  const parser p(which);
  std::vector<std::string> flags;
  for (const CLI::Option* one : p.app.get_options())
    for (const std::string& name : one->get_lnames()) flags.push_back("--" + name);
  return flags;
}

bool takes_run(const command& which) {
  const parser p(which);
  for (const CLI::Option* one : p.app.get_options())
    if (one->get_positional() && one->get_name(true) == "RUN") return true;
  return false;
}

/// In single quotes, for any of the shells.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

void bash(std::ostream& out) {
  std::vector<std::string> names;
  for (const command& one : commands()) names.emplace_back(one.name);
  out << "# fermata completion for bash: source <(fermata completion bash)\n"
         "_fermata() {\n"
         "  local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" "
         "verb=\"\" i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"${COMP_WORDS[i]}\" in -*) ;; *) verb=\"${COMP_WORDS[i]}\"; break ;; esac\n"
         "  done\n"
         "  case \"$before\" in\n"
         "    -o|--output) COMPREPLY=($(compgen -W 'table wide json jsonl ids' -- \"$word\")); "
         "return ;;\n"
         "    --time) COMPREPLY=($(compgen -W 'relative iso raw' -- \"$word\")); return ;;\n"
         "    --state) COMPREPLY=($(compgen -W 'waiting_to_start running compensating completed "
         "failed "
         "cancelled terminated continued expired' -- \"$word\")); return ;;\n"
         "    -w|--workflow) COMPREPLY=($(compgen -W \"$(fermata completion workflows "
         "2>/dev/null)\" "
         "-- \"$word\")); return ;;\n"
         "    --attention) COMPREPLY=($(compgen -W 'any none blocked quarantined paused "
         "needs_attention' -- \"$word\")); return ;;\n"
         "  esac\n"
         "  case \"$verb\" in\n";
  out << "    '') COMPREPLY=($(compgen -W " << quoted(join(names, " ")) << " -- \"$word\")) ;;\n";
  for (const command& one : commands()) {
    out << "    " << one.name << ")\n      case \"$word\" in\n        -*) COMPREPLY=($(compgen -W "
        << quoted(join(flags_of(one), " ")) << " -- \"$word\")) ;;\n";
    if (one.name == "completion")
      out << "        *) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$word\")) ;;\n";
    else if (one.name == "help")
      out << "        *) COMPREPLY=($(compgen -W " << quoted(join(names, " "))
          << " -- \"$word\")) ;;\n";
    else if (takes_run(one))
      out << "        *) COMPREPLY=($(compgen -W \"$(fermata completion runs 2>/dev/null)\" "
             "-- \"$word\")) ;;\n";
    else if (one.name == "start")
      out << "        *) COMPREPLY=($(compgen -W \"$(fermata completion workflows 2>/dev/null)\" "
             "-- \"$word\") $(compgen -f -- \"$word\")) ;;\n";
    else
      out << "        *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n";
    out << "      esac ;;\n";
  }
  out << "  esac\n}\ncomplete -F _fermata fermata\n";
}

void zsh(std::ostream& out) {
  out << "#compdef fermata\n# fermata completion for zsh\n_fermata() {\n  local -a verbs\n  "
         "verbs=(\n";
  for (const command& one : commands())
    out << "    " << quoted(fmt::format("{}:{}", one.name, one.summary)) << '\n';
  out << "  )\n  if (( CURRENT == 2 )); then _describe command verbs; return; fi\n"
         "  case \"$words[2]\" in\n";
  for (const command& one : commands()) {
    out << "    " << one.name << ") compadd -- " << join(flags_of(one), " ");
    if (one.name == "completion") out << " bash zsh fish";
    if (takes_run(one)) out << " ${(f)\"$(fermata completion runs 2>/dev/null)\"}";
    if (one.name == "start") out << " ${(f)\"$(fermata completion workflows 2>/dev/null)\"}";
    out << " ;;\n";
  }
  out << "  esac\n}\ncompdef _fermata fermata\n";
}

void fish(std::ostream& out) {
  out << "# fermata completion for fish\ncomplete -c fermata -f\n";
  for (const command& one : commands()) {
    out << "complete -c fermata -n __fish_use_subcommand -a " << one.name << " -d "
        << quoted(one.summary) << '\n';
    const parser p(one);
    for (const CLI::Option* option : p.app.get_options())
      for (const std::string& name : option->get_lnames())
        out << "complete -c fermata -n '__fish_seen_subcommand_from " << one.name << "' -l " << name
            << (option->get_items_expected_max() > 0 ? " -r" : "") << " -d "
            << quoted(option->get_description()) << '\n';
    if (takes_run(one))
      out << "complete -c fermata -n '__fish_seen_subcommand_from " << one.name
          << "' -a '(fermata completion runs 2>/dev/null)'\n";
  }
  out << "complete -c fermata -n '__fish_seen_subcommand_from start' -a '(fermata completion "
         "workflows 2>/dev/null)'\n";
  out << "complete -c fermata -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n";
}

/// What the scripts ask for: what people call the newest runs.
void runs(session& s) {
  constexpr std::size_t most = 50;
  engine::run_query newest;
  newest.space = s.ns();
  newest.at_most = most;
  for (const engine::run_row& row : must(s.store().list(newest))) s.out() << call_of(row) << '\n';
}

void workflows(session& s) {
  for (const engine::serving_row& row : must(s.store().serving()))
    if (row.kind == "workflow") s.out() << clean(row.name) << '\n';
}

}  // namespace

action declare_completion(CLI::App& flags) {
  const auto shell = std::make_shared<std::string>();
  flags.add_option("SHELL", *shell, "bash, zsh or fish")->required();
  return [shell](session& s) -> int {
    if (*shell == "bash")
      bash(s.out());
    else if (*shell == "zsh")
      zsh(s.out());
    else if (*shell == "fish")
      fish(s.out());
    else if (*shell == "runs")
      runs(s);
    else if (*shell == "workflows")
      workflows(s);
    else
      throw usage_error(
          fmt::format("completion is for bash, zsh or fish, not '{}'", clean(*shell)));
    return done;
  };
}

}  // namespace fermata::cli
