#include "core/log_header.h"

#include <algorithm>
#include <charconv>

#include "core/ascii.h"
#include "core/log_level.h"

namespace sluice {
namespace {

// Where a header must be over: a match further on is no header.
constexpr std::size_t kHeaderBytesMax = 512;

std::size_t digits_end(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  return at;
}

/// Past the dashes, colons and bars that set off a message from its header.
std::size_t skip_separators(std::string_view text, std::size_t at) {
  const std::size_t found = text.find_first_not_of(" \t-:|", at);
  return found == std::string_view::npos ? text.size() : found;
}

/// The level of an answer's status.
LogLevel level_of_status(std::string_view status) {
  if (status.size() != 3) return LogLevel::kNone;
  if (status[0] == '5') return LogLevel::kError;
  return status[0] == '4' ? LogLevel::kWarn : LogLevel::kInfo;
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

LogHeader LogHeaderReader::read_nginx_error(std::string_view line, LogTime time) const {
  const std::size_t open = time.end + 1;
  if (open >= line.size() || line[time.end] != ' ' || line[open] != '[') return {};
  const std::size_t close = line.find(']', open);
  if (close == std::string_view::npos || close > open + 8) return {};
  LogHeader header;
  header.level = level_of_word(line.substr(open + 1, close - open - 1));
  // pid#tid: and the connection's number
  std::size_t at = skip_spaces(line, close + 1);
  std::size_t end = digits_end(line, at);
  if (header.level == LogLevel::kNone || end == at || end >= line.size() || line[end] != '#') {
    return {};
  }
  end = digits_end(line, end + 1);
  if (end >= line.size() || line[end] != ':') return {};
  at = skip_spaces(line, end + 1);
  if (at < line.size() && line[at] == '*') at = skip_spaces(line, digits_end(line, at + 1));
  header.format = kLogNginxError;
  header.time_ms = time.ms;
  header.message_at = at;
  return header;
}

LogHeader LogHeaderReader::read_redis(std::string_view line) const {
  constexpr std::string_view kSignalHandler = ":signal-handler (";
  const std::size_t colon = digits_end(line, 0);
  if (line.substr(colon).starts_with(kSignalHandler)) {
    // `14:signal-handler (1795233374) Received SIGTERM scheduling shutdown...`: always a warning.
    const std::size_t begin = colon + kSignalHandler.size();
    const std::size_t end = digits_end(line, begin);
    double seconds = 0;
    std::from_chars(line.data() + begin, line.data() + end, seconds);
    LogHeader header;
    header.format = kLogRedis;
    header.time_ms = epoch_time_ms(seconds);
    header.level = LogLevel::kWarn;
    header.message_at = skip_spaces(line, std::min(end + 1, line.size()));
    return header;
  }
  if (colon + 3 >= line.size() || line[colon] != ':' || line[colon + 2] != ' ' ||
      !is_upper(line[colon + 1])) {
    return {};
  }
  const std::size_t begin = colon + 3;
  const LogTime time = match_redis_time(line.substr(begin), context_);
  const std::size_t mark = begin + time.end + 1;
  if (time.end == 0 || mark >= line.size()) return {};
  LogHeader header;
  switch (line[mark]) {
    case '.':
    case '-':
      header.level = LogLevel::kDebug;
      break;
    case '*':
      header.level = LogLevel::kInfo;
      break;
    case '#':
      header.level = LogLevel::kWarn;
      break;
    default:
      return {};
  }
  header.format = kLogRedis;
  header.time_ms = time.ms;
  header.message_at = skip_spaces(line, mark + 1);
  return header;
}

/// `address identity user [time] "request" status bytes ...`
LogHeader LogHeaderReader::read_access(std::string_view line) const {
  const std::size_t address_end = line.substr(0, kHeaderBytesMax).find(' ');
  if (address_end == std::string_view::npos) return {};
  const std::size_t open = line.substr(0, kHeaderBytesMax).find(" [", address_end + 1);
  if (open == std::string_view::npos) return {};
  const std::size_t begin = open + 2;
  const LogTime time = match_access_time(line.substr(begin));
  const std::size_t request = begin + time.end + 2;
  if (time.end == 0 || request >= line.size() || line[request - 2] != ']' || line[request] != '"') {
    return {};
  }
  LogHeader header;
  header.format = kLogAccess;
  header.time_ms = time.ms;
  header.message_at = request;
  // A quotation mark inside the request is escaped by both servers.
  const std::size_t quote = line.find("\" ", request + 1);
  if (quote != std::string_view::npos) {
    const std::size_t status = quote + 2;
    header.level = level_of_status(line.substr(status, digits_end(line, status) - status));
  }
  return header;
}

/// `<34>` and a message of RFC 3164 or RFC 5424.
LogHeader LogHeaderReader::read_priority(std::string_view line) const {
  const std::size_t end = digits_end(line, 1);
  if (end == 1 || end > 4 || end >= line.size() || line[end] != '>') return {};
  int priority = 0;
  for (const char c : line.substr(1, end - 1)) priority = priority * 10 + (c - '0');
  if (priority > 191) return {};
  std::size_t at = end + 1;
  LogHeader header;
  const std::string_view rest = line.substr(at);
  if (rest.starts_with("1 ")) {
    const LogTime time = match_iso_time(rest.substr(2), context_);
    header.time_ms = time.ms;
    at += 2 + (time.end == 0 ? 1 : time.end);
    // host, application, process, message id; then `-` or [structured data]
    for (int i = 0; i < 4; ++i) at = std::min(line.find(' ', skip_spaces(line, at)), line.size());
    at = skip_spaces(line, at);
    while (at < line.size() && line[at] == '[')
      at = std::min(line.find(']', at), line.size() - 1) + 1;
    if (at < line.size() && line[at] == '-') ++at;
    header.message_at = skip_spaces(line, at);
  } else {
    header = read_syslog(line, at);
    if (!header.found()) header.message_at = skip_spaces(line, at);
  }
  header.format = kLogSyslog;
  header.level = level_of_number(priority % 8);
  return header;
}

/// `Nov 21 03:56:14 host application[12]: message`
LogHeader LogHeaderReader::read_syslog(std::string_view line, std::size_t at) const {
  const LogTime time = match_syslog_time(line.substr(at), context_);
  if (time.end == 0) return {};
  LogHeader header;
  header.format = kLogSyslog;
  header.time_ms = time.ms;
  at = skip_spaces(line, at + time.end);
  const std::size_t host_end = std::min(line.find(' ', at), line.size());
  const std::size_t tag_end = std::min(line.find(' ', host_end + 1), line.size());
  // Without a tag it is a message that some program has dated so.
  if (tag_end > host_end + 1 && line[tag_end - 1] == ':') at = skip_spaces(line, tag_end);
  const LogLevelMatch level = find_level(line.substr(at, kHeaderBytesMax));
  header.level = level.level;
  header.message_at = level.level == LogLevel::kNone ? at : at + level.end;
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
