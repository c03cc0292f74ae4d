#include "core/logs/timestamp.h"

#include <array>
#include <chrono>
#include <cmath>

#include "core/base/ascii.h"

namespace sluice {
namespace {

constexpr std::int64_t kMsPerMinute = 60'000;
constexpr std::int64_t kMsPerDay = 86'400'000;

/// Reads a text from left to right; every call takes what it names, or nothing and fails.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  [[nodiscard]] std::size_t at() const { return at_; }

  /// Exactly `count` digits.
  bool digits(std::size_t count, std::int32_t& value) {
    if (text_.size() - at_ < count) return false;
    value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const char c = text_[at_ + i];
      if (!is_digit(c)) return false;
      value = value * 10 + (c - '0');
    }
    at_ += count;
    return true;
  }

  bool one(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  bool any_of(std::string_view wanted) {
    if (at_ >= text_.size() || wanted.find(text_[at_]) == std::string_view::npos) return false;
    ++at_;
    return true;
  }

  bool word(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }

  /// A month's English name of three letters, as 1 to 12.
  bool month(std::int32_t& value) {
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (text_.size() - at_ < 3) return false;
    const std::size_t found = kMonths.find(text_.substr(at_, 3));
    if (found == std::string_view::npos || found % 3 != 0) return false;
    value = static_cast<std::int32_t>(found / 3) + 1;
    at_ += 3;
    return true;
  }

  /// One or two digits; a leading space for the first is taken too.
  bool day(std::int32_t& value) {
    static_cast<void>(one(' '));
    return digits(2, value) || digits(1, value);
  }

  /// `.` or `,` and digits, as whole milliseconds; without them zero.
  std::int32_t fraction_ms() {
    const std::size_t before = at_;
    std::int32_t ms = 0;
    if (any_of(".,") && at_ < text_.size() && is_digit(text_[at_])) {
      std::int32_t unit = 100;
      for (; at_ < text_.size() && is_digit(text_[at_]); ++at_) {
        ms += (text_[at_] - '0') * unit;
        unit /= 10;
      }
      return ms;
    }
    at_ = before;
    return 0;
  }

  /// `03:56:14` and a fraction, as milliseconds of the day. A leap second is the next minute's
  /// first.
  bool time_of_day(std::int64_t& ms) {
    std::int32_t hour = 0;
    std::int32_t minute = 0;
    std::int32_t second = 0;
    if (!digits(2, hour) || !one(':') || !digits(2, minute) || !one(':') || !digits(2, second)) {
      return false;
    }
    if (hour > 23 || minute > 59 || second > 60) return false;
    ms = ((std::int64_t{hour} * 60 + minute) * 60 + second) * 1000 + fraction_ms();
    return true;
  }

  /// A zone, if one follows: minutes east of UTC.
  bool zone(std::int32_t& minutes) {
    const std::size_t before = at_;
    minutes = 0;
    if (one('Z')) return true;
    static_cast<void>(one(' '));
    if (word("UTC") || word("GMT")) return true;
    std::int32_t sign = 0;
    if (one('+'))
      sign = 1;
    else if (one('-'))
      sign = -1;
    std::int32_t hours = 0;
    std::int32_t rest = 0;
    if (sign != 0 && digits(2, hours)) {
      static_cast<void>(one(':'));
      if (digits(2, rest) && hours <= 23 && rest <= 59) {
        minutes = sign * (hours * 60 + rest);
        return true;
      }
    }
    at_ = before;
    return false;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

struct Date {
  std::int32_t year = 0;
  std::int32_t month = 0;
  std::int32_t day = 0;
};

/// Midnight of a date in UTC; kNoTime if there is no such date.
std::int64_t midnight_ms(const Date& date) {
  const std::chrono::year_month_day day(std::chrono::year(date.year),
                                        std::chrono::month(static_cast<unsigned>(date.month)),
                                        std::chrono::day(static_cast<unsigned>(date.day)));
  if (!day.ok()) return kNoTime;
  return std::chrono::sys_days(day).time_since_epoch().count() * kMsPerDay;
}

LogTime local_time(std::size_t end, const Date& date, std::int64_t day_ms,
                   const LogTimeContext& context) {
  const std::int64_t midnight = midnight_ms(date);
  if (midnight == kNoTime) return {};
  return {end, midnight + day_ms - context.utc_offset_minutes * kMsPerMinute};
}

/// The latest such time that is not more than a day ahead of the reference.
LogTime yearless_time(std::size_t end, Date date, std::int64_t day_ms,
                      const LogTimeContext& context) {
  const auto today =
      std::chrono::floor<std::chrono::days>(std::chrono::sys_time<std::chrono::milliseconds>(
          std::chrono::milliseconds(context.reference_ms)));
  const std::int32_t year = static_cast<std::int32_t>(std::chrono::year_month_day(today).year());
  // Five years back, for the 29th of February (eight around 2100).
  for (date.year = year + 1; date.year > year - 9; --date.year) {
    const LogTime time = local_time(end, date, day_ms, context);
    if (time.end != 0 && time.ms <= context.reference_ms + kMsPerDay) return time;
  }
  return {};
}

}  // namespace

LogTime match_iso_time(std::string_view text, const LogTimeContext& context) {
  Reader reader(text);
  Date date;
  if (!reader.digits(4, date.year)) return {};
  const char separator = text.size() > 4 ? text[4] : '\0';
  if (separator != '-' && separator != '/') return {};
  if (!reader.one(separator) || !reader.digits(2, date.month) || !reader.one(separator) ||
      !reader.digits(2, date.day) || !reader.any_of("T _t")) {
    return {};
  }
  std::int64_t day_ms = 0;
  if (!reader.time_of_day(day_ms)) return {};
  std::int32_t offset_minutes = context.utc_offset_minutes;
  std::int32_t zone_minutes = 0;
  if (reader.zone(zone_minutes)) offset_minutes = zone_minutes;
  return local_time(reader.at(), date, day_ms, {offset_minutes, 0});
}

LogTime match_time_of_day(std::string_view text) {
  Reader reader(text);
  std::int64_t day_ms = 0;
  if (!reader.time_of_day(day_ms)) return {};
  return {reader.at(), kNoTime};
}

LogTime match_access_time(std::string_view text) {
  Reader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  std::int32_t zone_minutes = 0;
  if (!reader.digits(2, date.day) || !reader.one('/') || !reader.month(date.month) ||
      !reader.one('/') || !reader.digits(4, date.year) || !reader.one(':') ||
      !reader.time_of_day(day_ms) || !reader.zone(zone_minutes)) {
    return {};
  }
  return local_time(reader.at(), date, day_ms, {zone_minutes, 0});
}

LogTime match_syslog_time(std::string_view text, const LogTimeContext& context) {
  Reader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.month(date.month) || !reader.one(' ') || !reader.day(date.day) || !reader.one(' ') ||
      !reader.time_of_day(day_ms)) {
    return {};
  }
  return yearless_time(reader.at(), date, day_ms, context);
}

LogTime match_redis_time(std::string_view text, const LogTimeContext& context) {
  Reader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.day(date.day) || !reader.one(' ') || !reader.month(date.month) || !reader.one(' ') ||
      !reader.digits(4, date.year) || !reader.one(' ') || !reader.time_of_day(day_ms)) {
    return {};
  }
  return local_time(reader.at(), date, day_ms, context);
}

