// A JSON line as a log event: pino, bunyan, winston, zap, python-json-logger and their like.
//
// One reader per parser, used by one thread at a time; it keeps buffers between lines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/logs/event.h"
#include "core/logs/timestamp.h"

namespace sluice {

/// What a JSON line says. Views are valid until the next `read`.
struct LogRecord {
  bool well_formed = false;  ///< One JSON object and nothing behind it.
  std::int64_t time_ms = kNoTime;
  LogLevel level = LogLevel::kNone;
  std::string_view message;  ///< Empty where there is none.
  std::string_view error;    ///< What an error inside it says (`err.message`, `error`).
};

/// Takes `level` (also `severity`, `lvl`, `levelname`, `log.level`; a word or a number), `time`
/// (also `timestamp`, `ts`, `@timestamp`, `t`; ISO 8601 or a number since 1970), `msg` (also
/// `message`, `event`), and of an error (`err`, `error`, `exception`: an object or a string) its
/// `message` or, failing that, its `code` or `type`. Of a line that is no JSON, what came before
/// the mistake is used.
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
