// SPDX-License-Identifier: Apache-2.0
#include <fermata/detail/json.hpp>

#include <cstdio>

namespace fermata::detail {
namespace {

using std::chrono::nanoseconds;
using std::chrono::sys_seconds;

// Civil days by hand: std::chrono::year ends at 32767, a sys_time of milliseconds doesn't.
struct civil {
  std::int64_t year;
  unsigned month, day;
};
constexpr std::int64_t era_days = 146097;  // 400 years, which begin in March

constexpr std::int64_t days_of(civil date) {
  const std::int64_t year = date.year - (date.month <= 2);
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
  return era * era_days + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

constexpr civil civil_of(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - era_days + 1) / era_days;
  const std::int64_t of_era = days - era * era_days;
  const std::int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const auto march = static_cast<unsigned>((5 * of_year + 2) / 153);
  const auto day = static_cast<unsigned>(of_year) - (153 * march + 2) / 5 + 1;
  const unsigned month = march < 10 ? march + 3 : march - 9;
  return {year + era * 400 + (month <= 2), month, day};
}
static_assert(days_of({1970, 1, 1}) == 0 && days_of({2000, 3, 1}) == 11017);
static_assert(civil_of(11016).day == 29 && civil_of(-1).year == 1969);

bool exists(civil date) {
  constexpr unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (date.month < 1 || date.month > 12 || date.day < 1) return false;
  const bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
  return date.day <= lengths[date.month - 1] + (date.month == 2 && leap ? 1U : 0U);
}

/// Reads a text from the left; once something doesn't fit, all that follows doesn't either.
class reader {
 public:
  explicit reader(std::string_view text) : text_(text) {}

  std::int64_t number(std::size_t digits_min, std::size_t digits_max) {
    std::int64_t value = 0;
    digits_ = 0;
    while (digits_ < digits_max && digits_ < text_.size() && text_[digits_] >= '0' &&
           text_[digits_] <= '9')
      value = value * 10 + (text_[digits_++] - '0');
    if (digits_ < digits_min) fits_ = false;
    text_.remove_prefix(digits_);
    return value;
  }
  char one_of(std::string_view wanted) {
    if (text_.empty() || wanted.find(text_.front()) == std::string_view::npos) {
      fits_ = false;
      return '\0';
    }
    const char found = text_.front();
    text_.remove_prefix(1);
    return found;
  }
  bool next_is(std::string_view any) const {
    return !text_.empty() && any.find(text_.front()) != std::string_view::npos;
  }
  std::size_t digits() const { return digits_; }
  bool fits() const { return fits_; }
  bool fits_to_the_end() const { return fits_ && text_.empty(); }

 private:
  std::string_view text_;
  std::size_t digits_ = 0;
  bool fits_ = true;
};

civil read_date(reader& in) {
  civil date{};
  const bool is_signed = in.next_is("+-");
  const bool before = is_signed && in.one_of("+-") == '-';
  date.year = is_signed ? in.number(4, 9) : in.number(4, 4);
  if (before) date.year = -date.year;
  in.one_of("-");
  date.month = static_cast<unsigned>(in.number(2, 2));
  in.one_of("-");
  date.day = static_cast<unsigned>(in.number(2, 2));
  return date;
}

/// What "+02:00" or "Z" says, in seconds; empty when it isn't an offset.
std::optional<std::int64_t> read_offset(reader& in) {
  const char sign = in.one_of("Zz+-");
  if (sign == 'Z' || sign == 'z') return 0;
  const std::int64_t hours = in.number(2, 2);
  in.one_of(":");
  const std::int64_t minutes = in.number(2, 2);
  if (hours > 23 || minutes > 59) return std::nullopt;
  return (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
}

}  // namespace

std::string text_of(sys_seconds at, nanoseconds rest, int digits) {
  const std::int64_t total = at.time_since_epoch().count();
  const std::int64_t days = (total >= 0 ? total : total - 86399) / 86400;
  const std::int64_t second = total - days * 86400;
  const civil date = civil_of(days);
  const bool is_signed = date.year < 0 || date.year > 9999;
  char text[64];
  int length = std::snprintf(
      text, sizeof text,
      is_signed ? "%+05lld-%02u-%02uT%02d:%02d:%02d" : "%04lld-%02u-%02uT%02d:%02d:%02d",
      static_cast<long long>(date.year), date.month, date.day, static_cast<int>(second / 3600),
      static_cast<int>(second / 60 % 60), static_cast<int>(second % 60));
  std::string out(text, static_cast<std::size_t>(length));
  if (digits > 0) {
    length = std::snprintf(text, sizeof text, ".%09lld", static_cast<long long>(rest.count()));
    out.append(text, static_cast<std::size_t>(digits) + 1);
  }
  return out += 'Z';
}

std::string text_of(time_point at) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(at);
  return text_of(whole, at - whole, 3);
}

std::optional<parsed_time> time_of(std::string_view text) {
  reader in(text);
  const civil date = read_date(in);
  in.one_of("Tt ");
  const std::int64_t hour = in.number(2, 2);
  in.one_of(":");
  const std::int64_t minute = in.number(2, 2);
  in.one_of(":");
  const std::int64_t second = in.number(2, 2);
  std::int64_t rest = 0;
  if (in.next_is(".")) {
    in.one_of(".");
    rest = in.number(1, 9);
    for (std::size_t i = in.digits(); i < 9; ++i) rest *= 10;
  }
  const std::optional<std::int64_t> offset = read_offset(in);
  if (!in.fits_to_the_end() || !offset || !exists(date) || hour > 23 || minute > 59 || second > 59)
    return std::nullopt;
  const std::int64_t total = days_of(date) * 86400 + hour * 3600 + minute * 60 + second - *offset;
  return parsed_time{sys_seconds(std::chrono::seconds(total)), nanoseconds(rest)};
}

}  // namespace fermata::detail
