// SPDX-License-Identifier: Apache-2.0
#include "worker/durations.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <limits>

namespace fermata::detail {

namespace {

struct unit {
  std::string_view name;
  std::int64_t ms;
};
// "ms" and "min" before "m", since the longest name that fits is meant.
constexpr unit units[] = {{"ms", 1},    {"min", 60'000},  {"m", 60'000},
                          {"s", 1'000}, {"h", 3'600'000}, {"d", 86'400'000}};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

void skip_spaces(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
}

/// Digits from the left; too many of them don't fit.
std::optional<std::int64_t> take_whole(std::string_view& text) {
  std::int64_t value = 0;
  bool any = false;
  while (!text.empty() && is_digit(text.front())) {
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, text.front() - '0', &value))
      return std::nullopt;
    text.remove_prefix(1);
    any = true;
  }
  return any ? std::optional(value) : std::nullopt;
}

/// What stands behind the point, in millionths; further digits only round up.
std::optional<std::int64_t> take_fraction(std::string_view& text) {
  std::int64_t value = 0;
  std::int64_t place = 100'000;
  bool more = false;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  while (!text.empty() && is_digit(text.front())) {
    const int digit = text.front() - '0';
    value += digit * place;
    more = more || (place == 0 && digit != 0);
    place /= 10;
    text.remove_prefix(1);
  }
  return value + (more ? 1 : 0);
}

std::optional<unit> take_unit(std::string_view& text) {
  for (const unit& one : units)
    if (text.starts_with(one.name)) {
      text.remove_prefix(one.name.size());
      return one;
    }
  return std::nullopt;
}

/// One "1.5h", added to the sum. The next must be of a smaller unit than `below`.
bool take_part(std::string_view& text, std::int64_t& below, std::int64_t& sum) {
  const std::optional<std::int64_t> whole = take_whole(text);
  if (!whole) return false;
  std::int64_t millionths = 0;
  if (text.starts_with(".")) {
    text.remove_prefix(1);
    const std::optional<std::int64_t> fraction = take_fraction(text);
    if (!fraction) return false;
    millionths = *fraction;
  }
  const std::optional<unit> of = take_unit(text);
  if (!of || of->ms >= below) return false;
  below = of->ms;
  std::int64_t ms = 0;
  const std::int64_t rest = (millionths * of->ms + 999'999) / 1'000'000;
  return !__builtin_mul_overflow(*whole, of->ms, &ms) && !__builtin_add_overflow(ms, rest, &ms) &&
         !__builtin_add_overflow(sum, ms, &sum);
}

/// "3d 4h"; the second part only when it isn't 0.
std::string two(std::int64_t first, std::string_view of, std::int64_t second,
                std::string_view rest) {
  if (second == 0) return fmt::format("{}{}", first, of);
  return fmt::format("{}{} {}{}", first, of, second, rest);
}

}  // namespace

std::optional<duration> parse_duration(std::string_view text) {
  skip_spaces(text);
  if (text == "0") return duration(0);
  std::int64_t below = std::numeric_limits<std::int64_t>::max();
  std::int64_t sum = 0;
  do {
    if (!take_part(text, below, sum)) return std::nullopt;
    skip_spaces(text);
  } while (!text.empty());
  return duration(sum);
}

std::string format_duration(duration span) {
  const std::int64_t ms = span.count();
  if (ms < 0)
    return ms == std::numeric_limits<std::int64_t>::min() ? "-" : "-" + format_duration(-span);
  if (ms < 1'000) return fmt::format("{}ms", ms);
  const std::int64_t s = ms / 1'000;
  if (s < 60) {
    const std::int64_t tenths = ms / 100 % 10;
    return tenths == 0 ? fmt::format("{}s", s) : fmt::format("{}.{}s", s, tenths);
  }
  if (s < 3'600) return two(s / 60, "min", s % 60, "s");
  if (s < 86'400) return two(s / 3'600, "h", s / 60 % 60, "min");
  return two(s / 86'400, "d", s / 3'600 % 24, "h");
}

}  // namespace fermata::detail
