// Which lines without a header of their own belong to the event before them: stack traces.
//
// One state per event under way, used by one thread at a time.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/logs/event.h"

namespace sluice {

/// What a line without a header looks like.
enum class TraceLine : std::uint8_t {
  kPlain,
  kBlank,
  kIndented,         ///< Begins with white space.
  kFrame,            ///< `\tat ...`, `  File "...", line 3`
  kExceptionHead,    ///< `java.lang.IllegalStateException: ...`, `TypeError: ...`
  kCausedBy,         ///< `Caused by: ...`, `Suppressed: ...`, `... 12 more`
  kPythonTraceback,  ///< `Traceback (most recent call last):`
  kPythonChain,      ///< `During handling of the above exception, ...`
  kGoPanic,          ///< `panic: ...`, `fatal error: ...`
  kGoroutine,        ///< `goroutine 1 [running]:`
  kGoRegisters,      ///< `rax    0x0`
  kNodeLocation,     ///< `/srv/app.js:12`
  kCaret,            ///< `   ^^^`
  kNodeVersion,      ///< `Node.js v20.20.0`
  kCloser,           ///< `}`, `]`, `})`
  kRedisFatal,       ///< `*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***`
};

/// @param line without a header, valid UTF-8
TraceLine classify_trace_line(std::string_view line);

/// What a line is to the event before it.
enum class TraceVerdict : std::uint8_t {
  kStart,      ///< None of it: it starts an event of its own.
  kJoin,       ///< A line of it.
  kException,  ///< A line of it, and the one that names the error.
  kTentative,  ///< A line of it if a stack frame follows, else it starts an event of its own.
};

/// The part of a trace that has been seen. An event begins with `begin`; each line after it that
/// has no header is put to `next`.
class TraceState {
 public:
  /// The event begins with a line that has a header.
  void begin_headed(LogLevel level);

  /// The event begins with a line that has none.
  void begin_plain(TraceLine kind, std::string_view line);

  /// @param blanks how many blank lines lie between the event's last line and this one
  TraceVerdict next(TraceLine kind, std::string_view line, std::uint32_t blanks);

  /// The level that the trace gives an event which states none.
  [[nodiscard]] LogLevel level() const { return level_; }

  /// Whether the first line is only the announcement of what the trace says.
  [[nodiscard]] bool first_line_announces() const { return announces_; }

  /// Whether whatever comes next without a date is a line of the trace, even if it looks like a
  /// line with a level.
  [[nodiscard]] bool expects_exception() const { return place_ == Place::kPythonFrames; }

 private:
  enum class Place : std::uint8_t {
    kNone,
    kHead,          // An exception's first line; its frames are still to come.
    kStack,         // Frames have been seen.
    kPythonFrames,  // Frames, until the line that names the exception.
    kPythonDone,
    kPythonChain,
    kGo,
    kNodeSource,  // A location; the source line comes next.
    kNodeCaret,   // The source line; the caret comes next.
    kNodeError,   // The caret; the error comes next.
    kRedis,
    kDone,
  };

  TraceVerdict next_in_none(TraceLine kind, std::string_view line, std::uint32_t blanks);
  TraceVerdict next_in_head(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_stack(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_python(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_go(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_node(TraceLine kind, std::uint32_t blanks);
  TraceVerdict enter(Place place, LogLevel level, TraceVerdict verdict);

  Place place_ = Place::kNone;
  LogLevel level_ = LogLevel::kNone;
  bool headed_ = false;
  bool announces_ = false;
  bool serious_ = false;         // The header's level is warn or worse.
  std::uint8_t lines_left_ = 0;  // Of kHead: how many more may be tentative. Of kRedis: to come.
};

}  // namespace sluice
