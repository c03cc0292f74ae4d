// Groups the lines of one source into events.
//
// One grouper per source, used by one thread at a time. After `flush` it is as new.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/logs/grouping/stack_trace.h"
#include "core/logs/line/event.h"
#include "core/logs/line/header.h"
#include "core/logs/pattern/pattern.h"

namespace sluice {

/// The user's rule for grouping. A line that a start pattern matches begins an event; of the
/// others, a line that a continuation pattern matches belongs to the event before it. A line that
/// matches none begins an event if there are continuation patterns, else it belongs to the event
/// before it.
struct LogPatterns {
  std::vector<LogPattern> start;
  std::vector<LogPattern> continuation;

  [[nodiscard]] bool any() const { return !start.empty() || !continuation.empty(); }
  [[nodiscard]] bool begins(std::string_view line);
};

/// Without patterns a line with a header begins an event, and TraceState decides about the others:
/// stack traces, indented lines and closing braces belong to the event before them.
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
    bool continues = false;  ///< Belongs to the line before it.
    /// Time and level that an envelope gives; they count where the event has none of its own.
    std::int64_t outer_time_ms = kNoTime;
    LogLevel outer_level = LogLevel::kNone;
  };

  LogGrouper(Limits limits, LogPatterns* patterns) : limits_(limits), patterns_(patterns) {}

  /// Takes a line and emits the events that it ends.
  void take(const Line& line, LogSink& sink);

  /// Emits the event under way.
  void flush(LogSink& sink);

  /// Whether the line ends a Python trace although it resembles a header: `ERROR: text`.
  [[nodiscard]] bool overrides(const LogHeader& header, std::string_view line) const {
    return pending_ && header.time_ms == kNoTime && header.format == kLogLevelled && blanks_ == 0 &&
           trace_.expects_exception() && is_python_exception(line);
  }
  [[nodiscard]] bool pending() const { return pending_; }

 private:
  struct Held {
    std::string text;
    std::uint32_t blanks;  // Before it.
    bool malformed;
    bool cut;
    std::int64_t outer_time_ms;
    LogLevel outer_level;
  };

  void begin(const Line& line);
  void append(std::string_view text, bool malformed, bool cut);
  void take_by_pattern(const Line& line, LogSink& sink);
  bool take_awaited(const Line& line);
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
  LogLevel outer_level_ = LogLevel::kNone;
  std::size_t message_at_ = 0;
  bool structured_ = false;
  bool awaits_message_ = false;  // Its header continues in the next line.
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
