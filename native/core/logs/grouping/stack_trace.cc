#include "core/logs/grouping/stack_trace.h"

#include <algorithm>

#include "core/base/ascii.h"

namespace sluice {
namespace {

/// Further lines of an exception's message that are held until a frame follows.
constexpr std::uint8_t kTentativeLinesMax = 16;
/// The lines below Redis's banner.
constexpr std::uint8_t kRedisLines = 3;

/// Whether a line may be a further line of a message: nothing gives it a meaning of its own.
bool is_text(TraceLine kind) {
  switch (kind) {
    case TraceLine::kPlain:
    case TraceLine::kGoCall:
    case TraceLine::kRegister:
    case TraceLine::kNodeLocation:
    case TraceLine::kSanitizerLine:
    case TraceLine::kRule:
      return true;
    default:
      return false;
  }
}

bool is_indented(TraceLine kind) {
  return kind == TraceLine::kIndented || kind == TraceLine::kFrame || kind == TraceLine::kCaret ||
         kind == TraceLine::kPythonFrame || kind == TraceLine::kPythonGroupLine ||
         kind == TraceLine::kNestedException;
}

}  // namespace

void TraceState::begin_headed(LogLevel level) {
  *this = TraceState();
  headed_ = true;
  serious_ = level >= LogLevel::kWarn;
}

TraceVerdict TraceState::enter(Place place, LogLevel level, TraceVerdict verdict) {
  place_ = place;
  level_ = std::max(level_, level);
  if (place == Place::kHead || place == Place::kGoHead) lines_left_ = kTentativeLinesMax;
  if (place == Place::kRedis) lines_left_ = kRedisLines;
  return verdict;
}

void TraceState::begin_plain(TraceLine kind, std::string_view line) {
  *this = TraceState();
  const auto begin = [this](Place place, LogLevel level, bool announces = false) {
    enter(place, level, TraceVerdict::kStart);
    announces_ = announces;
  };
  switch (kind) {
    case TraceLine::kExceptionHead:
    case TraceLine::kRubyHead:
      return begin(Place::kHead, LogLevel::kError);
    case TraceLine::kAnnouncement:
      return begin(Place::kAnnounced, LogLevel::kError, true);
    case TraceLine::kCausedBy:
      return begin(Place::kStack, LogLevel::kError);
    case TraceLine::kFrame:
      // The event that it belonged to is gone.
      return begin(Place::kStack, LogLevel::kNone);
    case TraceLine::kStackTitle:
      return begin(Place::kTitled, LogLevel::kNone);
    case TraceLine::kPythonFrame:  // A syntax error has no announcement.
    case TraceLine::kPythonTraceback:
      return begin(Place::kPythonFrames, LogLevel::kError, true);
    case TraceLine::kPythonGroup:
      named_ = line.find('+') == std::string_view::npos;
      return begin(Place::kPythonGroup, LogLevel::kError, !named_);
    case TraceLine::kGoPanic:
      return begin(Place::kGoHead, LogLevel::kFatal);
    case TraceLine::kGoroutine:
      return begin(Place::kGoStack, LogLevel::kError);
    case TraceLine::kNodeLocation:
      return begin(Place::kNodeSource, LogLevel::kNone);
    case TraceLine::kRustPanic:
      return begin(line.ends_with(':') ? Place::kRustMessage : Place::kHead, LogLevel::kFatal);
    case TraceLine::kRule:
      return begin(Place::kRule, LogLevel::kNone);
    case TraceLine::kSanitizerHead:
      thread_sanitizer_ = line.find("ThreadSanitizer") != std::string_view::npos;
      return begin(Place::kSanitizer, LogLevel::kError);
    case TraceLine::kRedisFatal:
      return begin(Place::kRedis, LogLevel::kFatal);
    default:
      return;
  }
}

TraceVerdict TraceState::next(TraceLine kind, std::string_view line, std::uint32_t blanks) {
  switch (place_) {
    case Place::kNone:
      return next_in_none(kind, blanks);
    case Place::kAnnounced:
    case Place::kRustMessage:
      if (blanks > 0) return TraceVerdict::kStart;
      return enter(Place::kHead, LogLevel::kError, TraceVerdict::kException);
    case Place::kHead:
      return next_in_head(kind, blanks);
    case Place::kNested:
      if (kind != TraceLine::kExceptionHead || blanks > 0) return next_in_stack(kind, blanks);
      return enter(Place::kHead, LogLevel::kError, TraceVerdict::kJoin);
    case Place::kTitled:
      if (blanks > 0 || (kind != TraceLine::kNumberedFrame && !is_indented(kind))) break;
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case Place::kStack:
      return next_in_stack(kind, blanks);
    case Place::kPythonFrames:
    case Place::kPythonDone:
    case Place::kPythonChain:
      return next_in_python(kind, line, blanks);
    case Place::kPythonGroup:
      return next_in_group(kind, line, blanks);
    case Place::kGoHead:
    case Place::kGoStack:
      return next_in_go(kind, blanks);
    case Place::kNodeSource:
    case Place::kNodeCaret:
    case Place::kNodeError:
      return next_in_node(kind, blanks);
    case Place::kRule:
      if (kind == TraceLine::kRule && blanks == 0) return TraceVerdict::kJoin;
      if (kind != TraceLine::kSanitizerHead || blanks > 0) break;
      announces_ = true;
      thread_sanitizer_ = line.find("ThreadSanitizer") != std::string_view::npos;
      return enter(Place::kSanitizer, LogLevel::kError, TraceVerdict::kException);
    case Place::kSanitizer:
      return next_in_sanitizer(kind, blanks);
    case Place::kRedis:
      return next_in_redis(line, blanks);
    case Place::kDone:
      break;
  }
  return TraceVerdict::kStart;
}

TraceVerdict TraceState::next_in_none(TraceLine kind, std::uint32_t blanks) {
  // A trace may directly follow the line that reports it.
  const bool reported = headed_ && serious_ && blanks == 0;
  const bool adjoins = blanks == 0 || headed_;
  switch (kind) {
    case TraceLine::kFrame:
      if (!adjoins) break;
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kPythonFrame:
      if (!adjoins) break;
      return enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kPythonGroup:
      if (!reported) break;
      return enter(Place::kPythonGroup, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kIndented:
    case TraceLine::kCaret:
    case TraceLine::kPythonGroupLine:
      return adjoins ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kNestedException:
      if (blanks > 0) break;
      return enter(Place::kNested, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kCausedBy:
      if (blanks > 0) break;
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kCloser:
      return blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kStackTitle:
      if (blanks > 0) break;
      return enter(Place::kTitled, LogLevel::kNone, TraceVerdict::kTentative);
    case TraceLine::kNumberedFrame:
    case TraceLine::kRubyFrame:
      if (!reported) break;
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kExceptionHead:
    case TraceLine::kRubyHead:
      if (!reported) break;
      return enter(Place::kHead, LogLevel::kError, TraceVerdict::kException);
    case TraceLine::kAnnouncement:
      if (!reported) break;
      return enter(Place::kAnnounced, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kPythonTraceback:
      if (!reported) break;
      return enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kGoroutine:
      // net/http reports a panic without a level, and the goroutine below it.
      if (!headed_ || blanks > 1) break;
      return enter(Place::kGoStack, LogLevel::kError, TraceVerdict::kJoin);
    default:
      break;
  }
  return TraceVerdict::kStart;
}

TraceVerdict TraceState::text_of_message(TraceLine kind, std::uint32_t blanks) {
  if (!is_text(kind) || blanks > 0 || lines_left_ == 0) return TraceVerdict::kStart;
  --lines_left_;
  return TraceVerdict::kTentative;
}

TraceVerdict TraceState::next_in_head(TraceLine kind, std::uint32_t blanks) {
  if (is_text(kind)) return text_of_message(kind, blanks);
  if (kind == TraceLine::kStackTitle && blanks <= 1) {
    return enter(Place::kTitled, LogLevel::kError, TraceVerdict::kTentative);
  }
  // Dart leaves two blank lines between the source of a type error and the frames.
  if (kind == TraceLine::kNumberedFrame && blanks <= 2) {
    return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
  }
  // Rails and javax.mail leave one.
  if ((kind == TraceLine::kFrame || kind == TraceLine::kRubyFrame) && blanks <= 1) {
    return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
  }
  if (kind == TraceLine::kTrailer && blanks <= 1) {
    return enter(Place::kDone, LogLevel::kError, TraceVerdict::kJoin);
  }
  if (is_indented(kind) && kind != TraceLine::kFrame && kind != TraceLine::kNestedException) {
    return blanks == 0 ? TraceVerdict::kFollow : TraceVerdict::kStart;
  }
  return next_in_stack(kind, blanks);
}

TraceVerdict TraceState::next_in_stack(TraceLine kind, std::uint32_t blanks) {
  switch (kind) {
    case TraceLine::kFrame:
      level_ = std::max(level_, LogLevel::kError);
      return blanks <= 1 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kNumberedFrame:
    case TraceLine::kRubyFrame:
    case TraceLine::kIndented:
    case TraceLine::kPythonFrame:
    case TraceLine::kPythonGroupLine:
    case TraceLine::kCaret:
    case TraceLine::kCloser:
      return blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kNestedException:
      if (blanks > 0) return TraceVerdict::kStart;
      return enter(Place::kNested, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kStackTitle:
      if (blanks > 1) return TraceVerdict::kStart;
      return enter(Place::kTitled, LogLevel::kError, TraceVerdict::kTentative);
    case TraceLine::kCausedBy:
      if (blanks > 1) return TraceVerdict::kStart;
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kTrailer:
      return blanks <= 1 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    default:
      return TraceVerdict::kStart;
  }
}

TraceVerdict TraceState::next_in_python(TraceLine kind, std::string_view line,
                                        std::uint32_t blanks) {
  if (place_ == Place::kPythonFrames) {
    if (blanks > 0) return TraceVerdict::kStart;
    if (is_indented(kind)) return TraceVerdict::kJoin;
    // Ruby up to 2.7 prints such traces as well, and its error at the end.
    if (kind != TraceLine::kRubyHead && !is_python_exception(line)) return TraceVerdict::kStart;
    return enter(Place::kPythonDone, LogLevel::kError, TraceVerdict::kException);
  }
  if (place_ == Place::kPythonChain) {
    if (kind == TraceLine::kPythonGroup) {
      return enter(Place::kPythonGroup, LogLevel::kError, TraceVerdict::kJoin);
    }
    if (kind != TraceLine::kPythonTraceback) return TraceVerdict::kStart;
    return enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kJoin);
  }
  if (kind == TraceLine::kPythonChain) {
    return enter(Place::kPythonChain, LogLevel::kError, TraceVerdict::kJoin);
  }
  return is_indented(kind) && blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
}

TraceVerdict TraceState::next_in_group(TraceLine kind, std::string_view line,
                                       std::uint32_t blanks) {
  if (kind == TraceLine::kPythonGroupLine || kind == TraceLine::kPythonGroup) {
    const std::size_t bar = line.find_first_not_of(" \t");
    const bool announcement = kind == TraceLine::kPythonGroup && line[bar] == '+';
    const bool ended = kind == TraceLine::kPythonGroup && group_closed_;
    if (blanks > 0 || announcement || ended) return TraceVerdict::kStart;
    group_closed_ = line[bar] == '+' && std::none_of(line.begin(), line.end(), is_digit);
    // Frames and source lines are indented further.
    const std::string_view text = line.substr(std::min(bar + 2, line.size()));
    if (named_ || line[bar] != '|' || !is_python_exception(text)) return TraceVerdict::kJoin;
    named_ = true;
    return TraceVerdict::kException;
  }
  place_ = Place::kPythonDone;
  return kind == TraceLine::kPythonChain ? next_in_python(kind, line, blanks)
                                         : TraceVerdict::kStart;
}

TraceVerdict TraceState::next_in_go(TraceLine kind, std::uint32_t blanks) {
  switch (kind) {
    case TraceLine::kGoroutine:
      return enter(Place::kGoStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kRegister:
      return place_ == Place::kGoStack && blanks <= 1 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kExitStatus:
      if (blanks > 1) return TraceVerdict::kStart;
      return enter(Place::kDone, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kGoSignal:
      return blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kGoCall:
      // Only the line of its file, which is indented, tells a call from other text.
      return blanks == 0 ? TraceVerdict::kTentative : TraceVerdict::kStart;
    default:
      break;
  }
  if (is_indented(kind)) return blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
  return place_ == Place::kGoHead ? text_of_message(kind, blanks) : TraceVerdict::kStart;
}

TraceVerdict TraceState::next_in_node(TraceLine kind, std::uint32_t blanks) {
  if (place_ == Place::kNodeSource) {
    if (blanks > 0 || kind == TraceLine::kExceptionHead) return TraceVerdict::kStart;
    return enter(Place::kNodeCaret, LogLevel::kNone, TraceVerdict::kTentative);
  }
  if (place_ == Place::kNodeCaret) {
    if (kind != TraceLine::kCaret || blanks > 0) {
      place_ = Place::kDone;
      return TraceVerdict::kStart;
    }
    announces_ = true;
    return enter(Place::kNodeError, LogLevel::kError, TraceVerdict::kJoin);
  }
  const bool head = kind == TraceLine::kExceptionHead;
  if (blanks > 2 || (blanks == 0 && !head)) return TraceVerdict::kStart;
  return enter(head ? Place::kHead : Place::kStack, LogLevel::kError, TraceVerdict::kException);
}

TraceVerdict TraceState::next_in_sanitizer(TraceLine kind, std::uint32_t blanks) {
  if (blanks > 2) return TraceVerdict::kStart;
  switch (kind) {
    case TraceLine::kSanitizerEnd:
      return enter(Place::kDone, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kRule:
      if (!thread_sanitizer_) return TraceVerdict::kStart;
      return enter(Place::kDone, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kSanitizerLine:
    case TraceLine::kRegister:
      return TraceVerdict::kJoin;
    default:
      return is_indented(kind) ? TraceVerdict::kJoin : TraceVerdict::kStart;
  }
}

TraceVerdict TraceState::next_in_redis(std::string_view line, std::uint32_t blanks) {
  const bool expected = lines_left_ == 3   ? line.starts_with("Reading the configuration file")
                        : lines_left_ == 2 ? line.starts_with(">>> ")
                                           : lines_left_ == 1;
  if (blanks > 0 || !expected) {
    place_ = Place::kDone;
    return TraceVerdict::kStart;
  }
  --lines_left_;
  return TraceVerdict::kJoin;
}

}  // namespace sluice
