#include "core/logs/line/timestamp.h"

#include <array>
#include <chrono>
#include <cmath>

#include "core/base/ascii.h"
#include "core/logs/line/timestamp_reader.h"

namespace sluice {
namespace {

constexpr std::int64_t kMsPerMinute = 60'000;
constexpr std::int64_t kMsPerDay = 86'400'000;

struct Date {
  std::int32_t year = 0;
  std::int32_t month = 0;
  std::int32_t day = 0;
};

/// Midnight of a date in UTC; kNoTime for a date that does not exist.
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

/// Reads a zone, if one follows, and completes the time.
LogTime zoned_time(TimeReader& reader, const Date& date, std::int64_t day_ms,
                   const LogTimeContext& context) {
  std::int32_t minutes = 0;
  const bool zoned = reader.zone(minutes);
  return local_time(reader.at(), date, day_ms, {zoned ? minutes : context.utc_offset_minutes, 0});
}

/// The latest such time at most one day after the reference.
LogTime yearless_time(std::size_t end, Date date, std::int64_t day_ms,
                      const LogTimeContext& context) {
  const auto today =
      std::chrono::floor<std::chrono::days>(std::chrono::sys_time<std::chrono::milliseconds>(
          std::chrono::milliseconds(context.reference_ms)));
  const std::int32_t year = static_cast<std::int32_t>(std::chrono::year_month_day(today).year());
  // The 29th of February comes back after four years, around 2100 after eight.
  for (date.year = year + 1; date.year > year - 9; --date.year) {
    const LogTime time = local_time(end, date, day_ms, context);
    if (time.end != 0 && time.ms <= context.reference_ms + kMsPerDay) return time;
  }
  return {};
}

/// `20261121` and a time; `reader` stands after the year.
bool read_compact(TimeReader& reader, Date& date, std::int64_t& day_ms) {
  if (!reader.digits(2, date.month) || !reader.digits(2, date.day) || !reader.any_of("Tt _-")) {
    return false;
  }
  TimeReader extended = reader;
  if (extended.time_of_day(day_ms)) {
    reader = extended;
    return true;
  }
  return reader.time_of_day(day_ms, "");
}

/// `-11-21 03:56:14` with any of the date's separators; `reader` stands after the year.
bool read_extended(TimeReader& reader, Date& date, std::int64_t& day_ms) {
  const char separator = reader.peek();
  if (!reader.any_of("-/.") || !reader.digits(2, date.month) || !reader.one(separator) ||
      !reader.digits(2, date.day)) {
    return false;
  }
  const bool dash = reader.word(" - ") || reader.one('-');
  if (!dash && !reader.any_of("T _t")) return false;
  TimeReader dotted = reader;
  if (reader.time_of_day(day_ms)) return true;
  reader = dotted;
  return dash && reader.time_of_day(day_ms, ".");
}

}  // namespace

LogTime match_iso_time(std::string_view text, const LogTimeContext& context) {
  TimeReader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.digits(4, date.year)) return {};
  const bool found = is_digit(reader.peek()) ? read_compact(reader, date, day_ms)
                                             : read_extended(reader, date, day_ms);
  return found ? zoned_time(reader, date, day_ms, context) : LogTime();
}

LogTime match_time_of_day(std::string_view text) {
  TimeReader reader(text);
  std::int64_t day_ms = 0;
  if (!reader.time_of_day(day_ms)) return {};
  return {reader.at(), kNoTime};
}

LogTime match_day_month_time(std::string_view text, const LogTimeContext& context) {
  TimeReader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.day(date.day)) return {};
  const char separator = reader.peek();
  if (!reader.any_of("/- ") || !reader.month(date.month) || !reader.one(separator) ||
      !reader.digits(4, date.year) || !reader.any_of(separator == '/' ? ": " : " ") ||
      !reader.time_of_day(day_ms)) {
    return {};
  }
  return zoned_time(reader, date, day_ms, context);
}

