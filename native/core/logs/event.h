// What a log parser finds: levels, formats, and the event that it hands on.
//
// Plain values without behaviour of their own; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace sluice {

/// How bad it is. The order is that of badness; lib/primitives/logs/log-parser.js has the same
/// numbers.
enum class LogLevel : std::uint8_t { kNone, kTrace, kDebug, kInfo, kWarn, kError, kFatal };

/// "No such time": the line carries none, or only a part of one.
inline constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

/// One event. Views are valid during the call that hands it on, and are valid UTF-8.
struct LogEvent {
  std::int64_t time_ms = kNoTime;  ///< Milliseconds since 1970 (UTC), or kNoTime.
  LogLevel level = LogLevel::kNone;
  std::uint32_t source = 0;
  /// Its lines as they came, joined by LF, without the CR of a CRLF.
  std::string_view text;
  /// `text` without the time and level at its beginning (then it is the end of `text`), or the
  /// message that a structured line carries.
  std::string_view message;
  /// One line that says what happened: what templates are made of.
  std::string_view summary;
  bool malformed = false;  ///< A line of it is no UTF-8, or no JSON where it had to be.
  bool truncated = false;  ///< Lines or bytes of it were left out.
};

/// Receives events. It must not call the parser nor destroy it.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void on_event(const LogEvent& event) = 0;
};

}  // namespace sluice
