// Headers that begin with a date or hide one behind other fields.
#include "core/base/ascii.h"
#include "core/logs/line/header.h"
#include "core/logs/line/level.h"
#include "core/logs/line/scan.h"

namespace sluice {

/// The time at the beginning of a text that begins with a digit, in any format but ctime's.
LogTime LogHeaderReader::match_leading_time(std::string_view text) const {
  LogTime time;
  if (text.size() > 8 && text[8] == '-') time = match_unpadded_time(text, context_);
  if (time.end == 0) time = match_iso_time(text, context_);
  if (time.end == 0) time = match_time_of_day(text);
  if (time.end == 0) time = match_month_day_time(text, context_);
  if (time.end == 0) time = match_day_month_time(text, context_);
  if (time.end == 0) time = match_short_year_time(text, context_);
  // A bare number of ten digits may mean anything; with a fraction it is a time.
  if (time.end == 0 && text.size() > 10 && text[10] == '.') time = match_epoch_time(text);
  return time;
}

LogHeader LogHeaderReader::read_timestamped(std::string_view line, LogTime time) const {
  LogHeader header;
  header.format = kLogTimestamped;
  header.time_ms = time.ms;
  const std::string_view rest = line.substr(time.end, kHeaderBytesMax);
  LogLevelMatch level = find_level(rest);
  if (level.end == 0) level = find_letter_level(rest);
  header.level = level.level;
  header.message_at = level.end > 0 ? time.end + level.end : skip_separators(line, time.end);
  return header;
}

/// A line that begins with the name of a month or a weekday.
LogHeader LogHeaderReader::read_dated_word(std::string_view line) const {
  if (wants(kLogTimestamped)) {
    const LogTime time = match_ctime(line, context_);
    if (time.end != 0) return read_timestamped(line, time);
    if (line.substr(0, 7).find(',') != std::string_view::npos) {
      // java.util.logging: class and method, then the level on a line of its own.
      const LogTime jul = match_month_time(line, context_);
      if (jul.end == 0) return {};
      LogHeader header = read_timestamped(line, jul);
      header.awaits_message = header.level == LogLevel::kNone;
      return header;
    }
  }
  return wants(kLogSyslog) ? read_syslog(line, 0) : LogHeader();
}

/// A first field before the time: an alert label and seconds since 1970 (BGL, Thunderbird), the
/// name of a log file (OpenStack, `grep -H`), Ruby's letter (`E, [2026-11-21T03:56:14.1 #7] ...`).
LogHeader LogHeaderReader::read_labelled(std::string_view line) const {
  if (line.substr(1).starts_with(", [")) {
    const LogTime time = match_iso_time(line.substr(4), context_);
    const std::size_t close = line.substr(0, kHeaderBytesMax).find(']', 4);
    if (time.end == 0 || close == std::string_view::npos) return {};
    return read_timestamped(line, {close + 1, time.ms});
  }
  const std::string_view head = line.substr(0, kHeaderBytesMax);
  const std::size_t space = head.find(' ');
  if (space == std::string_view::npos || space + 1 >= line.size() || !is_digit(line[space + 1])) {
    return {};
  }
  const std::string_view first = line.substr(0, space);
  const std::string_view rest = line.substr(space + 1);
  if (first.find(".log") != std::string_view::npos) {
    const LogTime time = match_iso_time(rest, context_);
    return time.end == 0 ? LogHeader() : read_timestamped(line, {space + 1 + time.end, time.ms});
  }
  // `- 1117838570 2005.06.03 node ...`
  constexpr std::size_t kDateBytes = 12;
  const LogTime time = match_epoch_time(rest);
  if (time.end == 0 || rest.size() < time.end + kDateBytes || rest[time.end + 5] != '.' ||
      rest[time.end + 8] != '.') {
    return {};
  }
  std::size_t at = skip_word(line, space + 1 + time.end + kDateBytes);
  if (const LogTime again = match_month_time(line.substr(at), context_); again.end != 0) {
    LogHeader header = read_syslog(line, at);
    header.format = kLogTimestamped;
    header.time_ms = time.ms;
    return header;
  }
  LogHeader header;
  header.format = kLogTimestamped;
  header.time_ms = time.ms;
  header.message_at = at;
  // date, node, type, component, level
  for (int field = 0; field < 5; ++field) {
    const std::size_t next = skip_word(line, at);
    const LogLevel level = level_of_word(line.substr(at, line.find(' ', at) - at));
    if (level != LogLevel::kNone) {
      header.level = level;
      header.message_at = next;
      break;
    }
    at = next;
  }
  return header;
}

/// `134681 node-246 unix.hw state_change.unavailable 1077804742 1 ...`: five fields, the last of
/// them seconds since 1970, and a flag.
LogHeader LogHeaderReader::read_hpc(std::string_view line) const {
  const std::size_t id_end = digits_end(line, 0);
  if (id_end >= line.size() || line[id_end] != ' ') return {};
  std::size_t at = 0;
  for (int field = 0; field < 4; ++field) at = skip_word(line.substr(0, kHeaderBytesMax), at);
  const LogTime time = match_epoch_time(line.substr(at));
  const std::size_t flag = at + time.end + 1;
  if (time.end == 0 || flag >= line.size() || line[flag - 1] != ' ') return {};
  const std::size_t flag_end = digits_end(line, flag + (line[flag] == '-' ? 1 : 0));
  if (flag_end == flag || flag_end >= line.size() || line[flag_end] != ' ') return {};
  LogHeader header;
  header.format = kLogTimestamped;
  header.time_ms = time.ms;
  header.message_at = skip_spaces(line, flag_end);
  return header;
}

}  // namespace sluice
