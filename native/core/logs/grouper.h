// Puts the lines of one source together to events.
//
// One grouper per source, used by one thread at a time. It ends with `flush`, after which it is as
// new.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/logs/event.h"
#include "core/logs/header.h"
#include "core/logs/pattern.h"
#include "core/logs/stack_trace.h"

namespace sluice {

/// Users' own rule for which lines begin an event. A line that a start pattern matches begins one;
/// of the others, one that a continuation pattern matches belongs to the event before it. What
/// neither matches begins an event if there are continuation patterns, else it belongs to the one
/// before.
struct LogPatterns {
  std::vector<LogPattern> start;
  std::vector<LogPattern> continuation;

  [[nodiscard]] bool any() const { return !start.empty() || !continuation.empty(); }
  [[nodiscard]] bool begins(std::string_view line);
};

/// Where there are no patterns, a line with a header begins an event, and TraceState decides about
/// the others: stack traces, indented lines and closing braces belong to the event before them.
class LogGrouper {
 public:
  struct Limits {
    std::size_t lines = 1000;       ///< Of an event that are kept.
    std::size_t bytes = 256 << 10;  ///< Of an event's text that are kept.
  };
  struct Line {
    std::string_view text;  ///< Valid UTF-8.
    LogHeader header;
    bool malformed = false;
    bool cut = false;
  };

  LogGrouper(Limits limits, LogPatterns* patterns) : limits_(limits), patterns_(patterns) {}

  /// Hands on what the line ends: an event before it, itself, or nothing yet.
  void take(const Line& line, LogSink& sink);

  /// Hands on the event under way.
  void flush(LogSink& sink);

  /// Whether a header is no header here, but the line that a trace is waiting for.
  [[nodiscard]] bool overrides(const LogHeader& header) const {
    return pending_ && header.time_ms == kNoTime && header.format == kLogLevelled && blanks_ == 0 &&
           trace_.expects_exception();
  }
  [[nodiscard]] bool pending() const { return pending_; }

 private:
  struct Held {
    std::string text;
    bool malformed;
    bool cut;
  };

  void begin(const Line& line);
  void append(std::string_view text, bool malformed, bool cut);
  void take_by_pattern(const Line& line, LogSink& sink);
  void take_plain(const Line& line, LogSink& sink);
  bool hold(const Line& line);
  void confirm_tentative();
  void release_tentative(LogSink& sink);
  void emit(LogSink& sink);
  [[nodiscard]] std::string_view summarise(std::string_view message);

  Limits limits_;
  LogPatterns* patterns_;

  // The event under way.
  bool pending_ = false;
  std::string text_;
  std::size_t lines_ = 0;
  std::uint32_t blanks_ = 0;  // Blank lines since its last line; they count if another follows.
  std::int64_t time_ms_ = kNoTime;
  LogLevel level_ = LogLevel::kNone;
  std::size_t message_at_ = 0;
  bool structured_ = false;
  bool malformed_ = false;
  bool truncated_ = false;
  std::string message_;    // Of a structured line.
  std::string exception_;  // The line that names the error, where it is not the first.
  TraceState trace_;
  std::vector<Held> tentative_;  // Bounded: see hold().
  std::size_t tentative_bytes_ = 0;
  std::string summary_;
};

}  // namespace sluice
