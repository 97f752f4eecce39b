// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/address.hpp"

#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <istream>
#include <map>
#include <ostream>

namespace fermata::cli {

namespace {

constexpr std::size_t shown_candidates = 10;

/// What an id could begin with: with run_, or at least four characters of Crockford's alphabet.
bool may_be_id(std::string_view name) {
  if (name.starts_with("run_")) return true;
  return name.size() >= 4 && name.size() <= 26 && std::ranges::all_of(name, [](char c) {
           constexpr std::string_view letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
           return letters.find(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c)) !=
                  std::string_view::npos;
         });
}

[[noreturn]] void ambiguous(std::string_view name, std::string_view how,
                            const std::vector<engine::run_row>& rows, bool by_key) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size() && i < shown_candidates; ++i)
    names.push_back(by_key ? clean(rows[i].workflow) + "/" + clean(rows[i].key)
                           : rows[i].run.text());
  if (rows.size() > shown_candidates) names.emplace_back("…");
  throw refusal(codes::ambiguous_id,
                fmt::format("{} '{}' fits {}: {}; {}", how, clean(name),
                            by_key ? "several workflows" : "several runs", join(names, ", "),
                            by_key ? "write WORKFLOW/KEY" : "give more of the id"));
}

[[noreturn]] void unknown(session& s, std::string_view name) {
  std::vector<std::string> keys;
  engine::run_query recent;
  recent.space = s.ns();
  recent.at_most = 500;
  if (const auto rows = s.store().list(recent); rows.ok())
    for (const engine::run_row& row : *rows)
      if (!row.key.empty()) keys.push_back(row.key);
  const std::string guess = did_you_mean(near_names(name, keys));
  throw refusal(
      codes::unknown_run,
      fmt::format("no run has the key or id '{}' in namespace '{}'{}{}", clean(name), s.ns(), guess,
                  guess.empty() ? "; `fermata list` shows what there is" : ""));
}

std::vector<engine::run_row> by_key(session& s, std::string_view name) {
  std::vector<engine::run_row> rows;
  if (name.empty() || name.starts_with("run_")) return rows;
  rows = must(s.store().find_key(s.ns(), "", name));
  for (std::size_t slash = name.find('/'); rows.empty() && slash != std::string_view::npos;
       slash = name.find('/', slash + 1))
    if (slash > 0 && slash + 1 < name.size())
      rows = must(s.store().find_key(s.ns(), name.substr(0, slash), name.substr(slash + 1)));
  return rows;
}

std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    line.erase(0, line.find_first_not_of(" \t\r"));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::string answer_of(session& s, bool stdin_is_used) {
  std::string answer;
  if (stdin_is_used) {
    std::ifstream terminal("/dev/tty");
    std::getline(terminal, answer);
  } else {
    std::getline(s.where().in, answer);
  }
  return answer;
}

}  // namespace

engine::run_row find(session& s, std::string_view name) {
  const std::vector<engine::run_row> keyed = by_key(s, name);
  if (keyed.size() > 1) ambiguous(name, "the key", keyed, true);
  if (keyed.size() == 1) return keyed.front();
  if (!may_be_id(name)) unknown(s, name);
  if (const auto id = engine::run_id::parse(name)) {
    auto row = s.store().find_run(*id);
    if (absl::IsNotFound(row.status())) unknown(s, name);
    return must(std::move(row), id->text());
  }
  const auto rows = must(s.store().find_prefix(name, shown_candidates + 1));
  if (rows.size() > 1) ambiguous(name, "the prefix", rows, false);
  if (rows.empty()) unknown(s, name);
  return rows.front();
}

std::vector<engine::run_row> find_all(session& s, const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    if (name != "-") {
      all.push_back(name);
      continue;
    }
    for (std::string& line : lines_of(s.where().in)) all.push_back(std::move(line));
  }
  std::vector<engine::run_row> rows;
  for (const std::string& name : all) {
    engine::run_row row = find(s, name);
    if (std::ranges::none_of(rows, [&](const auto& one) { return one.run == row.run; }))
      rows.push_back(std::move(row));
  }
  return rows;
}

bool agreed(session& s, std::string_view verb, const std::vector<engine::run_row>& runs) {
  if (runs.size() <= 1 || s.yes()) return true;
  std::map<std::string, int> by_state;
  for (const engine::run_row& row : runs) ++by_state[state_text(row)];
  std::vector<std::string> parts;
  for (const auto& [state, n] : by_state) parts.push_back(fmt::format("{} {}", n, state));
  const std::string counted =
      fmt::format("This will {} {} runs: {}.", verb, runs.size(), join(parts, ", "));
  if (!s.where().err_is_terminal) throw usage_error(counted + " Say --yes to do it");
  s.err() << counted << " Go on? [y/N] " << std::flush;
  const std::string answer = answer_of(s, !s.where().in_is_terminal);
  if (answer == "y" || answer == "Y" || answer == "yes") return true;
  s.err() << "Nothing was done.\n";
  return false;
}

std::size_t telling_length(const std::vector<engine::run_row>& runs) {
  std::vector<std::string> ids;
  for (const engine::run_row& row : runs) ids.push_back(row.run.text());
  std::sort(ids.begin(), ids.end());
  std::size_t length = 16;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    const auto differ = std::ranges::mismatch(ids[i - 1], ids[i]).in1 - ids[i - 1].begin();
    length = std::max(length, static_cast<std::size_t>(differ) + 2);
  }
  return std::min<std::size_t>(length, 30);
}

}  // namespace fermata::cli
