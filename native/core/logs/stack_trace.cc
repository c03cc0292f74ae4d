#include "core/logs/stack_trace.h"

#include <algorithm>
#include <array>

#include "core/base/ascii.h"

namespace sluice {
namespace {

/// Lines of an exception's message, after its first, that are waited through for a frame.
constexpr std::uint8_t kTentativeLinesMax = 16;
/// What Redis prints below its banner.
constexpr std::uint8_t kRedisLines = 3;

constexpr bool is_name(char c) {
  return is_upper(c) || (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '$' || c == '.';
}

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(), is_space);
}

/// `java.lang.IllegalStateException: text`, `TypeError [ERR_X]: text`, `KeyError`, `Uncaught ...`.
bool is_exception_head(std::string_view line) {
  constexpr std::array<std::string_view, 3> kSuffixes = {"Error", "Exception", "Throwable"};
  if (line.starts_with("Exception in thread ")) return true;
  if (line.starts_with("Uncaught ")) line.remove_prefix(std::string_view("Uncaught ").size());
  const auto end_of_name = std::find_if_not(line.begin(), line.end(), is_name);
  const auto length = static_cast<std::size_t>(end_of_name - line.begin());
  const std::string_view name = line.substr(0, length);
  const std::string_view rest = line.substr(length);
  const std::size_t dot = name.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
  if (last.empty() || !is_upper(last.front())) return false;
  const bool named =
      std::any_of(kSuffixes.begin(), kSuffixes.end(),
                  [last](std::string_view suffix) { return last.ends_with(suffix); });
  if (!named && last != "UnhandledPromiseRejection") return false;
  return rest.empty() || rest.starts_with(':') || rest.starts_with(" [") || rest == " {";
}

/// `/srv/app.js:12`, `file:///srv/app.mjs:3`, `node:internal/x:1`, `[eval]:1`, `C:\app.js:2`.
bool is_node_location(std::string_view line) {
  const bool drive = line.size() > 3 && is_upper(line[0]) && line[1] == ':' && line[2] == '\\';
  if (!drive && !line.starts_with('/') && !line.starts_with("file:///") &&
      !line.starts_with("node:") && !line.starts_with("[eval")) {
    return false;
  }
  const std::size_t colon = line.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == line.size()) return false;
  const std::string_view number = line.substr(colon + 1);
  return number.size() <= 9 && std::all_of(number.begin(), number.end(), is_digit) &&
         line.find(' ') == std::string_view::npos;
}

/// `rax    0x0`, as Go's runtime prints on a signal.
bool is_register(std::string_view line) {
  const std::size_t name = line.find(' ');
  if (name == std::string_view::npos || name > 6) return false;
  const std::size_t value = line.find_first_not_of(' ', name);
  return value != std::string_view::npos && line.substr(value).starts_with("0x");
}

bool is_closer(std::string_view line) {
  return (line.front() == '}' || line.front() == ']' || line.front() == ')') &&
         line.find_first_not_of("})],; ") == std::string_view::npos;
}

bool is_more(std::string_view text) {
  return text.starts_with("... ") && text.size() > 4 && is_digit(text[4]);
}

TraceLine classify_indented(std::string_view line) {
  const std::string_view text = line.substr(line.find_first_not_of(" \t"));
  if (text.starts_with("at ") || text.starts_with("File \"") || is_more(text)) {
    return TraceLine::kFrame;
  }
  if (text.find("Traceback (most recent call last):") != std::string_view::npos &&
      text.front() == '+') {
    return TraceLine::kPythonTraceback;  // an exception group
  }
  return text.find_first_not_of('^') == std::string_view::npos ? TraceLine::kCaret
                                                               : TraceLine::kIndented;
}

TraceLine classify_letter(std::string_view line) {
  switch (line.front()) {
    case 'C':
      if (line.starts_with("Caused by: ")) return TraceLine::kCausedBy;
      break;
    case 'D':
      if (line.starts_with("During handling of the above exception")) {
        return TraceLine::kPythonChain;
      }
      break;
    case 'N':
      if (line.starts_with("Node.js v")) return TraceLine::kNodeVersion;
      break;
    case 'S':
      if (line.starts_with("Suppressed: ")) return TraceLine::kCausedBy;
      break;
    case 'T':
      if (line.starts_with("Traceback (most recent call last):")) {
        return TraceLine::kPythonTraceback;
      }
      if (line.starts_with("The above exception was the direct cause")) {
        return TraceLine::kPythonChain;
      }
      break;
    case 'f':
      if (line.starts_with("fatal error: ")) return TraceLine::kGoPanic;
      break;
    case 'g':
      if (line.starts_with("goroutine ") && line.size() > 10 && is_digit(line[10])) {
        return TraceLine::kGoroutine;
      }
      break;
    case 'p':
      if (line.starts_with("panic: ")) return TraceLine::kGoPanic;
      break;
    default:
      break;
  }
  if (is_exception_head(line)) return TraceLine::kExceptionHead;
  if (is_node_location(line)) return TraceLine::kNodeLocation;
  return is_register(line) ? TraceLine::kGoRegisters : TraceLine::kPlain;
}

}  // namespace

