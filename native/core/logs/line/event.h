// The event that a log parser emits. Plain values; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace sluice {

/// Severity, ascending. lib/primitives/logs/log-parser.js has the same numbers.
enum class LogLevel : std::uint8_t { kNone, kTrace, kDebug, kInfo, kWarn, kError, kFatal };

/// Stands for a missing or incomplete time.
inline constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

/// One event. Views are valid during the call that emits it, and are valid UTF-8.
struct LogEvent {
  std::int64_t time_ms = kNoTime;  ///< Milliseconds since 1970 (UTC), or kNoTime.
  LogLevel level = LogLevel::kNone;
  std::uint32_t source = 0;
  std::string_view container;  ///< Of Compose, kubectl or journald; empty for none.
  /// Its lines as read, joined by LF, without CR, colours and container envelopes.
  std::string_view text;
  /// `text` after the header (then it is a suffix of `text`), or the message of a structured line.
  std::string_view message;
  /// One line that states the error; templates are made from it.
  std::string_view summary;
  bool malformed = false;  ///< One of its lines is invalid UTF-8 or broken JSON.
  bool truncated = false;  ///< Lines or bytes beyond the limits were dropped.
};

/// Receives events. It must neither call nor destroy the parser.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void on_event(const LogEvent& event) = 0;
};

}  // namespace sluice