LogTime match_month_time(std::string_view text, const LogTimeContext& context) {
  TimeReader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.month(date.month) || !reader.one(' ') || !reader.day(date.day)) return {};
  const bool comma = reader.one(',');
  if (!reader.one(' ')) return {};
  TimeReader with_year = reader;
  if (with_year.digits(4, date.year) && with_year.any_of(" ,")) {
    static_cast<void>(with_year.one(' '));
    if (!(comma ? with_year.clock_time(day_ms) : with_year.time_of_day(day_ms))) return {};
    return zoned_time(with_year, date, day_ms, context);
  }
  if (comma || !reader.time_of_day(day_ms)) return {};
  return yearless_time(reader.at(), date, day_ms, context);
}

LogTime match_ctime(std::string_view text, const LogTimeContext& context) {
  constexpr std::array<std::string_view, 7> kDays = {"Mon ", "Tue ", "Wed ", "Thu ",
                                                     "Fri ", "Sat ", "Sun "};
  TimeReader reader(text);
  bool found = false;
  for (const std::string_view day : kDays) found = found || reader.word(day);
  Date date;
  std::int64_t day_ms = 0;
  if (!found || !reader.month(date.month) || !reader.one(' ') || !reader.day(date.day) ||
      !reader.one(' ') || !reader.time_of_day(day_ms)) {
    return {};
  }
  // date(1) puts the zone before the year.
  std::int32_t minutes = 0;
  const bool zoned = reader.zone(minutes);
  if (!reader.one(' ') || !reader.digits(4, date.year)) return {};
  return local_time(reader.at(), date, day_ms, {zoned ? minutes : context.utc_offset_minutes, 0});
}

LogTime match_month_day_time(std::string_view text, const LogTimeContext& context) {
  TimeReader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.digits(2, date.month)) return {};
  static_cast<void>(reader.any_of("-."));
  if (!reader.digits(2, date.day) || !reader.one(' ') || !reader.time_of_day(day_ms)) return {};
  return yearless_time(reader.at(), date, day_ms, context);
}

LogTime match_short_year_time(std::string_view text, const LogTimeContext& context) {
  TimeReader reader(text);
  Date date;
  std::int64_t day_ms = 0;
  if (!reader.digits(2, date.year)) return {};
  const bool slashes = reader.one('/');
  const std::string_view slash = slashes ? "/" : "";
  if (!reader.digits(2, date.month) || !reader.word(slash) || !reader.digits(2, date.day) ||
      !reader.one(' ') || !reader.time_of_day(day_ms, slashes ? ":" : "")) {
    return {};
  }
  date.year += 2000;
  return zoned_time(reader, date, day_ms, context);
}

LogTime match_unpadded_time(std::string_view text, const LogTimeContext& context) {
  TimeReader reader(text);
  Date date;
  std::int32_t hour = 0;
  std::int32_t minute = 0;
  std::int32_t second = 0;
  std::int32_t ms = 0;
  if (!reader.digits(4, date.year) || !reader.digits(2, date.month) ||
      !reader.digits(2, date.day) || !reader.one('-') || !reader.digits(1, 2, hour) ||
      !reader.one(':') || !reader.digits(1, 2, minute) || !reader.one(':') ||
      !reader.digits(1, 2, second) || !reader.one(':') || !reader.digits(1, 3, ms) || hour > 23 ||
      minute > 59 || second > 60) {
    return {};
  }
  const std::int64_t day_ms = ((std::int64_t{hour} * 60 + minute) * 60 + second) * 1000 + ms;
  return local_time(reader.at(), date, day_ms, context);
}

LogTime match_epoch_time(std::string_view text) {
  TimeReader reader(text);
  std::int32_t high = 0;
  std::int32_t low = 0;
  if (!reader.digits(5, high) || !reader.digits(5, low) || high < 10'000) return {};
  const std::int64_t seconds = std::int64_t{high} * 100'000 + low;
  const std::int32_t ms = reader.fraction_ms();
  if (is_digit(reader.peek()) || is_letter(reader.peek())) return {};
  return {reader.at(), seconds * 1000 + ms};
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
  // Rounding must not turn 1.001 s into 1000 ms.
  return static_cast<std::int64_t>(std::floor(ms + 1e-3));
}

}  // namespace sluice
