// Reads the parts of a timestamp. Private to timestamp.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/ascii.h"
#include "core/logs/line/scan.h"

namespace sluice {

struct ZoneName {
  std::string_view name;
  std::int32_t minutes;
};

/// Abbreviations with one meaning, or with RFC 5322's. The longer of two with a common prefix
/// first.
inline constexpr std::array kZoneNames = {
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

  /// Whether no name or number continues here.
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

}  // namespace sluice
