// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/partitions.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace fermata::engine::postgres {

namespace {

constexpr std::int64_t again_after_us = 3'600'000'000;

// A partition is made under a lock that all appends wait for, who wait behind it: it gives up soon, beside
// a long transaction that has read events.
constexpr const char* little_patience_sql = "SELECT set_config('lock_timeout', '100ms', true)";
constexpr const char* make_sql = "SELECT fermata.add_partitions($1::int8::int4, $2::int8)";

std::int64_t month_of(time_us at) {
  using namespace std::chrono;
  const year_month_day day{floor<days>(sys_time<microseconds>(microseconds(at)))};
  return int{day.year()} * 12L + static_cast<unsigned>(day.month());
}

}  // namespace

void partitions::make_in_time(server& at) {
  const time_us now = at.clock.now();
  const std::int64_t month = month_of(now);
  const std::unique_lock alone(mutex_, std::try_to_lock);
  if (!alone || month == month_ || at.clock.steady_now() < not_before_) return;
  std::string trouble;
  bool held_up = false;
  try {
    at.write([&](transaction& in) {
      try {
        in.run(little_patience_sql);
        in.run(make_sql, params(partitions_ahead, now));
      } catch (const server_failure& why) {
        if (why.how == failure::lost) throw;
        held_up = why.how == failure::again;
        trouble = std::string(why.status.message());
      }
    });
  } catch (const server_failure& why) {
    trouble = std::string(why.status.message());
  }
  if (trouble.empty()) {
    month_ = month;
    return;
  }
  not_before_ = at.clock.steady_now() + again_after_us;
  if (!held_up && at.say && !std::exchange(said_, true))
    at.say(fmt::format(
        "the months to come can't be given partitions of their own just now, it is tried "
        "again in an hour: {}",
        trouble));
}

}  // namespace fermata::engine::postgres
