// Recognises the header of a log line: format, time and level.
//
// One reader per parser, used by one thread at a time. Matchers are written by hand: std::regex is
// slow, and recurses once per character.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/logs/line/event.h"
#include "core/logs/line/json_record.h"
#include "core/logs/line/timestamp.h"

namespace sluice {

/// The formats that the reader recognises; bits of a set. lib/primitives/logs/log-parser.js has the
/// same numbers.
enum LogFormat : std::uint32_t {
  kLogNone = 0,
  kLogJson = 1,         ///< A JSON object per line.
  kLogTimestamped = 2,  ///< A date or a time of day, most often a level.
  kLogLevelled = 4,     ///< A level first: `ERROR: ...`, `[warn] ...`, `ERROR:root:...`.
  kLogNginxError = 8,   ///< `2026/11/21 03:56:14 [error] 12#12: *3 ...`
  kLogAccess = 16,      ///< Common and combined format of nginx and Apache, and Gin's.
  kLogRedis = 32,       ///< `14:M 21 Nov 2026 03:56:14.123 * ...`
  kLogSyslog = 64,      ///< RFC 3164 and RFC 5424.
  kLogGlog = 128,       ///< `E1121 03:56:14.123456 12 file.go:3] ...`
  kLogLogfmt = 256,     ///< `time=... level=error msg="..."`
  kLogContainer = 512,  ///< Lines of CRI, Docker, Compose and kubectl: see LogEnvelopeReader.
  kLogJournald = 1024,  ///< `journalctl -o json`.
  kLogAllFormats = 2047,
};

/// The header of a line. Views are valid until the next `read`.
struct LogHeader {
  LogFormat format = kLogNone;  ///< kLogNone: the line has no known header.
  std::int64_t time_ms = kNoTime;
  LogLevel level = LogLevel::kNone;
  std::size_t message_at = 0;     ///< Offset of the message.
  bool malformed = false;         ///< Broken JSON.
  bool awaits_message = false;    ///< The next line brings the message (.NET, java.util.logging).
  std::string_view message = {};  ///< Message of a structured line, else null.
  std::string_view error = {};    ///< Error text inside a structured line, else null.

  [[nodiscard]] bool found() const { return format != kLogNone; }
  /// Whether the event ends with this line.
  [[nodiscard]] bool closed() const {
    return (format & (kLogJson | kLogAccess | kLogNginxError | kLogRedis)) != 0;
  }
};

/// Reads the header of a line by trying each format that the line's first byte admits.
class LogHeaderReader {
 public:
  /// @param formats a set of LogFormat to look for
  LogHeaderReader(std::uint32_t formats, LogTimeContext context)
      : formats_(formats), context_(context) {}

  /// @param line valid UTF-8
  LogHeader read(std::string_view line);

 private:
  [[nodiscard]] bool wants(LogFormat format) const { return (formats_ & format) != 0; }
  LogHeader read_json(std::string_view line);
  LogHeader read_digit(std::string_view line);
  LogHeader read_bracket(std::string_view line);
  LogHeader read_letter(std::string_view line);
  [[nodiscard]] LogTime match_leading_time(std::string_view text) const;
  [[nodiscard]] LogHeader read_timestamped(std::string_view line, LogTime time) const;
  [[nodiscard]] LogHeader read_dated_word(std::string_view line) const;
  [[nodiscard]] LogHeader read_labelled(std::string_view line) const;
  [[nodiscard]] LogHeader read_hpc(std::string_view line) const;
  [[nodiscard]] LogHeader read_gin(std::string_view line) const;
  [[nodiscard]] LogHeader read_nginx_error(std::string_view line, LogTime time) const;
  [[nodiscard]] LogHeader read_redis(std::string_view line) const;
  [[nodiscard]] LogHeader read_access(std::string_view line) const;
  [[nodiscard]] LogHeader read_priority(std::string_view line) const;
  [[nodiscard]] LogHeader read_syslog(std::string_view line, std::size_t at) const;
  [[nodiscard]] LogHeader read_glog(std::string_view line) const;
  [[nodiscard]] LogHeader read_logfmt(std::string_view line) const;
  [[nodiscard]] LogHeader read_levelled(std::string_view line) const;

  std::uint32_t formats_;
  LogTimeContext context_;
  LogRecordReader records_;
};

}  // namespace sluice
