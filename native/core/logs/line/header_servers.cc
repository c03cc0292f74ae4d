// The headers of servers: nginx, Redis, access logs, Gin and syslog.
#include <algorithm>
#include <charconv>

#include "core/base/ascii.h"
#include "core/logs/line/header.h"
#include "core/logs/line/level.h"
#include "core/logs/line/scan.h"

namespace sluice {
namespace {

/// The level of an HTTP status.
LogLevel level_of_status(std::string_view status) {
  if (status.size() != 3) return LogLevel::kNone;
  if (status[0] == '5') return LogLevel::kError;
  return status[0] == '4' ? LogLevel::kWarn : LogLevel::kInfo;
}

/// Past `[id name="value"]`. Inside a value `\"`, `\\` and `\]` are escapes (RFC 5424, 6.3.3).
std::size_t structured_data_end(std::string_view line, std::size_t at) {
  bool quoted = false;
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (quoted && c == '\\' && at + 1 < line.size()) {
      const char next = line[at + 1];
      if (next == '"' || next == '\\' || next == ']') ++at;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ']' && !quoted) {
      return at + 1;
    }
  }
  return line.size();
}

}  // namespace

/// `[GIN] 2026/11/21 - 03:56:14 | 200 | ...`, `[GIN-debug] ...`, `[Recovery] 2026/11/21 - ...`
LogHeader LogHeaderReader::read_gin(std::string_view line) const {
  const std::size_t close = line.find(']');
  const std::size_t begin = skip_spaces(line, close + 1);
  const std::string_view rest = line.substr(begin);
  LogHeader header;
  if (line.starts_with("[GIN-debug]")) {
    if (!wants(kLogLevelled)) return {};
    const LogLevelMatch level = find_level(rest.substr(0, kHeaderBytesMax));
    header.format = kLogLevelled;
    header.level = level.level == LogLevel::kNone ? LogLevel::kDebug : level.level;
    header.message_at = begin + level.end;
    return header;
  }
  const LogTime time = match_iso_time(rest, context_);
  if (time.end == 0 || !wants(kLogAccess)) return {};
  header.format = kLogAccess;
  header.time_ms = time.ms;
  header.message_at = skip_separators(line, begin + time.end);
  const std::size_t status = header.message_at;
  header.level = level_of_status(line.substr(status, digits_end(line, status) - status));
  if (line.starts_with("[Recovery]")) {
    // A panic follows: its request, its text and its stack.
    header.format = kLogTimestamped;
    header.level = LogLevel::kError;
  }
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
    header.message_at = skip_spaces(line, end + (line.substr(end).starts_with(')') ? 1 : 0));
    return header;
  }
  if (colon + 3 >= line.size() || line[colon] != ':' || line[colon + 2] != ' ' ||
      !is_upper(line[colon + 1])) {
    return {};
  }
  const std::size_t begin = colon + 3;
  const LogTime time = match_day_month_time(line.substr(begin), context_);
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
  const LogTime time = match_day_month_time(line.substr(begin), context_);
  const std::size_t request = begin + time.end + 2;
  if (time.end == 0 || request >= line.size() || line[request - 2] != ']' || line[request] != '"') {
    return {};
  }
  LogHeader header;
  header.format = kLogAccess;
  header.time_ms = time.ms;
  header.message_at = request;
  // Both servers escape a quotation mark inside the request.
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
    while (at < line.size() && line[at] == '[') at = structured_data_end(line, at);
    if (at < line.size() && line[at] == '-') ++at;
    at = skip_spaces(line, at);
    header.message_at = at + (line.substr(at).starts_with("\xEF\xBB\xBF") ? 3 : 0);
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
  const LogTime time = match_month_time(line.substr(at), context_);
  if (time.end == 0) return {};
  LogHeader header;
  header.format = kLogSyslog;
  header.time_ms = time.ms;
  at = skip_spaces(line, at + time.end);
  const std::size_t host_end = std::min(line.find(' ', at), line.size());
  const std::size_t tag_end = std::min(line.find(' ', host_end + 1), line.size());
  // Without a tag the rest is the message.
  if (tag_end > host_end + 1 && line[tag_end - 1] == ':') at = skip_spaces(line, tag_end);
  const LogLevelMatch level = find_level(line.substr(at, kHeaderBytesMax));
  header.level = level.level;
  header.message_at = level.level == LogLevel::kNone ? at : at + level.end;
  return header;
}

}  // namespace sluice
