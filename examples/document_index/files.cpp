// SPDX-License-Identifier: Apache-2.0
#include "files.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace documents {

namespace {

constexpr std::size_t title_max = 80;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// What a line says: without the signs of a comment, and in ASCII, since journals hold text as
/// UTF-8 and a file may be anything.
std::string words_of(std::string_view line) {
  std::string said;
  std::ranges::copy_if(line, std::back_inserter(said), [](char c) { return c >= ' ' && c <= '~'; });
  said.erase(0, said.find_first_not_of(" /*#;!-+=.\\\"<>"));
  said.erase(said.find_last_not_of(" */-=") + 1);
  return said;
}

bool is_comment(std::string_view line) {
  const std::size_t from = line.find_first_not_of(" \t");
  return from != line.npos && (line[from] == '/' || line[from] == '*');
}

/// The first line of a paragraph, unless lawyers wrote it.
std::string title_of(const std::vector<std::string>& paragraph) {
  const auto is_licence = [](const std::string& line) { return line.find("icense") != line.npos; };
  if (paragraph.empty() || std::ranges::any_of(paragraph, is_licence)) return "";
  const std::string& first = paragraph.front();
  const bool is_sentence =
      std::ranges::count_if(first, is_letter) >= 4 && first.find(' ') != first.npos;
  return is_sentence && first.find("opyright") == first.npos ? first.substr(0, title_max) : "";
}

}  // namespace

std::string text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw fermata::failure("can't read " + path, {.type = "unreadable"});
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

page list(const page_request& wanted) {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(wanted.folder))
    if (entry.is_regular_file() && !entry.is_symlink()) all.push_back(entry.path());
  std::ranges::sort(all);

  const auto from = std::ranges::upper_bound(all, wanted.after);
  const auto left = all.end() - from;
  const auto to = from + std::min<std::ptrdiff_t>(wanted.at_most, left);
  return page{.paths = {from, to}, .last = to == all.end()};
}

std::string hash(const std::string& path) {
  const std::string bytes = text(path);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());

  std::string hex;
  for (const unsigned char byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

counts count(const std::string& path) {
  counts c;
  bool in_word = false;
  for (const char each : text(path)) {
    c.bytes += 1;
    c.lines += each == '\n' ? 1 : 0;
    c.words += !in_word && !is_space(each) ? 1 : 0;
    in_word = !is_space(each);
  }
  return c;
}

std::string title(const std::string& path) {
  std::istringstream lines(text(path));
  std::vector<std::string> paragraph;
  for (std::string line; std::getline(lines, line);) {
    const std::string said = is_comment(line) ? words_of(line) : "";
    if (!said.empty()) {
      paragraph.push_back(said);
      continue;
    }
    const std::string found = title_of(std::exchange(paragraph, {}));
    if (!found.empty()) return found;
  }
  return std::filesystem::path(path).filename();
}

}  // namespace documents
