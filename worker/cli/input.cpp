// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/input.hpp"

#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <istream>
#include <iterator>

namespace fermata::cli {

namespace json = boost::json;

namespace {

std::string all_of(std::istream& in) {
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The line that holds `at`, as much of it as a person wants to see, and a caret below the place.
std::string pointed_at(const std::string& text, std::size_t at) {
  constexpr std::size_t around = 30;
  at = std::min(at, text.size());
  const std::size_t newline = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
  const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
  const std::size_t end = std::min(text.find('\n', at), text.size());
  const std::size_t from = at - begin > around ? at - around : begin;
  const std::size_t to = std::min(end, at + around);
  const std::string before = (from > begin ? "…" : "") + clean(text.substr(from, at - from));
  return fmt::format("  {}{}\n  {}^", before,
                     clean(text.substr(at, to - at)) + (to < end ? "…" : ""),
                     std::string(width_of(before), ' '));
}

std::string reason_of(const json::error_code& problem, const std::string& text, std::size_t at) {
  if (at >= text.size()) return "it ends too early";
  if (problem == json::error::extra_data) return "there is more behind its end";
  if (problem == json::error::too_deep) return "it is nested too deeply";
  return fmt::format("'{}' isn't expected here", clean(text.substr(at, 1)));
}

}  // namespace

std::string text_argument(session& s, const std::string& argument, std::string_view what) {
  if (argument == "-") return all_of(s.where().in);
  if (!argument.starts_with('@')) return argument;
  const std::string path = argument.substr(1);
  std::error_code none;
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, none))  // a folder opens, and then can't be read
    throw usage_error(fmt::format("{} can't be read from the file '{}'", what, clean(path)));
  return all_of(file);
}

json::value parse_argument(const std::string& text, std::string_view what) {
  json::stream_parser parser;
  json::error_code problem;
  std::size_t at = parser.write_some(text, problem);
  if (!problem && at < text.size() && text.find_first_not_of(" \t\r\n", at) != std::string::npos)
    problem = json::error::extra_data;
  if (!problem) {
    parser.finish(problem);
    at = problem ? text.size() : at;
  }
  if (!problem) return parser.release();
  const auto upto = text.begin() + static_cast<std::ptrdiff_t>(std::min(at, text.size()));
  const auto line = std::count(text.begin(), upto, '\n') + 1;
  const std::size_t newline = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
  const std::size_t column = at - (newline == std::string::npos ? 0 : newline + 1) + 1;
  throw refusal(
      codes::bad_input,
      fmt::format("{} isn't JSON: {} (line {}, column {}); a text needs double quotes, "
                  "'\"like this\"'\n{}",
                  what, reason_of(problem, text, at), line, column, pointed_at(text, at)));
}

}  // namespace fermata::cli
