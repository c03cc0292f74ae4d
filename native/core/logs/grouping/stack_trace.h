// Decides which lines without a header belong to the event before them: stack traces.
//
// One state per event under way, used by one thread at a time.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/logs/line/event.h"

namespace sluice {

/// The kind of a line without a header, by its shape alone.
enum class TraceLine : std::uint8_t {
  kPlain,
  kBlank,
  kIndented,         ///< Begins with white space.
  kFrame,            ///< `\tat ...`, `\tfrom x.rb:1:in ...`, `    #0 0x...`: indented.
  kNumberedFrame,    ///< `#0 ...` at the margin: PHP, Dart.
  kRubyFrame,        ///< `app.rb:3:in 'f'` at the margin.
  kStackTitle,       ///< `Stack trace:`, `stack backtrace:`
  kExceptionHead,    ///< `java.lang.IllegalStateException: ...`, `TypeError: ...`
  kAnnouncement,     ///< `Unhandled exception:` of Dart; the exception comes next.
  kCausedBy,         ///< `Caused by: ...`, `... 12 more`, `--- End of stack trace ...`
  kNestedException,  ///< `  nested exception is:` of javax.mail.
  kPythonFrame,      ///< `  File "...", line 3`
  kPythonTraceback,  ///< `Traceback (most recent call last):`
  kPythonGroup,      ///< `  + Exception Group Traceback (most recent call last):` (PEP 654)
  kPythonGroupLine,  ///< `  | ...`, `  +-+---- 1 ----`
  kPythonChain,      ///< `During handling of the above exception, ...`
  kGoPanic,          ///< `panic: ...`, `fatal error: ...`
  kGoroutine,        ///< `goroutine 1 [running]:`, `...additional frames elided...`
  kGoCall,           ///< `main.main()`, `created by main.main`
  kGoSignal,         ///< `[signal SIGSEGV: ...`
  kRegister,         ///< `rax    0x0`
  kExitStatus,       ///< `exit status 2`
  kNodeLocation,     ///< `/srv/app.js:12`
  kCaret,            ///< `   ^^^`
  kTrailer,          ///< `Node.js v20.20.0`, `note: run with ...` of Rust.
  kCloser,           ///< `}`, `]`, `})`
  kRustPanic,        ///< `thread 'main' panicked at src/main.rs:2:5:`
  kRubyHead,         ///< `app.rb:3:in 'f': boom (RuntimeError)`
  kRule,             ///< `==================`
  kSanitizerHead,    ///< `==1==ERROR: AddressSanitizer: ...`, `x.c:3:5: runtime error: ...`
  kSanitizerLine,    ///< A line at the margin of a sanitizer's report.
  kSanitizerEnd,     ///< `==1==ABORTING`
  kRedisFatal,       ///< `*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***`
};

/// @param line without a header, valid UTF-8
TraceLine classify_trace_line(std::string_view line);

/// Whether a line can name a Python exception: `ValueError: x`, `my.Error`, `KeyboardInterrupt`.
bool is_python_exception(std::string_view line);

/// The relation of a line to the event before it.
enum class TraceVerdict : std::uint8_t {
  kStart,      ///< Starts an event of its own.
  kJoin,       ///< Belongs to the event.
  kException,  ///< Belongs to the event and names the error.
  kFollow,     ///< Belongs to the line before it: joins, or is tentative as that one is.
  kTentative,  ///< Belongs to the event if a later line joins, else starts one of its own.
};

/// The state of one event's trace: `begin_headed` or `begin_plain` for its first line, then `next`
/// for each line without a header. A line joins only by a shape that the trace admits at that
/// point, so a trace that breaks off takes none of the lines after it.
class TraceState {
 public:
  /// The event begins with a line that has a header.
  void begin_headed(LogLevel level);

  /// The event begins with a line that has none.
  void begin_plain(TraceLine kind, std::string_view line);

  /// @param blanks blank lines between the event's last line and this one
  TraceVerdict next(TraceLine kind, std::string_view line, std::uint32_t blanks);

  /// The level that the trace gives an event without one.
  [[nodiscard]] LogLevel level() const { return level_; }

  /// Whether the first line only announces the error, which a later line names.
  [[nodiscard]] bool first_line_announces() const { return announces_; }

  /// Whether the next line may name an exception, even if it resembles a line with a level.
  [[nodiscard]] bool expects_exception() const { return place_ == Place::kPythonFrames; }

 private:
  enum class Place : std::uint8_t {
    kNone,
    kAnnounced,     // The exception comes next.
    kHead,          // The exception has been named; its frames are still to come.
    kNested,        // javax.mail: the nested exception comes next.
    kTitled,        // A title of a stack; its frames come next.
    kStack,         // Frames have been seen.
    kPythonFrames,  // Frames, until the line that names the exception.
    kPythonDone,
    kPythonChain,
    kPythonGroup,
    kGoHead,  // A panic; its goroutine is still to come.
    kGoStack,
    kNodeSource,   // A location; the source line comes next.
    kNodeCaret,    // The source line; the caret comes next.
    kNodeError,    // The caret; the error comes next.
    kRustMessage,  // The message comes next.
    kRule,         // A rule; a sanitizer's report may come next.
    kSanitizer,
    kRedis,
    kDone,
  };

  TraceVerdict next_in_none(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_head(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_stack(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_python(TraceLine kind, std::string_view line, std::uint32_t blanks);
  TraceVerdict next_in_group(TraceLine kind, std::string_view line, std::uint32_t blanks);
  TraceVerdict next_in_go(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_node(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_sanitizer(TraceLine kind, std::uint32_t blanks);
  TraceVerdict next_in_redis(std::string_view line, std::uint32_t blanks);
  TraceVerdict text_of_message(TraceLine kind, std::uint32_t blanks);
  TraceVerdict enter(Place place, LogLevel level, TraceVerdict verdict);

  Place place_ = Place::kNone;
  LogLevel level_ = LogLevel::kNone;
  bool headed_ = false;
  bool announces_ = false;
  bool named_ = false;         // A line of an exception group has named the error.
  bool group_closed_ = false;  // The last line of an exception group closes a sub-exception.
  bool serious_ = false;       // The header's level is warn or worse.
  bool thread_sanitizer_ = false;
  std::uint8_t lines_left_ = 0;  // Of a message: how many more may be tentative. Of Redis: to come.
};

}  // namespace sluice
