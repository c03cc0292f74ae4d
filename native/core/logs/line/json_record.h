// Reads a JSON line as a log event.
//
// One reader per parser, used by one thread at a time; it keeps buffers between lines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/logs/line/event.h"
#include "core/logs/line/timestamp.h"

namespace sluice {

/// The fields of a JSON line. Views are valid until the next `read`.
struct LogRecord {
  bool well_formed = false;  ///< One JSON object and nothing after it.
  std::int64_t time_ms = kNoTime;
  LogLevel level = LogLevel::kNone;
  std::string_view message;  ///< Empty for none.
  std::string_view error;  ///< Text of an error inside it (`err.message`, `error`); empty for none.
  // Of an envelope; null for none.
  std::string_view content;  ///< `log` of Docker, `MESSAGE` of journald.
  std::string_view stream;
  std::string_view unit;  ///< `_SYSTEMD_UNIT` or `SYSLOG_IDENTIFIER`.
  std::string_view process;
};

/// Knows the field names of pino, bunyan, winston, zap, python-json-logger, Serilog, .NET, MongoDB,
/// PostgreSQL, Monolog, ECS and GELF: see `kMemberNames`. A level is a word or a number, a time is
/// ISO 8601 or a number since 1970, an error is a string or an object with `message`, `code` or
/// `type`. Of a line that is no JSON, the fields before the mistake count.
class LogRecordReader {
 public:
  LogRecordReader();
  ~LogRecordReader();
  LogRecordReader(const LogRecordReader&) = delete;
  LogRecordReader& operator=(const LogRecordReader&) = delete;

  /// @param line valid UTF-8
  LogRecord read(std::string_view line, const LogTimeContext& context);

 private:
  class Handler;

  LogRecord parse(std::string_view line, const LogTimeContext& context);

  std::unique_ptr<Handler> handler_;
  std::string unescaped_;
};

}  // namespace sluice
