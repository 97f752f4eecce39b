// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/address.hpp"

#include "engine/store/postgres/errors.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace fermata::engine::postgres {

namespace {

constexpr int poll_least_ms = 10;
constexpr int poll_most_ms = 60'000;
constexpr int lanes_most = 16;
constexpr std::size_t identifier_max = 63;  // bytes, NAMEDATALEN - 1

/// As given, but for what is between the user's ':' and the '@'.
std::string without_password(std::string_view text) {
  std::string shown(text);
  const std::size_t authority = shown.find("://") + 3;
  const std::size_t end = std::min(shown.find_first_of("/?", authority), shown.size());
  const std::size_t at = shown.rfind('@', end);
  if (at != std::string::npos && at >= authority) {
    const std::size_t colon = shown.find(':', authority);
    if (colon < at) shown.erase(colon, at - colon);
  }
  for (std::size_t from = 0; (from = shown.find("password=", from)) != std::string::npos;) {
    from += std::string_view("password=").size();
    shown.replace(from, std::min(shown.find('&', from), shown.size()) - from, "…");
  }
  return shown;
}

[[noreturn]] void bad_address(std::string_view text, std::string_view why) {
  fail(absl::StatusCode::kInvalidArgument, "FER-2001",
       fmt::format("'{}' isn't the address of a journal: {}; write "
                   "postgres://USER@HOST/DATABASE, for example postgres://orders@db/fermata",
                   without_password(text), why));
}

/// Names that need no quotes: they are put into statements.
bool is_plain_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name.size() <= identifier_max && std::ranges::all_of(name, plain) &&
         (name[0] < '0' || name[0] > '9') && !name.starts_with("pg_");
}

bool read_number(std::string_view value, int least, int most, int& to) {
  const auto [end, error] = std::from_chars(value.begin(), value.end(), to);
  return error == std::errc() && end == value.end() && to >= least && to <= most;
}

/// True when the option is ours.
bool take_option(std::string_view text, std::string_view option, address& to) {
  const std::string_view value = option.substr(std::min(option.find('=') + 1, option.size()));
  if (option.starts_with("schema=")) {
    if (!is_plain_name(value))
      bad_address(text, "a schema's name is of a-z, 0-9 and _, and begins with a letter");
    to.schema = value;
    return true;
  }
  if (option.starts_with("poll=")) {
    if (!read_number(value, poll_least_ms, poll_most_ms, to.poll_ms))
      bad_address(text,
                  fmt::format("poll is in milliseconds, {} to {}", poll_least_ms, poll_most_ms));
    return true;
  }
  if (!option.starts_with("lanes=")) return false;
  if (!read_number(value, 1, lanes_most, to.lanes))
    bad_address(text, fmt::format("lanes is how many commits may be under way at once, 1 to {}",
                                  lanes_most));
  return true;
}

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t from = 0, to = 0; to != std::string_view::npos; from = to + 1) {
    to = text.find(',', from);
    parts.emplace_back(text.substr(from, to == std::string_view::npos ? to : to - from));
  }
  return parts;
}

}  // namespace

std::string address::list::beginning_at(std::size_t first) const {
  std::string all;
  for (std::size_t i = 0; i < of_each.size(); ++i)
    all += (i == 0 ? "" : ",") + of_each[(first + i) % of_each.size()];
  return all;
}

address parse_address(std::string_view text) {
  address found{.text = without_password(text)};
  if (!is_postgres_address(text)) bad_address(text, "it doesn't begin with postgres://");
  std::string_view rest = text;
  std::string options;
  if (const std::size_t at = text.find('?'); at != std::string_view::npos) {
    rest = text.substr(0, at);
    std::string_view all = text.substr(at + 1);
    while (!all.empty()) {
      const std::string_view one = all.substr(0, all.find('&'));
      all.remove_prefix(std::min(one.size() + 1, all.size()));
      if (take_option(text, one, found)) continue;
      options += (options.empty() ? '?' : '&');
      options += one;
    }
  }
  found.connection = std::string(rest) + options;
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(found.connection.c_str(), &why), PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> said(why, PQfreemem);
  if (parsed == nullptr) {
    std::string reason = why != nullptr ? why : "out of memory";
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    bad_address(text, reason);
  }
  for (const PQconninfoOption* one = parsed.get(); one->keyword != nullptr; ++one) {
    const std::string_view name = one->keyword;
    if (one->val == nullptr || (name != "host" && name != "hostaddr" && name != "port")) continue;
    std::vector<std::string> parts = parts_of(one->val);
    if (parts.size() > 1) found.hosts.push_back({std::string(name), std::move(parts)});
  }
  return found;
}

std::string in_schema(std::string_view schema, std::string_view sql) {
  constexpr std::string_view mark = "fermata";
  std::string text(sql);
  if (schema == mark) return text;
  for (std::size_t at = 0; (at = text.find("fermata.", at)) != std::string::npos;) {
    text.replace(at, mark.size(), schema);
    at += schema.size() + 1;
  }
  return text;
}

}  // namespace fermata::engine::postgres
