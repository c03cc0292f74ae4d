#include "core/logs/header.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/log_scan.h"
#include "core/logs/level.h"

namespace sluice {
namespace {

/// Past the dashes, colons and bars that set off a message from its header.
std::size_t skip_separators(std::string_view text, std::size_t at) {
  const std::size_t found = text.find_first_not_of(" \t-:|", at);
  return found == std::string_view::npos ? text.size() : found;
}

/// The value of `key` in a logfmt line, without quotes; null if it is not there.
std::string_view logfmt_value(std::string_view line, std::string_view key) {
  std::size_t at = 0;
  while (at < line.size()) {
    at = skip_spaces(line, at);
    const std::size_t equals = line.find_first_of("= ", at);
    if (equals == std::string_view::npos) return {};
    if (line[equals] == ' ') {
      at = equals;
      continue;
    }
    const std::string_view name = line.substr(at, equals - at);
    std::size_t end = equals + 1;
    if (end < line.size() && line[end] == '"') {
      const std::size_t begin = ++end;
      while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2U : 1U;
      end = std::min(end, line.size());
      if (name == key) return line.substr(begin, end - begin);
      ++end;
    } else {
      end = std::min(line.find(' ', end), line.size());
      if (name == key) return line.substr(equals + 1, end - equals - 1);
    }
    at = end;
  }
  return {};
}

}  // namespace

LogHeader LogHeaderReader::read(std::string_view line) {
  if (line.empty()) return {};
  const char first = line.front();
  if (is_digit(first)) return read_digit(line);
  if (is_upper(first) || is_lower(first)) return read_letter(line);
  switch (first) {
    case '{':
      return wants(kLogJson) ? read_json(line) : LogHeader();
    case '[':
      return read_bracket(line);
    case '<':
      return wants(kLogSyslog) ? read_priority(line) : LogHeader();
    case ':':
      return wants(kLogAccess) ? read_access(line) : LogHeader();
    case '(':
      return wants(kLogLevelled) ? read_levelled(line) : LogHeader();
    default:
      return {};
  }
}

LogHeader LogHeaderReader::read_json(std::string_view line) {
  // `{` alone, or `{ code: 1 }`, is an object that a program has printed.
  const std::size_t next = skip_spaces(line, 1);
  if (next >= line.size() || (line[next] != '"' && line[next] != '}')) return {};
  const LogRecord record = records_.read(line, context_);
  LogHeader header;
  header.format = kLogJson;
  header.time_ms = record.time_ms;
  header.level = record.level;
  header.malformed = !record.well_formed;
  if (!record.well_formed) return header;
  header.error = record.error;
  header.message = record.message.empty() ? record.error : record.message;
  return header;
}

LogHeader LogHeaderReader::read_digit(std::string_view line) {
  const LogTime time = match_iso_time(line, context_);
  if (time.end != 0) {
    if (line[4] == '/' && wants(kLogNginxError)) {
      const LogHeader header = read_nginx_error(line, time);
      if (header.found()) return header;
    }
    return wants(kLogTimestamped) ? read_timestamped(line, time) : LogHeader();
  }
  if (wants(kLogRedis)) {
    const LogHeader header = read_redis(line);
    if (header.found()) return header;
  }
  if (wants(kLogTimestamped)) {
    const LogTime bare = match_time_of_day(line);
    if (bare.end != 0) return read_timestamped(line, bare);
  }
  return wants(kLogAccess) ? read_access(line) : LogHeader();
}

LogHeader LogHeaderReader::read_bracket(std::string_view line) {
  if (wants(kLogTimestamped)) {
    const std::string_view inside = line.substr(1);
    LogTime time = match_iso_time(inside, context_);
    if (time.end == 0) time = match_ctime(inside, context_);
    if (time.end == 0) time = match_time_of_day(inside);
    if (time.end != 0) {
      const std::size_t end = 1 + time.end;
      if (end < line.size() && line[end] == ']') return read_timestamped(line, {end + 1, time.ms});
      // `[2026-11-21 03:56:14,123: ERROR/MainProcess]` holds the level too.
      LogHeader header = read_timestamped(line, {end, time.ms});
      const std::size_t close = line.substr(0, kHeaderBytesMax).find(']', end);
      if (close != std::string_view::npos) header.message_at = skip_separators(line, close + 1);
      return header;
    }
  }
  return wants(kLogLevelled) ? read_levelled(line) : LogHeader();
}

LogHeader LogHeaderReader::read_letter(std::string_view line) {
  if (wants(kLogSyslog) && line.size() > 15 && line[3] == ' ') {
    const LogHeader header = read_syslog(line, 0);
    if (header.found()) return header;
  }
  if (wants(kLogGlog) && line.size() > 1 && is_digit(line[1])) {
    const LogHeader header = read_glog(line);
    if (header.found()) return header;
  }
  if (wants(kLogLogfmt)) {
    const LogHeader header = read_logfmt(line);
    if (header.found()) return header;
  }
  if (wants(kLogLevelled)) {
    const LogHeader header = read_levelled(line);
    if (header.found()) return header;
  }
  return wants(kLogAccess) ? read_access(line) : LogHeader();
}

LogHeader LogHeaderReader::read_timestamped(std::string_view line, LogTime time) const {
  LogHeader header;
  header.format = kLogTimestamped;
  header.time_ms = time.ms;
  const std::string_view rest = line.substr(time.end, kHeaderBytesMax);
  const LogLevelMatch level = find_level(rest);
  header.level = level.level;
  header.message_at = level.end > 0 ? time.end + level.end : skip_separators(line, time.end);
  return header;
}

LogHeader LogHeaderReader::read_glog(std::string_view line) const {
  LogHeader header;
  switch (line.front()) {
    case 'I':
      header.level = LogLevel::kInfo;
      break;
    case 'W':
      header.level = LogLevel::kWarn;
      break;
    case 'E':
      header.level = LogLevel::kError;
      break;
    case 'F':
      header.level = LogLevel::kFatal;
      break;
    default:
      return {};
  }
  const LogTime time = match_month_day_time(line.substr(1), context_);
  if (time.end == 0) return {};
  header.format = kLogGlog;
  header.time_ms = time.ms;
  const std::size_t close = line.substr(0, kHeaderBytesMax).find("] ", time.end);
  header.message_at = close == std::string_view::npos ? 1 + time.end : close + 2;
  header.message_at = skip_spaces(line, header.message_at);
  return header;
}

LogHeader LogHeaderReader::read_logfmt(std::string_view line) const {
  // A key of small letters, at once.
  std::size_t key_end = 0;
  while (key_end < line.size() && (is_lower(line[key_end]) || line[key_end] == '_')) ++key_end;
  if (key_end == 0 || key_end >= line.size() || line[key_end] != '=') return {};
  const std::string_view head = line.substr(0, kHeaderBytesMax);
  std::string_view level = logfmt_value(head, "level");
  if (level.data() == nullptr) level = logfmt_value(head, "lvl");
  if (level.data() == nullptr) return {};
  LogHeader header;
  header.format = kLogLogfmt;
  header.level = level_of_word(level);
  std::string_view time = logfmt_value(head, "time");
  if (time.data() == nullptr) time = logfmt_value(head, "ts");
  header.time_ms = match_iso_time(time, context_).ms;
  header.message = logfmt_value(line, "msg");
  header.error = logfmt_value(line, "err");
  if (header.error.data() == nullptr) header.error = logfmt_value(line, "error");
  return header;
}

LogHeader LogHeaderReader::read_levelled(std::string_view line) const {
  std::size_t begin = 0;
  if (line.front() == '(') {
    // `(EngineCore_0 pid=123) ERROR 11-21 03:56:14 ...`
    begin = line.substr(0, kHeaderBytesMax).find(") ");
    if (begin == std::string_view::npos) return {};
    begin += 2;
  }
  std::size_t end = begin;
  const bool bracket = end < line.size() && line[end] == '[';
  if (bracket) ++end;
  const std::size_t word = end;
  while (end < line.size() && (is_upper(line[end]) || is_lower(line[end]))) ++end;
  const char after = end < line.size() ? line[end] : ' ';
  const LogLevel level = level_of_word(line.substr(word, end - word));
  if (level == LogLevel::kNone) return {};
  if (bracket) {
    if (after != ']') return {};
  } else {
    const bool upper = is_upper(line[word]) && is_upper(line[word + 1]);
    // `Error: ...` is how an exception begins, `panic: ...` how Go does.
    const bool named = is_upper(line[word]) && !upper;
    if (after == ':' ? named || line.substr(word, end - word) == "panic"
                     : !upper || (after != ' ' && after != '\t')) {
      return {};
    }
  }
  LogHeader header;
  header.format = kLogLevelled;
  header.level = level;
  header.message_at = skip_separators(line, end + (bracket ? 1 : 0));
  // vLLM has its date behind the level.
  const LogTime time = match_month_day_time(line.substr(header.message_at), context_);
  if (time.end != 0) {
    header.time_ms = time.ms;
    header.message_at = skip_spaces(line, header.message_at + time.end);
  }
  return header;
}

}  // namespace sluice
