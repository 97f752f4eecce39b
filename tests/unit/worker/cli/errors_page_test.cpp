// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/errors.hpp"

#include <fermata/codes.hpp>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace {

std::string_view group_of(std::string_view code) {
  const std::string_view digits = code.substr(4, 2);
  if (digits == "11") return "Outcomes that code sees";
  if (digits == "12") return "Changed code and poison";
  if (digits == "13") return "Requests of clients";
  if (digits == "14") return "Limits";
  if (digits == "20") return "Opening a journal";
  if (digits == "21") return "The store";
  if (digits == "30") return "Workers";
  if (digits == "31") return "Modules";
  return "The command line";
}

std::string page() {
  std::string out =
      "# Error codes\n\n"
      "Every error of Fermata ends with a code such as `[FER-1302]`. The number never changes its "
      "meaning. "
      "This page is made from\n`include/fermata/codes.hpp` by `FERMATA_WRITE_DOCS=1 unit_cli`, and "
      "a "
      "test compares them. `fermata help FER-1302` prints an entry; *exit* is what the\ncommand "
      "`fermata` ends with.\n";
  std::string_view group;
  for (const fermata::code_info& one : fermata::all_codes()) {
    if (const std::string_view now = group_of(one.code); now != group) {
      group = now;
      out += fmt::format("\n## {}xx: {}\n", one.code.substr(4, 2), group);
    }
    out += fmt::format("\n### {}\n\n{}\n\n*What to do*: {} *Exit*: {}\n", one.code, one.meaning,
                       one.remedy, fermata::cli::exit_code_of(one.code));
  }
  return out;
}

/// Every FER-1234 in a text.
void add_codes(std::string_view text, std::set<std::string>& found) {
  constexpr std::string_view begin = "FER-";
  for (std::size_t at = text.find(begin); at != std::string_view::npos;
       at = text.find(begin, at + 1)) {
    const std::string_view digits = text.substr(at + begin.size(), 4);
    if (digits.size() == 4 && digits.find_first_not_of("0123456789") == std::string_view::npos)
      found.emplace(text.substr(at, begin.size() + 4));
  }
}

/// … in the sources of one folder.
std::set<std::string> codes_in(const std::string& folder) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const auto suffix = entry.path().extension();
    if (suffix != ".hpp" && suffix != ".cpp") continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    add_codes(text, found);
  }
  return found;
}

}  // namespace

TEST_CASE("every code that the sources name is one of the list, and the other way round") {
  std::set<std::string> named;
  for (const char* room : {"/include", "/src", "/engine", "/worker"})
    named.merge(codes_in(std::string(FERMATA_SOURCE) + room));
  std::set<std::string> listed;
  for (const fermata::code_info& one : fermata::all_codes()) listed.insert(std::string(one.code));

  for (const std::string& code : named) CHECK_MESSAGE(listed.contains(code), code);
  for (const std::string& code : listed) CHECK_MESSAGE(named.contains(code), code);
}

TEST_CASE("docs/errors.md has every code with its meaning and its remedy, and no other") {
  const std::string path = FERMATA_SOURCE "/docs/errors.md";
  if (std::getenv("FERMATA_WRITE_DOCS") != nullptr) std::ofstream(path) << page();

  std::ifstream file(path);
  const std::string written{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};

  CHECK_MESSAGE(written == page(), "run FERMATA_WRITE_DOCS=1 unit_cli");
}

TEST_CASE("each code says what to do, in a sentence") {
  for (const fermata::code_info& one : fermata::all_codes()) {
    CAPTURE(one.code);
    CHECK(one.meaning.ends_with('.'));
    CHECK(one.remedy.ends_with('.'));
  }
}

TEST_CASE("an error's sentence ends with what to do and one code") {
  using namespace fermata;
  CHECK(cli::sentence_of(error(codes::run_ended, "run run_1 has ended [FER-1303]")) ==
        "run run_1 has ended. Start a new run, or continue this one with `fermata retry RUN`. "
        "[FER-1303]");
  CHECK(cli::sentence_of(cli::usage_error("say which run")) == "say which run. [FER-4001]");
}
