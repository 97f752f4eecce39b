// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/times.hpp"

#include "worker/cli/errors.hpp"
#include "worker/durations.hpp"

#include <fermata/detail/json.hpp>

#include <fmt/format.h>

#include <cstdlib>

namespace fermata::cli {

namespace {

constexpr duration furthest = std::chrono::hours(24) * 36'525;
constexpr std::chrono::seconds last_second(253'402'300'799);  // of the year 9999

}  // namespace

std::string iso_text(engine::time_us at) {
  if (at == 0) return {};
  const std::chrono::sys_time<std::chrono::microseconds> when{std::chrono::microseconds(at)};
  return detail::text_of(std::chrono::floor<duration>(when));
}

std::string coarse_text(std::int64_t us) {
  struct step {
    std::int64_t seconds;
    const char* name;
    std::int64_t many;  // so many are one of the next
  };
  constexpr step steps[] = {{1, "s", 60}, {60, "m", 60}, {3'600, "h", 24}};
  const std::int64_t s = (std::abs(us) + 500'000) / 1'000'000;
  // Rounded: a timer of three days doesn't read 2d a second later.
  for (const auto& [seconds, name, many] : steps)
    if (const std::int64_t n = (s + seconds / 2) / seconds; n < many)
      return fmt::format("{}{}", n, name);
  return fmt::format("{}d", (s + 43'200) / 86'400);
}

std::string time_text(engine::time_us at, engine::time_us now, time_style how) {
  if (at == 0) return {};
  if (how == time_style::raw) return fmt::format("{}", at);
  if (how == time_style::iso) return iso_text(at);
  if (std::abs(now - at) < 1'000'000) return "just now";
  return at > now ? "in " + coarse_text(at - now) : coarse_text(now - at) + " ago";
}

std::string span_text(std::int64_t us) {
  if (us < 0) us = 0;
  if (us < 1'000)
    return us == 0 ? "0ms"
                   : fmt::format("{:.1f}ms", std::max(0.1, static_cast<double>(us / 100) / 10.0));
  return detail::format_duration(duration(us / 1'000));
}

std::int64_t read_duration_ms(std::string_view text, std::string_view flag) {
  const auto span = detail::parse_duration(text);
  if (!span)
    throw usage_error(fmt::format("{} needs {}, not '{}'", flag, detail::duration_example, text));
  if (*span > furthest)
    throw refusal(codes::too_far,
                  fmt::format("{} is 36525d at most (100 years), not '{}'", flag, text));
  return span->count();
}

engine::time_us read_instant(std::string_view text, std::string_view flag, engine::time_us now,
                             bool durations_are_past) {
  if (detail::parse_duration(text)) {
    const std::int64_t ms = read_duration_ms(text, flag);
    return durations_are_past ? now - ms * 1'000 : now + ms * 1'000;
  }
  std::string whole(text);
  if (whole.size() == 10) whole += "T00:00:00Z";
  const auto at = detail::time_of(whole);
  if (!at)
    throw usage_error(
        fmt::format("{} needs {} or an instant such as 2026-11-22T15:00:00Z, not '{}'", flag,
                    detail::duration_example, text));
  if (at->seconds.time_since_epoch() > last_second || at->seconds.time_since_epoch() < -last_second)
    throw refusal(codes::too_far,
                  fmt::format("{} '{}' isn't within the years 0 to 9999", flag, text));
  // Not their sum: in nanoseconds an int64 ends in 2262.
  using std::chrono::microseconds;
  return microseconds(at->seconds.time_since_epoch()).count() +
         std::chrono::floor<microseconds>(at->rest).count();
}

}  // namespace fermata::cli