TraceLine classify_trace_line(std::string_view line) {
  if (is_blank(line)) return TraceLine::kBlank;
  switch (line.front()) {
    case ' ':
    case '\t':
      return classify_indented(line);
    case '}':
    case ']':
    case ')':
      return is_closer(line) ? TraceLine::kCloser : TraceLine::kPlain;
    case '^':
      return line.find_first_not_of('^') == std::string_view::npos ? TraceLine::kCaret
                                                                   : TraceLine::kPlain;
    case '.':
      return is_more(line) ? TraceLine::kCausedBy : TraceLine::kPlain;
    case '*':
      return line.starts_with("*** FATAL CONFIG FILE ERROR") ? TraceLine::kRedisFatal
                                                             : TraceLine::kPlain;
    case '(':
      return line.starts_with("(Use `node --trace") ? TraceLine::kNodeVersion : TraceLine::kPlain;
    default:
      return classify_letter(line);
  }
}

void TraceState::begin_headed(LogLevel level) {
  *this = TraceState();
  headed_ = true;
  serious_ = level >= LogLevel::kWarn;
}

TraceVerdict TraceState::enter(Place place, LogLevel level, TraceVerdict verdict) {
  place_ = place;
  level_ = std::max(level_, level);
  if (place == Place::kHead) lines_left_ = kTentativeLinesMax;
  return verdict;
}

void TraceState::begin_plain(TraceLine kind, std::string_view line) {
  *this = TraceState();
  switch (kind) {
    case TraceLine::kExceptionHead:
      enter(Place::kHead, LogLevel::kError, TraceVerdict::kStart);
      break;
    case TraceLine::kCausedBy:
      enter(Place::kStack, LogLevel::kError, TraceVerdict::kStart);
      break;
    case TraceLine::kPythonTraceback:
      enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kStart);
      announces_ = true;
      break;
    case TraceLine::kFrame:
      // A syntax error has no announcement; any other frame has lost the event that it was of.
      if (line.find("File \"") == std::string_view::npos) {
        enter(Place::kStack, LogLevel::kNone, TraceVerdict::kStart);
      } else {
        enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kStart);
        announces_ = true;
      }
      break;
    case TraceLine::kGoPanic:
      enter(Place::kGo, LogLevel::kFatal, TraceVerdict::kStart);
      break;
    case TraceLine::kGoroutine:
      enter(Place::kGo, LogLevel::kError, TraceVerdict::kStart);
      break;
    case TraceLine::kNodeLocation:
      place_ = Place::kNodeSource;
      break;
    case TraceLine::kRedisFatal:
      enter(Place::kRedis, LogLevel::kFatal, TraceVerdict::kStart);
      lines_left_ = kRedisLines;
      break;
    default:
      break;
  }
}

TraceVerdict TraceState::next(TraceLine kind, std::string_view line, std::uint32_t blanks) {
  switch (place_) {
    case Place::kNone:
      return next_in_none(kind, line, blanks);
    case Place::kHead:
      return next_in_head(kind, blanks);
    case Place::kStack:
      return next_in_stack(kind, blanks);
    case Place::kPythonFrames:
    case Place::kPythonDone:
    case Place::kPythonChain:
      return next_in_python(kind, blanks);
    case Place::kGo:
      return next_in_go(kind, blanks);
    case Place::kNodeSource:
    case Place::kNodeCaret:
    case Place::kNodeError:
      return next_in_node(kind, blanks);
    case Place::kRedis:
      if (blanks > 0 || lines_left_ == 0) return TraceVerdict::kStart;
      --lines_left_;
      return TraceVerdict::kJoin;
    case Place::kDone:
      break;
  }
  return TraceVerdict::kStart;
}