LogTime match_ctime(std::string_view text, const LogTimeContext& context) {
  constexpr std::array<std::string_view, 7> kDays = {"Mon ", "Tue ", "Wed ", "Thu ",
                                                     "Fri ", "Sat ", "Sun "};
  Reader reader(text);
  bool found = false;
  for (const std::string_view day : kDays) found = found || reader.word(day);
  Date date;
  std::int64_t day_ms = 0;
  if (!found || !reader.month(date.month) || !reader.one(' ') || !reader.day(date.day) ||
      !reader.one(' ') || !reader.time_of_day(day_ms) || !reader.one(' ') ||
      !reader.digits(4, date.year)) {
    return {};
  }
  return local_time(reader.at(), date, day_ms, context);
}

LogTime match_month_day_time(std::string_view text, const LogTimeContext& context) {
  Reader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.digits(2, date.month)) return {};
  static_cast<void>(reader.one('-'));
  if (!reader.digits(2, date.day) || !reader.one(' ') || !reader.time_of_day(day_ms)) return {};
  return yearless_time(reader.at(), date, day_ms, context);
}

std::int64_t epoch_time_ms(double number) {
  constexpr double kSecondsMax = 1e11;
  constexpr double kMillisecondsMax = 1e14;
  constexpr double kMicrosecondsMax = 1e17;
  constexpr double kNanosecondsMax = 1e20;
  if (!(number > 0) || !(number < kNanosecondsMax)) return kNoTime;
  double ms = number / 1e6;
  if (number < kSecondsMax)
    ms = number * 1000;
  else if (number < kMillisecondsMax)
    ms = number;
  else if (number < kMicrosecondsMax)
    ms = number / 1000;
  // Seconds with a fraction: 1.001 * 1000 must not become 1000.
  return static_cast<std::int64_t>(std::floor(ms + 1e-3));
}

}  // namespace sluice
