#include "core/logs/timestamp.h"

#include <array>
#include <chrono>
#include <cmath>

#include "core/base/ascii.h"
#include "core/logs/scan.h"

namespace sluice {
namespace {

constexpr std::int64_t kMsPerMinute = 60'000;
constexpr std::int64_t kMsPerDay = 86'400'000;

struct ZoneName {
  std::string_view name;
  std::int32_t minutes;
};

/// Abbreviations with one meaning, or with RFC 5322's. The longer of two with a common prefix
/// first.
constexpr std::array kZoneNames = {
    ZoneName{"UTC", 0},    ZoneName{"UT", 0},     ZoneName{"GMT", 0},    ZoneName{"WEST", 60},
    ZoneName{"WET", 0},    ZoneName{"CEST", 120}, ZoneName{"CET", 60},   ZoneName{"EEST", 180},
    ZoneName{"EET", 120},  ZoneName{"MSK", 180},  ZoneName{"JST", 540},  ZoneName{"AEST", 600},
    ZoneName{"AEDT", 660}, ZoneName{"EST", -300}, ZoneName{"EDT", -240}, ZoneName{"CST", -360},
    ZoneName{"CDT", -300}, ZoneName{"MST", -420}, ZoneName{"MDT", -360}, ZoneName{"PST", -480},
    ZoneName{"PDT", -420},
};

/// Reads a text from left to right. Each call consumes what its name says, or fails; after a failed
/// call the position is undefined unless the comment says otherwise.
class TimeReader {
 public:
  explicit TimeReader(std::string_view text) : text_(text) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  /// `least` to `most` digits.
  bool digits(std::size_t least, std::size_t most, std::int32_t& value) {
    value = 0;
    std::size_t count = 0;
    for (; count < most && is_digit(peek()); ++count) value = value * 10 + (text_[at_++] - '0');
    return count >= least;
  }
  bool digits(std::size_t count, std::int32_t& value) { return digits(count, count, value); }

  /// Fails without moving.
  bool one(char wanted) {
    if (peek() != wanted || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }

  /// Fails without moving.
  bool any_of(std::string_view wanted) {
    if (at_ >= text_.size() || wanted.find(text_[at_]) == std::string_view::npos) return false;
    ++at_;
    return true;
  }

  /// Fails without moving.
  bool word(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }

  /// An English month name of three letters, as 1 to 12.
  bool month(std::int32_t& value) {
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::string_view name = text_.substr(at_, 3);
    const std::size_t found = name.size() < 3 ? std::string_view::npos : kMonths.find(name);
    if (found == std::string_view::npos || found % 3 != 0) return false;
    value = static_cast<std::int32_t>(found / 3) + 1;
    at_ += 3;
    return true;
  }

  /// One or two digits, padded with a space or not.
  bool day(std::int32_t& value) {
    static_cast<void>(one(' '));
    return digits(1, 2, value);
  }

  /// `.` or `,` and digits, or `:` and three digits, as whole milliseconds; zero without them.
  std::int32_t fraction_ms() {
    const std::size_t before = at_;
    const bool colon = peek() == ':' && digits_end(text_, at_ + 1) == at_ + 4;
    if (!any_of(colon ? ":" : ".,") || !is_digit(peek())) {
      at_ = before;
      return 0;
    }
    std::int32_t ms = 0;
    for (std::int32_t unit = 100; is_digit(peek()); unit /= 10) ms += (text_[at_++] - '0') * unit;
    return ms;
  }

  /// `03:56:14` and a fraction, as milliseconds of the day. A leap second counts as the first
  /// second of the next minute.
  bool time_of_day(std::int64_t& ms, std::string_view separator = ":") {
    std::int32_t hour = 0;
    std::int32_t minute = 0;
    std::int32_t second = 0;
    if (!digits(2, hour) || !word(separator) || !digits(2, minute) || !word(separator) ||
        !digits(2, second)) {
      return false;
    }
    if (hour > 23 || minute > 59 || second > 60) return false;
    ms = ((std::int64_t{hour} * 60 + minute) * 60 + second) * 1000 + fraction_ms();
    return true;
  }

  /// `3:56:14 AM` or `15:56:14`.
  bool clock_time(std::int64_t& ms) {
    std::int32_t hour = 0;
    std::int64_t rest = 0;
    if (!digits(1, 2, hour) || hour > 23 || !one(':') || !minutes_and_seconds(rest)) return false;
    const std::size_t before = at_;
    static_cast<void>(one(' '));
    // Newer JDKs write U+202F before AM and PM.
    static_cast<void>(word("\xE2\x80\xAF"));
    const bool pm = word("PM");
    if (!pm && !word("AM"))
      at_ = before;
    else
      hour = hour % 12 + (pm ? 12 : 0);
    ms = std::int64_t{hour} * 3'600'000 + rest;
    return true;
  }

  /// A zone, if one follows: minutes east of UTC. Fails without moving.
  bool zone(std::int32_t& minutes) {
    const std::size_t before = at_;
    minutes = 0;
    if (any_of("Zz") && ends_zone()) return true;
    at_ = before;
    const bool underscore = one('_');
    if (!underscore) static_cast<void>(one(' '));
    if (zone_name(minutes)) return true;
    const bool negative = peek() == '-';
    const bool sign = any_of("+-");
    if ((sign || underscore) && zone_offset(minutes)) {
      if (negative) minutes = -minutes;
      return true;
    }
    at_ = before;
    return false;
  }

 private:
  bool minutes_and_seconds(std::int64_t& ms) {
    std::int32_t minute = 0;
    std::int32_t second = 0;
    if (!digits(2, minute) || !one(':') || !digits(2, second)) return false;
    if (minute > 59 || second > 60) return false;
    ms = (std::int64_t{minute} * 60 + second) * 1000 + fraction_ms();
    return true;
  }

  /// Whether no name or number goes on here.
  [[nodiscard]] bool ends_zone() const {
    const char c = peek();
    return !is_letter(c) && !is_digit(c) && c != '_';
  }

  bool zone_name(std::int32_t& minutes) {
    std::size_t end = at_;
    while (end < text_.size() && is_upper(text_[end])) ++end;
    const std::string_view name = text_.substr(at_, end - at_);
    // No name begins with I, the commonest letter here: INFO.
    if (name.size() < 2 || name.size() > 4 || name.front() == 'I') return false;
    for (const ZoneName& zone : kZoneNames) {
      if (zone.name != name) continue;
      at_ = end;
      minutes = zone.minutes;
      return ends_zone();
    }
    return false;
  }

  /// `HH`, `HHMM` or `HH:MM`.
  bool zone_offset(std::int32_t& minutes) {
    constexpr std::int32_t kHoursMax = 15;
    std::int32_t hours = 0;
    if (!digits(2, hours)) return false;
    const std::size_t after_hours = at_;
    static_cast<void>(one(':'));
    std::int32_t rest = 0;
    if (!digits(2, rest) || rest > 59) {
      at_ = after_hours;
      rest = 0;
    }
    minutes = hours * 60 + rest;
    return hours <= kHoursMax && ends_zone();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

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

/// `20261121` and a time; `reader` stands behind the year.
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

/// `-11-21 03:56:14` with any of the date's separators; `reader` stands behind the year.
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