TraceVerdict TraceState::next_in_none(TraceLine kind, std::string_view line, std::uint32_t blanks) {
  // A trace that directly follows the line which reports it.
  const bool reported = headed_ && serious_ && blanks == 0;
  const bool adjoins = blanks == 0 || headed_;
  switch (kind) {
    case TraceLine::kFrame:
      if (!adjoins) return TraceVerdict::kStart;
      if (line.find("File \"") != std::string_view::npos) {
        return enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kJoin);
      }
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kIndented:
    case TraceLine::kCaret:
      return adjoins ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kCausedBy:
      if (blanks > 0) return TraceVerdict::kStart;
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kCloser:
      return blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kExceptionHead:
      if (!reported) return TraceVerdict::kStart;
      return enter(Place::kHead, LogLevel::kError, TraceVerdict::kException);
    case TraceLine::kPythonTraceback:
      if (!reported) return TraceVerdict::kStart;
      return enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kGoroutine:
      // net/http logs a panic without a level, and the goroutine below it.
      if (!headed_ || blanks > 1) return TraceVerdict::kStart;
      return enter(Place::kGo, LogLevel::kError, TraceVerdict::kJoin);
    default:
      return TraceVerdict::kStart;
  }
}

TraceVerdict TraceState::next_in_head(TraceLine kind, std::uint32_t blanks) {
  if (kind == TraceLine::kPlain) {
    if (blanks > 0 || lines_left_ == 0) return TraceVerdict::kStart;
    --lines_left_;
    return TraceVerdict::kTentative;
  }
  if (kind == TraceLine::kFrame && blanks == 0) {
    return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
  }
  return next_in_stack(kind, blanks);
}

TraceVerdict TraceState::next_in_stack(TraceLine kind, std::uint32_t blanks) {
  switch (kind) {
    case TraceLine::kFrame:
      level_ = std::max(level_, LogLevel::kError);
      return blanks <= 1 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kIndented:
    case TraceLine::kCaret:
    case TraceLine::kCloser:
      return blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    case TraceLine::kCausedBy:
      return enter(Place::kStack, LogLevel::kError, TraceVerdict::kJoin);
    case TraceLine::kNodeVersion:
      return blanks <= 1 ? TraceVerdict::kJoin : TraceVerdict::kStart;
    default:
      return TraceVerdict::kStart;
  }
}

TraceVerdict TraceState::next_in_python(TraceLine kind, std::uint32_t blanks) {
  const bool indented =
      kind == TraceLine::kIndented || kind == TraceLine::kFrame || kind == TraceLine::kCaret;
  if (place_ == Place::kPythonFrames) {
    if (blanks > 0) return TraceVerdict::kStart;
    if (indented || kind == TraceLine::kPythonTraceback) return TraceVerdict::kJoin;
    return enter(Place::kPythonDone, LogLevel::kError, TraceVerdict::kException);
  }
  if (place_ == Place::kPythonChain) {
    if (kind != TraceLine::kPythonTraceback) return TraceVerdict::kStart;
    return enter(Place::kPythonFrames, LogLevel::kError, TraceVerdict::kJoin);
  }
  if (kind == TraceLine::kPythonChain) {
    return enter(Place::kPythonChain, LogLevel::kError, TraceVerdict::kJoin);
  }
  return indented && blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
}

TraceVerdict TraceState::next_in_go(TraceLine kind, std::uint32_t blanks) {
  // Functions stand at the margin and their files are indented, until a blank line; behind it only
  // another goroutine or the registers go on.
  if (kind == TraceLine::kGoroutine || kind == TraceLine::kGoRegisters) return TraceVerdict::kJoin;
  return blanks == 0 ? TraceVerdict::kJoin : TraceVerdict::kStart;
}

TraceVerdict TraceState::next_in_node(TraceLine kind, std::uint32_t blanks) {
  if (place_ == Place::kNodeSource) {
    if (blanks > 0 || kind == TraceLine::kExceptionHead) return TraceVerdict::kStart;
    return enter(Place::kNodeCaret, LogLevel::kNone, TraceVerdict::kJoin);
  }
  if (place_ == Place::kNodeCaret) {
    if (kind != TraceLine::kCaret || blanks > 0) {
      place_ = Place::kDone;
      return TraceVerdict::kStart;
    }
    announces_ = true;
    return enter(Place::kNodeError, LogLevel::kError, TraceVerdict::kJoin);
  }
  if (blanks > 2) return TraceVerdict::kStart;
  const Place next = kind == TraceLine::kExceptionHead ? Place::kHead : Place::kStack;
  return enter(next, LogLevel::kError, TraceVerdict::kException);
}

}  // namespace sluice
