#include "core/logs/line/header.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/logs/line/level.h"
#include "core/logs/line/scan.h"

namespace sluice {
namespace {

/// `Microsoft.Hosting.Lifetime[14]`: a category and an event id, without a message.
bool is_dotnet_category(std::string_view text) {
  const std::size_t open = text.find('[');
  if (open == std::string_view::npos || open == 0 || !text.ends_with(']')) return false;
  const std::string_view id = text.substr(open + 1, text.size() - open - 2);
  return digits_end(id, 0) == id.size() && !id.empty() &&
         text.substr(0, open).find(' ') == std::string_view::npos;
}

/// The value of `key` in a logfmt line, without quotes; null if absent.
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
    case '-':
      return wants(kLogTimestamped) ? read_labelled(line) : LogHeader();
    case ':':
      return wants(kLogAccess) ? read_access(line) : LogHeader();
    case '(':
      return wants(kLogLevelled) ? read_levelled(line) : LogHeader();
    default:
      return {};
  }
}

LogHeader LogHeaderReader::read_json(std::string_view line) {
  // `{` alone and `{ code: 1 }` are objects that a program has printed.
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
  // Content may be bytes of any kind.
  const std::string_view content = record.content;
  if (header.message.empty() && valid_utf8_prefix(content) == content.size()) {
    header.message = content;
  }
  return header;
}

LogHeader LogHeaderReader::read_digit(std::string_view line) {
  if (wants(kLogRedis)) {
    const LogHeader header = read_redis(line);
    if (header.found()) return header;
  }
  const LogTime time = match_leading_time(line);
  if (time.end != 0) {
    if (line[4] == '/' && wants(kLogNginxError)) {
      const LogHeader header = read_nginx_error(line, time);
      if (header.found()) return header;
    }
    return wants(kLogTimestamped) ? read_timestamped(line, time) : LogHeader();
  }
  if (wants(kLogTimestamped)) {
    const LogHeader header = read_hpc(line);
    if (header.found()) return header;
  }
  return wants(kLogAccess) ? read_access(line) : LogHeader();
}

LogHeader LogHeaderReader::read_bracket(std::string_view line) {
  if (line.starts_with("[GIN") || line.starts_with("[Recovery] ")) {
    const LogHeader header = read_gin(line);
    if (header.found()) return header;
  }
  if (wants(kLogTimestamped)) {
    LogTime time = match_leading_time(line.substr(1));
    if (time.end == 0) time = match_ctime(line.substr(1), context_);
    const std::size_t end = 1 + time.end;
    const std::size_t close =
        time.end == 0 ? std::string_view::npos : line.substr(0, kHeaderBytesMax).find(']', end);
    if (close != std::string_view::npos) {
      LogHeader header = read_timestamped(line, {close + 1, time.ms});
      // `[2026-11-21 03:56:14,123: ERROR/MainProcess]` holds the level too.
      const LogLevel inside = level_among_words(line.substr(end, close - end));
      if (inside != LogLevel::kNone) {
        header.level = inside;
        header.message_at = skip_separators(line, close + 1);
      }
      return header;
    }
    if (time.end != 0) return read_timestamped(line, {end, time.ms});
  }
  return wants(kLogLevelled) ? read_levelled(line) : LogHeader();
}

LogHeader LogHeaderReader::read_letter(std::string_view line) {
  if (line.size() > 15 && line[3] == ' ') {
    const LogHeader header = read_dated_word(line);
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
  if (wants(kLogTimestamped)) {
    const LogHeader header = read_labelled(line);
    if (header.found()) return header;
  }
  if (wants(kLogLevelled)) {
    const LogHeader header = read_levelled(line);
    if (header.found()) return header;
  }
  return wants(kLogAccess) ? read_access(line) : LogHeader();
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
  LogTime time = match_month_day_time(line.substr(1), context_);
  if (time.end == 0) time = match_iso_time(line.substr(1), context_);  // glog from 0.6 on
  if (time.end == 0) return {};
  header.format = kLogGlog;
  header.time_ms = time.ms;
  const std::size_t close = line.substr(0, kHeaderBytesMax).find("] ", time.end);
  header.message_at = close == std::string_view::npos ? 1 + time.end : close + 2;
  header.message_at = skip_spaces(line, header.message_at);
  return header;
}

LogHeader LogHeaderReader::read_logfmt(std::string_view line) const {
  // The line must begin with a key in small letters.
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
  LogHeader header;
  header.format = kLogLevelled;
  if (const LogLevelMatch php = match_php_level(line); php.end > 0) {
    header.level = php.level;
    header.message_at = php.end;
    return header;
  }
  std::size_t begin = 0;
  if (line.front() == '(') {
    // `(EngineCore_0 pid=123) ERROR 11-21 03:56:14 ...`
    begin = line.substr(0, kHeaderBytesMax).find(") ");
    if (begin == std::string_view::npos) return {};
    begin += 2;
  }
  const bool bracket = begin < line.size() && line[begin] == '[';
  const std::size_t word = begin + (bracket ? 1 : 0);
  std::size_t end = word;
  while (end < line.size() && is_letter(line[end])) ++end;
  const char after = end < line.size() ? line[end] : ' ';
  header.level = level_of_word(line.substr(word, end - word));
  if (header.level == LogLevel::kNone) return {};
  if (bracket && after == ' ' && end < line.size()) {
    // `[ERROR 2026-11-21 03:56:14 main] ...`
    const LogTime time = match_iso_time(line.substr(end + 1), context_);
    const std::size_t close = line.substr(0, kHeaderBytesMax).find(']', end);
    if (time.end == 0 || close == std::string_view::npos) return {};
    header.time_ms = time.ms;
    header.message_at = skip_spaces(line, close + 1);
    return header;
  }
  if (bracket) {
    if (after != ']') return {};
  } else {
    const bool upper = is_upper(line[word]) && is_upper(line[word + 1]);
    // `Error: ...` is the first line of an exception, `panic: ...` of a panic in Go.
    const bool named = is_upper(line[word]) && !upper;
    if (after == ':' ? named || line.substr(word, end - word) == "panic"
                     : !upper || (after != ' ' && after != '\t')) {
      return {};
    }
  }
  header.message_at = skip_separators(line, end + (bracket ? 1 : 0));
  // Its report is a trace.
  if (line.substr(header.message_at).starts_with("ThreadSanitizer: ")) return {};
  header.awaits_message = is_dotnet_category(line.substr(header.message_at));
  // Some write the date after the level: `ERROR 2026-11-21 ...`, `INFO  [2026-11-21 ...] ...`.
  const std::size_t date = header.message_at + (line.substr(header.message_at).starts_with('['));
  LogTime time = match_iso_time(line.substr(date), context_);
  if (time.end == 0) time = match_month_day_time(line.substr(date), context_);
  if (time.end != 0) {
    header.time_ms = time.ms;
    const std::size_t behind = date + time.end;
    const bool closed = behind < line.size() && line[behind] == ']';
    header.message_at = skip_spaces(line, behind + (closed ? 1 : 0));
  }
  return header;
}

}  // namespace sluice
